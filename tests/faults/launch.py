"""The service with tools that only tests have: `python -m tests.faults.launch serve --port 8000`.

`bump` and `safe_bump` count at the server that FAULTS_COUNTER_URL names; the one may not be run twice, the other may.
`block` is a function that counts in a thread, which nothing can stop.
FAULTS_LEASE_S makes leases shorter than the product's, so that a sample of the tests does not wait for them.
FAULTS_FORKS lets the parent of several processes, or a worker, fork them, which takes a tenth of the processor time of
their start. FAULTS_GRACE_S is a worker's grace time; FAULTS_PROBED gives it the jobs of tests/worker/probed_worker.py.
FAULTS_SILENT_S is for how long one of several processes may be silent before its parent ends it.
FAULTS_DESCRIPTORS is how many files the process may open. SIGUSR1 prints what every task waits for, and HANG lets the
event loop hang for good.
"""

import asyncio
import os
import resource
import signal
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ai_agents import Tool, ToolDefinition, register_tool, tool
from ai_agents.runner.handle import open_handle
from ai_agents.runner.process.periodic import Timing
from app import cli, container
from app.processes import parent
from app.processes.told import Told
from tests.faults.support.seed import plant

HANG = signal.SIGRTMIN


class Bump(Tool):
    """Counts a key at the counter server."""

    def __init__(self, name: str, *, retry_safe: bool) -> None:
        self.name = name
        self.retry_safe = retry_safe
        self._port = urlsplit(os.environ.get("FAULTS_COUNTER_URL", "")).port or 0

    def get_definition(self) -> ToolDefinition:
        """It takes the key."""
        parameters = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
        return ToolDefinition(self.name, "Counts a key, once for each call.", parameters)

    async def execute(self, key: str) -> str:
        """How often the key was counted."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(f"POST /{key} HTTP/1.1\r\nhost: counter\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
        return f"counted {answer.decode().splitlines()[-1]}"


@tool
def block(key: str) -> str:
    """Counts a key."""
    port = urlsplit(os.environ.get("FAULTS_COUNTER_URL", "")).port or 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"POST /{key} HTTP/1.1\r\nhost: counter\r\n\r\n".encode())
        while connection.recv(4096):
            pass
    return "counted"


def shorten_leases(lease_s: float) -> None:
    """Leases of so many seconds, renewed and looked for as often within one as the product does."""
    usual = Timing()
    by = lease_s / usual.lease_s
    timing = Timing(lease_s=lease_s, renew_every_s=usual.renew_every_s * by, sweep_every_s=usual.sweep_every_s * by)
    setattr(container, "open_handle", partial(open_handle, timing=timing))  # noqa: B010  # no setting of the service


class ForkedChild:
    """A process of `fork`, as far as its parent uses it like a `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def terminate(self) -> None:
        """Ask it to stop in order."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        if self.returncode is None:
            os.kill(self.pid, number)


def fork(told: Told, descriptors: set[int]) -> ForkedChild:
    """A child of `serve --workers`, with these descriptors."""
    pid = os.fork()
    if pid:
        return ForkedChild(pid)
    # With the parent's end of a connection a child would never see the parent end.
    for each in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if each > 2 and each not in descriptors:
            with suppress(OSError):
                os.close(each)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.environ.update(told.environment())
    code: Any = 1
    try:
        cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        if isinstance(code, str):
            print(code, file=sys.stderr, flush=True)  # noqa: T201  # as the interpreter does
        os._exit(code if isinstance(code, int) else 1)


def print_tasks(*_: object) -> None:
    """Say what every task waits for, so that one that hangs can be found."""
    for task in asyncio.all_tasks():
        print(f"task {task.get_name()}")  # noqa: T201  # it goes where the log goes
        waiting: Any = task.get_coro()
        while waiting is not None:
            frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
            frame = frame or getattr(waiting, "ag_frame", None)
            where = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}" if frame else repr(waiting)
            print(f"    {where}", flush=True)  # noqa: T201  # as above
            waiting = next(
                (found for name in ("cr_await", "gi_yieldfrom", "ag_await") if (found := getattr(waiting, name, None))),
                None,
            )


def hang(*_: object) -> None:
    """Keep the event loop from turning."""
    while True:
        time.sleep(1)


def main() -> None:
    """Register the tools and run the command line."""
    signal.signal(signal.SIGUSR1, print_tasks)
    signal.signal(HANG, hang)
    register_tool(Bump("bump", retry_safe=False))
    register_tool(Bump("safe_bump", retry_safe=True))
    register_tool(block)
    if given := os.environ.get("FAULTS_LEASE_S"):
        shorten_leases(float(given))
    if os.environ.get("FAULTS_FORKS"):
        setattr(parent, "spawn", fork)  # noqa: B010  # no setting of the service
        if sys.argv[1:2] == ["worker"]:
            plant()
    if given := os.environ.get("FAULTS_GRACE_S"):
        setattr(import_module("worker.main"), "GRACE_S", float(given))  # noqa: B010  # no setting of the worker
    if os.environ.get("FAULTS_PROBED"):
        import_module("tests.worker.probed_worker").prepare()
    if given := os.environ.get("FAULTS_SILENT_S"):
        setattr(parent, "_SILENT_S", float(given))  # noqa: B010  # as above
        setattr(parent, "_LATE_S", float(given) / 3)  # noqa: B010  # as above
    if given := os.environ.get("FAULTS_DESCRIPTORS"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(given), int(given)))
    cli.main()


if __name__ == "__main__":
    main()
