"""PostgreSQL through asyncpg. Work runs on a pooled connection, which is returned after the commit."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

import asyncpg
from asyncpg.pgproto.pgproto import BufferError as CutOff
from sqlalchemy import Connection, Engine, Pool, event, exc, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import greenlet_spawn

from ai_agents.core import json
from ai_agents.core.event_loop import Unfinished
from ai_agents.core.exceptions import DatabaseBusy, DatabaseFull, DatabaseUnavailable, InvalidRequest
from ai_agents.core.types import LogRow
from ai_agents.store.postgres_urls import connect_arguments
from ai_agents.store.transactions import (
    MOST_WAIT_S,
    NO_TABLES,
    VALUE_REFUSED,
    JoinWork,
    PublishRows,
    Work,
    fresh_rows,
    is_of_the_value,
    join,
)

T = TypeVar("T")
# SQLSTATE classes after which the same request can succeed later: connection lost, transaction rolled back because of
# another one, out of resources, stopped by an operator.
_PASSING = ("08", "40", "53", "57")
_ROLLED_BACK = "40"
_BAD_VALUE = "22"
_DISK_FULL = "53100"
_NO_TABLE = "42P01"
# A statement was prepared on another connection than it is used on: by a pooler that nothing was said about.
_NOT_PREPARED = ("26000", "42P05")
# Statements read or write a few rows by an index, so one that takes this long will not finish.
_STATEMENT_TIMEOUT_S = 30
# What has not been answered by then is left as a killed process leaves it.
_CLOSING_S = 2.0
# What asyncpg makes of an answer that is none of PostgreSQL's: a pooler whose server is gone may end a message that it
# had begun to pass on with one of its own. The connection is of no use any more.
_UNREADABLE = (asyncpg.InternalClientError, CutOff, IndexError)
# What asyncpg raises itself; the last but one also where no server is of the kind that the address asks for.
DRIVERS_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, CutOff)
# A prepared statement belongs to one connection of the server, and the next transaction may have another one.
_NOTHING_PREPARED = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}


class PostgresBackend:
    """One pool of connections. `pooled`: they lead to a pooler, which gives each transaction any server connection."""

    def __init__(self, url: URL, *, pool_size: int, pooled: bool = False) -> None:
        address, arguments = connect_arguments(
            url, command_timeout=_STATEMENT_TIMEOUT_S, **(_NOTHING_PREPARED if pooled else {})
        )
        self._engine = create_async_engine(
            address,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=MOST_WAIT_S,
            pool_use_lifo=True,
            json_serializer=json.dumps,
            json_deserializer=json.loads,
            hide_parameters=True,  # they contain users' texts, and errors are logged
            connect_args=arguments,
        )
        event.listen(self._engine.sync_engine, "handle_error", _give_up_unreadable)
        # A statement sees what is committed when it begins, with or without a transaction. So reads have none, which
        # saves two round trips.
        self._reading = self._engine.sync_engine.execution_options(isolation_level="AUTOCOMMIT")
        self._unfinished = Unfinished()

    async def read(self, work: Work[T], *, long: bool) -> T:
        """Run the work. If the caller is cancelled, it still finishes, which costs less than to stop it."""
        result, _rows = await self._unfinished.to_its_end(self._with_second_try(self._reading, work, commit=False))
        return result

    async def write(self, work: Work[T], publish: PublishRows, *, long: bool) -> T:
        """Run the work and commit it."""

        async def write() -> T:
            result, rows = await self._with_second_try(self._engine.sync_engine, work, commit=True)
            publish(rows)
            return result

        return await self._unfinished.to_its_end(write())

    async def _with_second_try(self, engine: Engine, work: Work[T], *, commit: bool) -> tuple[T, list[LogRow]]:
        """Try the work again after a lost connection: a restart of the server kills all pooled connections.

        It is not tried again if the commit brought no answer, since it may have happened.
        """
        attempt = _Attempt(engine, commit=commit)
        try:
            return await attempt.run(work)
        except DatabaseUnavailable as error:
            unknown = attempt.committing and not _sqlstate(error.__cause__).startswith(_ROLLED_BACK)
            # After a timeout there is no second try: the caller has waited long enough.
            if unknown or isinstance(error.__cause__, TimeoutError | exc.TimeoutError):
                raise
        return await _Attempt(engine, commit=commit).run(work)

    @asynccontextmanager
    async def begin(self, publish: PublishRows) -> AsyncGenerator[JoinWork]:
        """Hold one connection for several steps."""
        opening = asyncio.create_task(self._connect())
        # One step at a time, even if a cancelled task did not wait for the one before.
        turn = asyncio.Lock()

        async def step(function: Callable[..., T], *arguments: Any) -> T:
            async with turn:
                with _translated():
                    return await greenlet_spawn(function, *arguments)

        async def commit() -> None:
            await step(connection.commit)
            publish(rows)

        async def close() -> None:
            await asyncio.wait([opening])
            if opening.exception() is None:
                await step(opening.result().close)

        try:
            connection = await asyncio.shield(opening)
            rows = fresh_rows(connection)
            yield lambda work: self._unfinished.to_its_end(step(join, connection, work))
            await self._unfinished.to_its_end(commit())
        finally:
            await self._unfinished.to_its_end(close())

    async def _connect(self) -> Connection:
        """A connection that answers. A dead one is replaced: a transaction in steps cannot be tried again later."""

        def connect() -> Connection:
            connection = _connect(self._engine.sync_engine)
            try:
                connection.execute(text("SELECT 1"))
            except BaseException:
                connection.close()
                raise
            return connection

        try:
            with _translated():
                return await greenlet_spawn(connect)
        except DatabaseUnavailable:
            with _translated():
                return await greenlet_spawn(connect)

    def checked_out(self) -> int:
        """Connections in use."""
        pool: Pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    async def close(self) -> None:
        """Wait for work in progress, but not for a server that is silent, then close the pool."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_S):
                while self._unfinished:
                    await self._unfinished.wait()
        # A pooler keeps its clients waiting while it has no server: for minutes, by default.
        self._unfinished.cancel()
        await self._unfinished.wait(_CLOSING_S)
        await self._engine.dispose()


class _Attempt:
    """One try at a transaction. `committing`: the commit has been sent."""

    def __init__(self, engine: Engine, *, commit: bool) -> None:
        self.committing = False
        self._engine = engine
        self._commit = commit

    async def run(self, work: Work[T]) -> tuple[T, list[LogRow]]:
        """The result of the work and the log rows that it wrote. Raises `DatabaseUnavailable`."""
        with _translated():
            # One switch to the driver's coroutines for the whole transaction. The documented `AsyncConnection.run_sync`
            # needs two more, to connect and to close: 25 µs of processor time, which is 4 % of a short transaction.
            return await greenlet_spawn(self._transact, work)

    def _transact(self, work: Work[T]) -> tuple[T, list[LogRow]]:
        with _connect(self._engine) as connection:
            rows = fresh_rows(connection)
            result = work(connection)
            if self._commit:
                self.committing = True
                connection.commit()
            return result, rows


def _connect(engine: Engine) -> Connection:
    """A pooled connection. Raises `DatabaseUnavailable`, whatever the server says: no request is the cause."""
    try:
        return engine.connect()
    except DBAPIError as error:
        raise _unavailable(error) from error


def _give_up_unreadable(found: ExceptionContext) -> None:
    """Let the connection leave the pool. Raises `DBAPIError`, as for a lost one, where an answer could not be read."""
    error = found.original_exception
    if isinstance(error, _UNREADABLE):
        found.is_disconnect = True
        raise DBAPIError(found.statement, None, error, hide_parameters=True, connection_invalidated=True)


def _sqlstate(error: BaseException | None) -> str:
    """The SQLSTATE of the server's answer; empty if there was none. Its first two characters are its class."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(original, "sqlstate", None) or "")


def _unavailable(error: Exception) -> DatabaseUnavailable:
    if isinstance(error, exc.TimeoutError):  # of the pool
        return DatabaseBusy()
    return DatabaseFull() if _sqlstate(error) == _DISK_FULL else DatabaseUnavailable()


@contextmanager
def _translated() -> Generator[None]:
    """Turns "not available now" into `DatabaseUnavailable`, "this value cannot be stored" into `InvalidRequest`.

    Other errors pass.
    """
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or _sqlstate(error).startswith(_PASSING):
            raise _unavailable(error) from error
        if _sqlstate(error).startswith(_BAD_VALUE):
            raise InvalidRequest(VALUE_REFUSED) from error
        if _sqlstate(error) in _NOT_PREPARED:
            raise DatabaseUnavailable from error  # which `Database.explain` explains
        if _sqlstate(error) == _NO_TABLE:
            raise DatabaseUnavailable(NO_TABLES) from error
        raise
    except StatementError as error:
        if is_of_the_value(error.orig):
            raise InvalidRequest(VALUE_REFUSED) from error
        raise
    # Opening a connection raises the driver's own errors.
    except (OSError, exc.TimeoutError, *DRIVERS_ERRORS) as error:
        raise _unavailable(error) from error
