"""A process of the service, as an operator runs it; tests kill, stop and start it."""

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.support.nursery import Forked, nursery
from tests.support.examples import SOAK
from tests.support.processes import PATIENCE_S, children_of, free_port, is_running, send_signal
from tests.support.stopwatch import Stopwatch

ROOT = Path(__file__).parents[3]
ADMIN_KEY = "admin-key-of-the-fault-tests"
# What a process logs about faults of its own: none of them may come from what a test does to its servers.
_COMPLAINTS = re.compile(
    r'"event":"(unexpected error|run failed|a task failed|tool failed|telling of a commit failed|job failed'
    r"|carrying out a job failed|(telling|hearing) other processes failed|reading the text in progress failed"
    r"|Exception in|Unhandled exception)|was never (retrieved|awaited)"
)


class Replica:
    """One process on a port of its own, which it keeps when it is started again. `url` is where clients reach it."""

    def __init__(
        self, directory: Path, name: str, environment: Mapping[str, str], *, arguments: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = directory / f"{name}.log"
        self._looked_at = 0
        self._directory = directory
        self.environment = {**inherited(), **environment}
        self._arguments = arguments
        self._process: Forked | subprocess.Popen[bytes] | None = None
        self._watch: Stopwatch | None = None

    async def start(self) -> None:
        """Start, and return once it listens. Raises `DidNotStart`."""
        began = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.launch()
        deadline = time.monotonic() + PATIENCE_S
        while b"AI Agents on" not in self.log_path.read_bytes()[began:]:
            if not self.is_running:
                raise DidNotStart(self.name, self.log_path.read_text(errors="replace")[began:])
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} does not listen after {PATIENCE_S:g} s:\n{self.tail()}")
            await asyncio.sleep(0.01)

    def launch(self) -> None:
        """Start without waiting for anything."""
        self._process = nursery().start(
            ["serve", "--port", str(self.port), *self._arguments],
            directory=self._directory,
            environment=self.environment,
            log_path=self.log_path,
        )

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def resident_bytes(self) -> int:
        """The memory of the process."""
        fields = Path(f"/proc/{self.pid}/status").read_text().split("VmRSS:")[1]
        return int(fields.split()[0]) * 1024

    @property
    def is_running(self) -> bool:
        """Whether it is alive."""
        return self._process is not None and self._process.poll() is None and is_running(self.pid)

    def kill(self) -> None:
        """End it at once, and return when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def terminate(self) -> None:
        """Ask it to stop in order."""
        send_signal(self.pid, signal.SIGTERM)

    def pause(self) -> None:
        """Stop it where it is, as a machine that is out of breath."""
        send_signal(self.pid, signal.SIGSTOP)

    def print_tasks(self) -> None:
        """Let it say in its log what each of its tasks waits for."""
        send_signal(self.pid, signal.SIGUSR1)

    def resume(self) -> None:
        """Let it go on."""
        send_signal(self.pid, signal.SIGCONT)

    def limit_descriptors(self, count: int) -> int:
        """Let it open files only up to this number from now on; the number until now."""
        before, hard = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (count, hard))
        return before

    def stopwatch(self) -> Stopwatch:
        """A watch that stands while this process or a child of it waits for a processor: `ended` looks at it."""
        self._watch = Stopwatch(self.pid, *children_of(self.pid))
        return self._watch

    async def ended(self, *, timeout_s: float = PATIENCE_S) -> int:
        """Its exit code, once it has ended. Raises `TimeoutError`."""
        assert self._process is not None
        async with asyncio.timeout(timeout_s):
            while (code := self._process.poll()) is None:
                if self._watch is not None:
                    _ = self._watch.seconds
                await asyncio.sleep(0.01)
        return code

    def tail(self, characters: int = 3000) -> str:
        """The end of its log."""
        return self.log_path.read_text(errors="replace")[-characters:]

    def take_complaints(self) -> list[str]:
        """Lines of its log that tell of a fault of its own, each once."""
        if not self.log_path.exists():
            return []
        log = self.log_path.read_bytes()
        new, self._looked_at = log[self._looked_at :], len(log)
        return [line for line in new.decode(errors="replace").splitlines() if _COMPLAINTS.search(line)]


class Family(Replica):
    """Several processes on one port, and their parent, which it is.

    In full all start as an operator starts them; in a sample they are forked, which takes a tenth of the time.
    """

    def launch(self) -> None:
        """Start without waiting for anything."""
        if not SOAK:
            self.environment["FAULTS_FORKS"] = "1"
            super().launch()
            return
        command = [sys.executable, "-m", "tests.faults.launch", "serve", "--port", str(self.port), *self._arguments]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )


class DidNotStart(Exception):
    """A process ended before it listened; `said` is what it printed."""

    def __init__(self, name: str, said: str) -> None:
        super().__init__(f"{name} ended before it listened:\n{said[-3000:]}")
        self.said = said


def inherited() -> dict[str, str]:
    """This process's environment without anything that the service reads."""
    foreign = re.compile(r"AI_AGENTS_|ANTHROPIC_|OPENAI_|OLLAMA_|OTEL_|HOST$|PORT$|PYTHONDONTWRITEBYTECODE$")
    kept = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    return kept | {"PYTHONPATH": str(ROOT)}
