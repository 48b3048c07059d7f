"""Processes of the service that begin with its modules loaded: a start takes a tenth of the processor time that way.

A nursery is a process that has loaded what the service loads, and forks for each start. All else is as in a process of
its own: the environment, the folder, the output, the signals and the exit code. Starts as an operator makes them are
tested in tests/api/test_process.py, tests/docs and tests/worker.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

ROOT = Path(__file__).parents[3]
# What a process imports until it has answered its first messages.
_MODULES = (
    *("tests.faults.launch", "app.main", "app.serving.server", "app.logs", "app.job_queue", "ai_agents.store.migrate"),
    # Not `worker` itself: the processes of its pool import other parts of it than the worker does.
    *("celery.apps.worker", "celery.concurrency.prefork", "celery.worker.consumer", "kombu.transport.redis"),
    *("ai_agents.store.sqlite", "alembic.config", "asyncpg", "redis.asyncio", "celery", "uvloop", "httptools"),
    *("ai_agents.providers.anthropic_messages", "anthropic", "openai", "genai_prices.data"),
)


class Forked:
    """A process of a nursery, as far as it is used like a `subprocess.Popen`."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        if self.returncode is None:
            self.returncode = self._nursery.ask({"ended": self.pid})
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop in order."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout_s: float) -> int:
        """Its exit code. Raises `TimeoutError`."""
        deadline = time.monotonic() + timeout_s
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} has not ended after {timeout_s:g} s")
            time.sleep(0.002)
        return code


class Nursery:
    """A nursery. What it has started goes on after its end."""

    def __init__(self) -> None:
        own, others = socket.socketpair()
        with others:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(others.fileno())],
                cwd=ROOT, pass_fds=[others.fileno()], stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self._channel = own
        self._turn = Lock()  # tests wait for processes in threads, too
        self._answers = own.makefile("r")

    def start(
        self,
        arguments: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        log_path: Path,
        output_path: Path | None = None,
        program: str = "tests.faults.launch",
    ) -> Forked:
        """`python -m PROGRAM` with these arguments: a module with a function `main`.

        Its errors are appended to the log, and so is its output, if it has no file of its own.
        """
        output_path = output_path or log_path
        for path in {log_path, output_path}:
            path.touch()
        wanted = {"program": program, "arguments": arguments, "directory": str(directory)}
        paths = {"log": str(log_path), "output": str(output_path)}
        return Forked(self, self.ask(wanted | paths | {"environment": dict(environment)}))

    def ask(self, order: Mapping[str, Any]) -> Any:
        """What the nursery answers."""
        with self._turn:
            self._channel.sendall(json.dumps(order).encode() + b"\n")
            return json.loads(self._answers.readline())

    def close(self) -> None:
        """End it."""
        self._answers.close()
        self._channel.close()
        self._process.wait(30)


@cache
def nursery() -> Nursery:
    """The nursery of this process, which is made when it is first needed."""
    return Nursery()


def main() -> None:
    """Answer each order. In a process that was ordered this returns when its command does."""
    gc.disable()
    for name in _MODULES:
        import_module(name)
    tasks = Path("/proc/self/task")
    if tasks.exists() and len(list(tasks.iterdir())) > 1:
        raise RuntimeError("a module has started a thread, which a fork would not have")
    gc.collect()
    gc.freeze()
    gc.enable()
    with socket.socket(fileno=int(sys.argv[1])) as channel, channel.makefile("r") as orders:
        for line in orders:
            order = json.loads(line)
            if "ended" in order:
                answer = _exit_code(order["ended"])
            elif (answer := os.fork()) == 0:
                break
            channel.sendall(json.dumps(answer).encode() + b"\n")
        else:
            return
    _run(order)


def _exit_code(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _run(order: dict[str, Any]) -> None:
    """Be a process of the service."""
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for descriptor, name in ((1, "output"), (2, "log")):
        file = os.open(order[name], os.O_WRONLY | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv[1:] = order["arguments"]
    import_module(order["program"]).main()


if __name__ == "__main__":
    main()
