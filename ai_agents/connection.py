"""`connect`: a handle on a database whose background jobs this process carries out itself."""

from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.upstream import DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_HELD_RUNS, UpstreamSlots
from ai_agents.runner.handle import DatabaseHandle, leaving_grace_s, open_handle
from ai_agents.workers.background import InProcessJobs


class Connecting(Coroutine[Any, Any, DatabaseHandle]):
    """A handle to be: `conn = await connect(…)`, or `async with connect(…) as conn:`, which closes it at the end."""

    def __init__(self, opening: Callable[[], Coroutine[Any, Any, DatabaseHandle]]) -> None:
        self._opening = opening
        self._begun: Coroutine[Any, Any, DatabaseHandle] | None = None
        self._conn: DatabaseHandle | None = None

    def __await__(self) -> Generator[Any, Any, DatabaseHandle]:
        return self._opening().__await__()

    async def __aenter__(self) -> DatabaseHandle:
        self._conn = await self._opening()
        return self._conn

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._conn is not None:
            await self._conn.close(grace_s=leaving_grace_s(kind))

    # The rest of a coroutine, for those who make a task of it.

    def send(self, value: Any, /) -> Any:
        """See `Coroutine`."""
        if self._begun is None:
            self._begun = self._opening()
        return self._begun.send(value)

    def throw(self, kind: Any, error: Any = None, trace: Any = None, /) -> Any:
        """See `Coroutine`."""
        if self._begun is None:
            self._begun = self._opening()
        return self._begun.throw(kind if error is None else error)

    def close(self) -> None:
        """See `Coroutine`."""
        if self._begun is not None:
            self._begun.close()


def connect(
    url: str,
    *,
    redis_url: str | None = None,
    pool_size: int = 10,
    direct_url: str | None = None,
    job_model: str | None = None,
    max_upstream_connections: int = DEFAULT_MAX_CONNECTIONS,
    max_held_runs: int = DEFAULT_MAX_HELD_RUNS,
) -> Connecting:
    """Open a database: `sqlite:///path` or `postgresql://…`; an empty SQLite file gets its tables.

    `conn = await connect(…)`, and at the end `await conn.close()`; or `async with connect(…) as conn:`.
    With `redis_url` any number of processes may run agents on the database, else only this one. This process also makes
    titles and summaries, with `job_model` (`provider:model`), else with the agents' own models. It has at most
    `max_upstream_connections` runs under way; `max_held_runs` more may wait, in all processes, then `Overloaded` is
    raised.
    Raises, when it is awaited, `InvalidRequest` for another kind of database, or an address of Redis that is none;
    `DatabaseUnavailable`, with a sentence that says why, where the database cannot be used. Redis may be away.
    """
    if not isinstance(url, str):
        raise InvalidRequest(f"The URL of a database is a text such as sqlite:///agents.db, not {url!r}.")
    slots = UpstreamSlots(max_upstream_connections, max_held=max_held_runs)

    async def open_it() -> DatabaseHandle:
        conn = await open_handle(url, redis_url=redis_url, pool_size=pool_size, direct_url=direct_url, slots=slots)
        conn.executor.background = InProcessJobs(conn.database, owner=conn.executor.owner, model=job_model)
        return conn

    return Connecting(open_it)
