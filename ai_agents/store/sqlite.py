"""SQLite: one writer at a time in a thread of its own, readers beside it (WAL).

Writes begin with BEGIN IMMEDIATE, without which two read-modify-write transactions lose updates silently.
`synchronous=FULL` makes a commit survive the machine's end, not only the process's.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.pool import QueuePool, StaticPool

from ai_agents.core import json
from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest
from ai_agents.core.types import LogRow
from ai_agents.store.database import VALUE_REFUSED, Runner, Tell, Work, fresh_rows, is_of_the_value, join

T = TypeVar("T")
# How long another process's write is waited for before the database counts as unavailable.
_BUSY_TIMEOUT_MS = 15_000
# More threads than this only queue for the interpreter's lock.
_MAX_READERS = 4


class SqliteBackend:
    """The writer's thread and the readers' threads of one file; a database in memory has only the writer."""

    def __init__(self, url: URL, *, readers: int) -> None:
        in_memory = url.database in (None, "", ":memory:")
        if not in_memory:
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        self._lock = asyncio.Lock()
        self._write_engine = _engine(url, begin="BEGIN IMMEDIATE", pool_size=1, in_memory=in_memory)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        readers = min(readers, _MAX_READERS)
        self._read_engine = None if in_memory else _engine(url, begin="BEGIN", pool_size=readers, in_memory=False)
        self._readers = None if in_memory else ThreadPoolExecutor(readers, thread_name_prefix="sqlite-reader")

    async def read(self, work: Work[T]) -> T:
        """Run the work beside the writer, on the last committed state."""
        if self._read_engine is None:
            return await self.write(work, lambda _rows: None)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, _transact, self._read_engine, work)

    async def write(self, work: Work[T], tell: Tell) -> T:
        """Run the work when the writers before it are done."""
        future: asyncio.Future[tuple[T, list[LogRow]]]
        await self._lock.acquire()
        try:
            future = self._on_writer(_transact_noting, self._write_engine, work)
        except BaseException:
            self._lock.release()
            raise
        future.add_done_callback(lambda _done: self._lock.release())
        future.add_done_callback(partial(_tell_of, tell))
        result, _rows = await asyncio.shield(future)
        return result

    @asynccontextmanager
    async def begin(self, tell: Tell) -> AsyncGenerator[Runner]:
        """Hold the writer for several pieces of work."""
        async with self._lock:
            transaction = _Transaction(self._write_engine)
            try:
                await asyncio.shield(self._on_writer(transaction.open))
                yield lambda work: asyncio.shield(self._on_writer(transaction.run, work))
                committing = self._on_writer(transaction.commit)
                committing.add_done_callback(partial(_tell_of, tell))
                await asyncio.shield(committing)
            finally:
                # Whatever of the above a cancelled task did not wait for is done before this, in the one thread.
                await asyncio.shield(self._on_writer(transaction.close))

    def _on_writer(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._writer, function, *arguments)

    def checked_out(self) -> int:
        """Connections in use, readers and writer together."""
        pools = [self._write_engine.pool] + ([self._read_engine.pool] if self._read_engine else [])
        return sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool))

    async def close(self) -> None:
        """Wait for work under way, then close."""
        async with self._lock:
            for executor in (self._writer, self._readers):
                if executor is not None:
                    await asyncio.to_thread(executor.shutdown)
            for engine in (self._write_engine, self._read_engine):
                if engine is not None:
                    engine.dispose()


class _Transaction:
    """A transaction in several steps, each a call in the writer's thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._rows: list[LogRow] = []

    def open(self) -> None:
        with _translated():
            self._connection = self._engine.connect()
            self._connection.begin()
            self._rows = fresh_rows(self._connection)

    def run(self, work: Work[T]) -> T:
        if self._connection is None:
            raise DatabaseUnavailable("The transaction has ended.")
        with _translated():
            return join(self._connection, work)

    def commit(self) -> tuple[None, list[LogRow]]:
        if self._connection is not None:
            with _translated():
                self._connection.commit()
        return None, self._rows

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _engine(url: URL, *, begin: str, pool_size: int, in_memory: bool) -> Engine:
    pool: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {"poolclass": QueuePool, "pool_size": pool_size}
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_MS / 1000},
        json_serializer=json.dumps,
        json_deserializer=json.loads,
        **pool,
    )

    @event.listens_for(engine, "connect")
    def prepare(dbapi_connection: Any, _record: Any) -> None:
        # The driver's own idea of when a transaction begins is switched off: `begin` below says it.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_TIMEOUT_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _transact(engine: Engine, work: Work[T]) -> T:
    with _translated(), engine.begin() as connection:
        return work(connection)


def _transact_noting(engine: Engine, work: Work[T]) -> tuple[T, list[LogRow]]:
    with _translated(), engine.begin() as connection:
        rows = fresh_rows(connection)
        return work(connection), rows


def _tell_of(tell: Tell, done: "asyncio.Future[tuple[Any, list[LogRow]]]") -> None:
    if not done.cancelled() and done.exception() is None:
        tell(done.result()[1])


@contextmanager
def _translated() -> Generator[None]:
    """Turns "it is not there now" into `DatabaseUnavailable`, "it cannot keep this value" into `InvalidRequest`.

    Other errors pass.
    """
    try:
        yield
    except OperationalError as error:
        # The driver's plainest code is for statements that cannot be understood, which waiting does not mend.
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            raise
        raise DatabaseUnavailable from error
    except StatementError as error:
        if is_of_the_value(error.orig):
            raise InvalidRequest(VALUE_REFUSED) from error
        raise
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidRequest(VALUE_REFUSED) from error
