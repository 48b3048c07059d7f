"""PostgreSQL through asyncpg: work runs on a pooled connection that is given back at its commit."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Pool
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import QueuePool

from ai_agents.core import json
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.core.types import LogRow
from ai_agents.store.database import Runner, Work, fresh_rows

T = TypeVar("T")
# SQLSTATE classes after which the same request can succeed later: connection lost, out of resources, operator's stop.
_PASSING = ("08", "53", "57")
# A statement here reads or writes a few rows through an index; one that takes this long will not come back.
_STATEMENT_TIMEOUT_S = 30


class PostgresBackend:
    """One pool of connections."""

    def __init__(self, url: URL, *, pool_size: int) -> None:
        self._engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            pool_use_lifo=True,
            json_serializer=json.dumps,
            json_deserializer=json.loads,
            connect_args={"timeout": 10, "command_timeout": _STATEMENT_TIMEOUT_S},
        )

    async def read(self, work: Work[T]) -> T:
        """Run the work; it is rolled back after, having changed nothing."""
        return (await self._with_second_try(work, commit=False))[0]

    async def write(self, work: Work[T]) -> tuple[T, list[LogRow]]:
        """Run the work and commit it."""
        return await self._with_second_try(work, commit=True)

    async def _with_second_try(self, work: Work[T], *, commit: bool) -> tuple[T, list[LogRow]]:
        """After a restart of the server every pooled connection is dead and the first to be used finds out.

        The work is tried again only if the connection was lost before the commit was sent: after that nobody knows.
        """
        committing = False
        for attempt in (1, 2):
            try:
                with _translated():
                    async with self._engine.connect() as connection:
                        rows: list[LogRow] = await connection.run_sync(fresh_rows)
                        result = await connection.run_sync(work)
                        committing = commit
                        if commit:
                            await connection.commit()
                        return result, rows
            except DatabaseUnavailable:
                if committing or attempt == 2:
                    raise
        raise DatabaseUnavailable

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[tuple[Runner, list[LogRow]]]:
        """Hold one connection for several pieces of work."""
        with _translated():
            async with self._engine.begin() as connection:
                rows: list[LogRow] = await connection.run_sync(fresh_rows)

                async def run(work: Work[Any]) -> Any:
                    with _translated():
                        return await connection.run_sync(work)

                yield run, rows

    def checked_out(self) -> int:
        """Connections in use."""
        pool: Pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()


@contextmanager
def _translated() -> Generator[None]:
    """Turns what means "the database is not there now" into `DatabaseUnavailable`; other errors pass."""
    try:
        yield
    except DBAPIError as error:
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if error.connection_invalidated or state[:2] in _PASSING:
            raise DatabaseUnavailable from error
        raise
    except (OSError, PoolTimeout) as error:
        raise DatabaseUnavailable from error
