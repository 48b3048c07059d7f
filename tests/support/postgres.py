"""A real PostgreSQL server in a directory of its own."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.support.binaries import postgres_directory
from tests.support.processes import children_of, free_port, is_running, send_signal, unprivileged_user, wait_until

# What makes a server quick whose data may be lost. Tests that kill it leave these out.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SMALL = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # In the data directory: a server that is killed would leave segments of /dev/shm behind.
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "32MB",
    "autovacuum_naptime": "5min",
    "timezone": "UTC",
}


@contextmanager
def executor(url: str) -> Iterator[Callable[[str], str]]:
    """Runs statements on one connection, outside of transactions; an event loop may run in this thread."""
    with closing(asyncio.new_event_loop()) as loop, ThreadPoolExecutor(1) as thread:

        def do(work: Coroutine[Any, Any, Any]) -> Any:
            return thread.submit(loop.run_until_complete, work).result()

        connection = do(asyncpg.connect(url.replace("+asyncpg", "")))
        try:
            yield lambda statement: str(do(connection.execute(statement)))
        finally:
            do(connection.close())


class PostgresServer:
    """One cluster on a port of its own, for the superuser `postgres` without a password, on loopback only.

    `durable` keeps what was committed through a `kill`; without it the server is quicker.
    """

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        signs_in: Sequence[str] = ("--auth=trust", "--username=postgres"),
    ) -> None:
        """`port` names a server that another process has started in this directory. `signs_in` is initdb's."""
        self.directory = directory
        self.port = port or free_port()
        self._settings = {**SMALL, **({} if durable else FAST), **(settings or {})}
        self._signs_in = signs_in
        self._data = directory / "data"
        self._bin = postgres_directory()
        self._execute: Callable[[str], str] | None = None

    @property
    def url(self) -> str:
        """The maintenance database's address."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """A database's address, as SQLAlchemy takes it."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """The server's main process. Raises `FileNotFoundError` where it was never started or has been stopped."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def start(self) -> None:
        """Start, and return when it answers; the first start makes the cluster."""
        if not self._data.exists():
            self._make_cluster()
        options = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in self._settings.items())
        self._run("pg_ctl", "start", "-w", "-t", "60", "-l", str(self._data / "log"), "-o", f"-p {self.port} {options}")

    def stop(self) -> None:
        """Stop in order: open transactions are rolled back, connections cut."""
        self._run("pg_ctl", "stop", "-w", "-m", "fast")

    def kill(self) -> None:
        """End every process of the server at once, as a power cut would."""
        pid = self.pid
        processes = [pid, *children_of(pid)]
        for process in processes:
            send_signal(process, signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, processes)), what="PostgreSQL's processes to be gone")
        # Some systems keep an orphan in the list of processes, and the next server would take it for alive.
        (self._data / "postmaster.pid").unlink()

    def restart(self) -> None:
        """Start again on the same port, after a `kill`, a `stop` or neither."""
        try:
            running = is_running(self.pid)
        except FileNotFoundError:
            running = False
        if running:
            self.stop()
        self.start()

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, as a copy of `template` if given (which has no connections then), and return its url."""
        copied = f' TEMPLATE "{template}"{self._strategy()}' if template else ""
        self.execute(f'CREATE DATABASE "{name}"{copied}')
        return self.url_of(name)

    def _strategy(self) -> str:
        # Copying the files takes a third of the time of writing the copy to the log. PostgreSQL 14 knows no other way.
        major = int((self._data / "PG_VERSION").read_text())
        return " STRATEGY FILE_COPY" if major >= 15 else ""

    def drop_database(self, name: str) -> None:
        """Drop a database and cut the connections to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, *, database: str = "postgres") -> str:
        """Run a statement outside of any transaction. May be called with an event loop running in this thread."""
        if self._execute is not None and database == "postgres":
            return self._execute(statement)
        with executor(self.url_of(database)) as execute:
            return execute(statement)

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Keep one connection for the statements on the maintenance database: to connect takes as long as they do."""
        with executor(self.url) as self._execute:
            yield
        self._execute = None

    def _make_cluster(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        user = unprivileged_user()
        if user:
            shutil.chown(self.directory, user)
        self._run("initdb", *self._signs_in, "--encoding=UTF8", "--locale=C", "--no-sync")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), "-D", str(self._data), *arguments]
        # A file, not a pipe, takes what is printed: the server inherits it and would keep a pipe open for ever.
        printed = self.directory / f"{program}.out"
        with printed.open("w") as output:
            code = subprocess.call(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.directory,
                user=unprivileged_user(),
                env={"PATH": os.defpath, "LC_ALL": "C", "HOME": str(self.directory)},
            )
        if code:
            log = self._data / "log"
            told = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise RuntimeError(f"{program} ended with {code}:\n{printed.read_text()}\n{told}")
