"""Being the only process that runs agents on a database, where no Redis connects several processes."""

import fcntl
import os
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from ai_agents.core.exceptions import DatabaseUnavailable, SecondProcess
from ai_agents.store.database import Database
from ai_agents.store.postgres_urls import connect_arguments

# Any number that no other program on the same database server is likely to lock.
_ADVISORY_LOCK = 0x41_49_41_47
_REFUSAL = (
    "Another process already runs agents on this database. Stop it first; or, to run several, give them Redis, "
    "so that each sees what the others stream: AI_AGENTS_REDIS_URL (redis_url in the library)."
)


class SoleProcess(ABC):
    """The lock of the one process that may run agents on a database. It ends with the process, even after a kill."""

    @abstractmethod
    async def acquire(self) -> None:
        """Take the lock, unless this process has it. Raises `SecondProcess` where another process has it."""

    @abstractmethod
    async def keep(self) -> None:
        """Take the lock again if a restart of the database released it. Raises what `acquire` raises."""

    @abstractmethod
    async def release(self) -> None:
        """Release the lock."""


class _FileLock(SoleProcess):
    """A lock on a file beside the SQLite file."""

    def __init__(self, url: URL) -> None:
        in_memory = url.database in (None, "", ":memory:")
        self._path = None if in_memory else Path(f"{url.database}.lock")
        self._file: int | None = None

    async def acquire(self) -> None:
        if self._path is None or self._file is not None:
            return
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseUnavailable(f"The file {self._path} cannot be used: {error.strerror}.") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            raise SecondProcess(_REFUSAL) from error
        self._file = file

    async def keep(self) -> None:
        """The file lock lasts as long as the process."""

    async def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _AdvisoryLock(SoleProcess):
    """A session's advisory lock in PostgreSQL, on a connection of its own beside the pool."""

    def __init__(self, url: URL) -> None:
        address, arguments = connect_arguments(url)
        self._engine = create_async_engine(
            address, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments
        )
        self._connection: AsyncConnection | None = None

    async def acquire(self) -> None:
        from ai_agents.store.postgres import DRIVERS_ERRORS

        if self._connection is not None:
            return
        try:
            connection = await self._engine.connect()
            got = await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        except (OSError, DBAPIError, *DRIVERS_ERRORS) as error:
            raise DatabaseUnavailable from error
        if not got:
            await connection.close()
            raise SecondProcess(_REFUSAL)
        self._connection = connection

    async def keep(self) -> None:
        try:
            if self._connection is not None:
                await self._connection.scalar(text("SELECT 1"))
                return
        except (OSError, DBAPIError):
            self._connection = None
        await self.acquire()

    async def release(self) -> None:
        if self._connection is not None:
            with suppress(OSError, DBAPIError):
                await self._connection.close()
            self._connection = None
        await self._engine.dispose()


def sole_process(database: Database) -> SoleProcess:
    """The lock that fits the database."""
    return _FileLock(database.url) if database.dialect == "sqlite" else _AdvisoryLock(database.direct_url)
