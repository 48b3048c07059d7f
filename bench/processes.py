"""The processes that are measured, and those that measure: who runs on which core, and what the system says of them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.package import install_blocking_tool
from tests.support.postgres import PostgresServer
from tests.support.processes import children_of
from tests.support.redis_server import RedisServer

_TICKS = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).resolve().parent.parent
ADMIN_KEY = "bench-admin-key"


@dataclass(frozen=True, slots=True)
class Cores:
    """`service` is the service's alone, as far as the machine's other work lets it be; all else is on `others`."""

    service: set[int]
    others: set[int]


def choose_cores() -> Cores:
    """The last core for the service, the others for the rest; the one core for all where there is no other."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores({usable[-1]}, set(usable[:-1]) or {usable[-1]})


@dataclass(frozen=True, slots=True)
class Process:
    """A process that listens on a port."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Processor time that it has used, of all its threads."""
        return sum(map(int, _stat(self.pid)[11:13])) / _TICKS

    def ran_s(self) -> float:
        """The same, to a microsecond, without threads that have ended."""
        return _ran_s(self.pid)

    def waited_s(self) -> float:
        """How long its threads were ready to run while their core did something else, each thread by itself."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9

    def rss_bytes(self) -> int:
        """Its memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the system does not say how much memory a process has")


@dataclass(frozen=True, slots=True)
class Databases:
    """What a service is given: its settings, and the main process of PostgreSQL (None: SQLite)."""

    settings: dict[str, str]
    server: int | None = None

    def cpu_s(self) -> float:
        """Processor time that PostgreSQL has used: its main process, those that it started, and those that ended."""
        if self.server is None:
            return 0.0
        used = _stat(self.server)[11:15]
        for child in children_of(self.server):
            with suppress(FileNotFoundError, ProcessLookupError):  # it ends just now
                used += _stat(child)[11:13]
        return sum(map(int, used)) / _TICKS

    def ran_s(self) -> float:
        """The same, to a microsecond, without processes that have ended."""
        found = 0.0
        for process in () if self.server is None else (self.server, *children_of(self.server)):
            with suppress(FileNotFoundError, ProcessLookupError):  # it ends just now
                found += _ran_s(process)
        return found


def _ran_s(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _stat(pid: int) -> list[str]:
    """The numbers of a process, from its state on: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@contextmanager
def provider(cores: Cores) -> Iterator[Process]:
    """The fake provider."""
    with _started([sys.executable, "-m", "bench.provider"], {}, cores.others, directory=_ROOT) as process:
        yield Process(process.pid, int(_line(process)))


@contextmanager
def service(settings: Mapping[str, str], cores: Cores, *, upstream: Process) -> Iterator[Process]:
    """The service, as an operator starts it."""
    with tempfile.TemporaryDirectory() as directory:
        install_blocking_tool(Path(directory))
        environment = {
            "PYTHONPATH": directory,
            "AI_AGENTS_VAR_DIR": directory,
            "AI_AGENTS_ADMIN_KEY": ADMIN_KEY,
            "AI_AGENTS_MAX_STREAMS_PER_USER": "1000000",
            "AI_AGENTS_MAX_RUNS_PER_USER": "1000000",
            "AI_AGENTS_MAX_REQUESTS_PER_MINUTE": "1000000",
            "OPENAI_API_KEY": "bench",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream.port}/v1",
            **settings,
        }
        command = [str(Path(sys.executable).parent / "ai-agents"), "serve", "--port", "0"]
        with _started(command, environment, cores.service, directory=Path(directory)) as process:
            address = _line(process).split()[-1]
            yield Process(process.pid, int(address.rpartition(":")[2]))


@contextmanager
def databases(name: str) -> Iterator[Databases]:
    """An empty database of this kind: `sqlite`, or `postgres`, which is PostgreSQL and Redis.

    Both keep what was committed through a power cut.
    """
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        if name == "sqlite":
            yield Databases({"AI_AGENTS_DATABASE_URL": f"sqlite:///{directory / 'bench.db'}"})
            return
        directory.chmod(0o711)
        postgres, redis = PostgresServer(directory / "postgres", durable=True), RedisServer(directory / "redis")
        postgres.start()
        try:
            redis.start()
            try:
                url = postgres.create_database("bench")
                yield Databases({"AI_AGENTS_DATABASE_URL": url, "AI_AGENTS_REDIS_URL": redis.url}, postgres.pid)
            finally:
                redis.stop()
        finally:
            postgres.stop()


@contextmanager
def _started(
    command: list[str], environment: Mapping[str, str], cores: set[int], *, directory: Path
) -> Iterator["subprocess.Popen[str]"]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AI_AGENTS_")}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile("w+") as log:
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)  # which a child inherits
        process = subprocess.Popen(
            command,
            env=inherited | dict(environment),
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        os.sched_setaffinity(0, own)
        try:
            yield process
        except BaseException:
            log.seek(0)
            told = [line for line in log if '"level":"info"' not in line]
            print(*told[-20:], sep="", file=sys.stderr)
            raise
        finally:
            _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} did not start")
    return line
