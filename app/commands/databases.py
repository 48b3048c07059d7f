"""Copies of databases for backups, and their way back: SQLite by its online backup, PostgreSQL by its own programs."""

import os
import re
import shutil
import sqlite3
import subprocess
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL

from ai_agents.core.private_files import create_private_file, make_private_directory
from ai_agents.store import migrate
from ai_agents.store.database import normalize_url
from ai_agents.store.opening import describe_place
from ai_agents.store.postgres_urls import hosts_of
from ai_agents.store.sqlite_files import database_file
from app.commands.command import CommandFailed
from app.commands.whole_files import naming

_VERSION = re.compile(r"(\d+)(\.\d+)*")
# What an address may say, and the variable of PostgreSQL's programs for it.
_OF_LIBPQ = {
    "application_name": "PGAPPNAME",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
# Where Debian and Ubuntu keep the programs of each version.
_DEBIAN = Path("/usr/lib/postgresql")


class StoredDatabase(ABC):
    """A database, as backups see it."""

    def __init__(self, url: str) -> None:
        self._given = url
        self.url = normalize_url(url)
        self.place = describe_place(self.url)

    @property
    @abstractmethod
    def kind(self) -> str:
        """What an archive calls it."""

    @abstractmethod
    def copy_to(self, path: Path) -> None:
        """Write what the database is at one moment, whatever writes to it meanwhile. Raises `CommandFailed`."""

    @abstractmethod
    def restore(self, dump: IO[bytes]) -> None:
        """Fill an empty database, as a whole or not at all. Raises `CommandFailed`."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether there is nothing in it yet."""

    @abstractmethod
    def prepare(self) -> None:
        """Raises `CommandFailed` where what is needed for a backup or a restore is missing."""

    def revision(self) -> str | None:
        """Its schema; None where it has none of ours. Raises `DatabaseUnavailable`."""
        return migrate.current(self._given)


def open_stored(url: str) -> StoredDatabase:
    """The database of an address. Raises `InvalidRequest`, and `CommandFailed` for one in memory."""
    parsed = normalize_url(url)
    if parsed.get_backend_name() == "postgresql":
        return _Postgres(url)
    if database_file(parsed) is None:
        raise CommandFailed("A database in memory has no backup.")
    return _Sqlite(url)


class _Sqlite(StoredDatabase):
    kind = "sqlite"

    def prepare(self) -> None:
        """Python has all that it needs."""

    @property
    def _file(self) -> Path:
        file = database_file(self.url)
        assert file is not None  # noqa: S101  # `open_stored` has looked
        return file

    def revision(self) -> str | None:
        """Its schema. Looking at a file that is missing would make it."""
        return super().revision() if self._file.exists() else None

    def copy_to(self, path: Path) -> None:
        """In one step: with several, SQLite begins again at each write of others."""
        create_private_file(path)
        try:
            with closing(sqlite3.connect(self._file)) as source, closing(sqlite3.connect(path)) as copy:
                source.backup(copy)
                # One file, without a log beside it. The service sets its own mode again.
                copy.execute("PRAGMA journal_mode=DELETE")
                found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            raise CommandFailed(f"The database {self.place} could not be copied to {path.parent}: {error}.") from error
        if found != "ok":
            raise CommandFailed(f"The database {self.place} is damaged: {found}.")

    def restore(self, dump: IO[bytes]) -> None:
        """Appears under its name when it is complete."""
        make_private_directory(self._file.parent)
        aside = self._file.with_name(f".{self._file.name}.restoring")
        try:
            create_private_file(aside)
            with naming(aside), aside.open("wb") as file:
                shutil.copyfileobj(dump, file)
                file.flush()
                os.fsync(file.fileno())
            for beside in ("-wal", "-shm", "-journal"):
                self._file.with_name(self._file.name + beside).unlink(missing_ok=True)
            aside.replace(self._file)
        finally:
            aside.unlink(missing_ok=True)

    def is_empty(self) -> bool:
        """Whether the file is missing, or has no tables."""
        return not self._file.exists() or migrate.run_on(self._given, _has_no_tables, alone=False)


class _Postgres(StoredDatabase):
    kind = "postgresql"

    def prepare(self) -> None:
        """The programs are there, and new enough for the server."""
        major = migrate.run_on(self._given, _server_version, alone=False)
        for name in ("pg_dump", "pg_restore"):
            _program(name, major)

    def copy_to(self, path: Path) -> None:
        """`pg_dump` sees the database at one moment."""
        create_private_file(path)
        self._run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={path}")

    def restore(self, dump: IO[bytes]) -> None:
        """In one transaction."""
        self._run(
            "pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction",
            f"--dbname={self.url.database}", given=dump,
        )  # fmt: skip

    def is_empty(self) -> bool:
        """Whether it has no tables."""
        return migrate.run_on(self._given, _has_no_tables, alone=False)

    def _run(self, name: str, *arguments: str, given: IO[bytes] | None = None) -> None:
        major = migrate.run_on(self._given, _server_version, alone=False)
        process = subprocess.Popen(  # noqa: S603  # the programs are found by name, their arguments are ours
            [_program(name, major), *arguments],
            env={**os.environ, **_environment(self.url)},
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        with process:
            try:
                if given is not None and process.stdin is not None:
                    shutil.copyfileobj(given, process.stdin)
                    process.stdin.close()
            except BrokenPipeError:
                pass  # it says why on standard error
            except BaseException:
                process.kill()  # what it has done is undone
                raise
            said = _said_by(process)
        if process.returncode:
            reason = said.decode(errors="replace").strip().partition("\n")[0]
            raise CommandFailed(f"{name} failed with {self.place}: {reason or process.returncode}")


def _said_by(process: "subprocess.Popen[bytes]") -> bytes:
    """What it writes on standard error until it ends. It ends with this process."""
    try:
        return b"" if process.stderr is None else process.stderr.read()
    except BaseException:
        process.kill()
        raise


def _environment(url: URL) -> dict[str, str]:
    """How PostgreSQL's programs reach the server. Others see their arguments, and not their environment.

    Source: https://www.postgresql.org/docs/current/libpq-envars.html, read 2026-11-30.
    """
    hosts = hosts_of(url)
    given: dict[str, str | None] = {
        "PGHOST": ",".join(host for host, _ in hosts),
        "PGPORT": ",".join(str(port) for _, port in hosts),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "PGCONNECT_TIMEOUT": "10",
    }
    for parameter, variable in _OF_LIBPQ.items():
        value = url.query.get(parameter)
        given[variable] = value if isinstance(value, str) else None
    return {name: value for name, value in given.items() if value}


def _program(name: str, server: int) -> str:
    """The path of a program that is new enough for a server of this version. Raises `CommandFailed`.

    An older `pg_dump` refuses a newer server. Source: https://www.postgresql.org/docs/current/app-pgdump.html
    """
    candidates = [found for found in (shutil.which(name),) if found]
    candidates += [str(path) for path in sorted(_DEBIAN.glob(f"*/bin/{name}"), reverse=True)]
    versions = {path: _major_of(path) for path in candidates}
    for path, major in versions.items():
        if major >= server:
            return path
    if not versions:
        raise CommandFailed(f"There is no {name} here, which backups of PostgreSQL need: install its client {server}.")
    newest = max(versions.values())
    raise CommandFailed(f"The server is PostgreSQL {server}, and {name} here is {newest}: install its client {server}.")


def _major_of(program: str) -> int:
    said = subprocess.run(  # noqa: S603  # found by name
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = _VERSION.search(said)
    return int(found[1]) if found else 0


def _server_version(connection: Connection) -> int:
    return int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000


def _has_no_tables(connection: Connection) -> bool:
    return not inspect(connection).get_table_names()
