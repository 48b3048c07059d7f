"""The handle on a database, with its channels and the runs of this process."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from ai_agents.bus.base import Bus
from ai_agents.core.extras import require
from ai_agents.core.types import CHANGED, REVOKED, LogRow
from ai_agents.core.upstream import UpstreamSlots
from ai_agents.providers.base import Provider
from ai_agents.providers.registry import ProviderPool
from ai_agents.runner.process.executor import Executor
from ai_agents.runner.process.periodic import DEFAULT_TIMING, Timing
from ai_agents.store.database import Database
from ai_agents.store.opening import explained
from ai_agents.streams.feed import ActivityFeed
from ai_agents.streams.reader import StreamReaders
from ai_agents.tools.registry import ToolSource

# How long runs that are under way get to end when their handle is closed.
GRACE_S = 10.0
_log = logging.getLogger(__name__)

# The open handles, the newest last; `queue_title_generation` and `queue_summarization` use its outbox.
_open: list["DatabaseHandle"] = []


class DatabaseHandle:
    """A handle on a database; `connect` opens one.

    It borrows a pooled connection for each short transaction and holds none while a model answers.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        *,
        shared: bool,
        timing: Timing = DEFAULT_TIMING,
        slots: UpstreamSlots | None = None,
    ) -> None:
        self.database = database
        self.bus = bus
        self.executor = Executor(database, bus, shared=shared, timing=timing, slots=slots)
        self.readers = StreamReaders(database, bus)
        self.readers.rights.poll_s = timing.revocations_every_s
        self.feed = ActivityFeed(database, bus, self.readers.rights)
        self._tools: list[ToolSource] = []
        self._providers: list[ProviderPool | Provider] = []
        self._is_closed = False
        database.after_commit = self._after_commit

    def __repr__(self) -> str:
        return f"<{'closed ' if self._is_closed else ''}handle on {self.database!r}>"

    def _after_commit(self, rows: Sequence[LogRow]) -> None:
        """Publish what a transaction wrote. Streams ask for their right before they get any of it."""
        revoked = [row.data for row in rows if row.type == REVOKED]
        if revoked:
            self.bus.revoke(revoked)
            rows = [row for row in rows if row.type != REVOKED]
        changed = [row.thread_id for row in rows if row.type == CHANGED]
        if changed:
            self.bus.note_changed(changed)
            rows = [row for row in rows if row.type != CHANGED]
        if rows:
            self.bus.publish(rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """One transaction around the store calls inside; it commits at the end and rolls back on an error."""
        async with self.database.transaction():
            yield

    async def create_all(self) -> None:
        """Make the tables that are missing. Raises `DatabaseUnavailable`."""
        await self.database.create_all()

    def use(self, tools: ToolSource, pool: ProviderPool, provider: Provider | None = None) -> None:
        """A runner uses these. The handle knows what they know, and closes the providers' connections at the end."""
        if tools not in self._tools:
            self._tools.append(tools)
        for used in (pool, provider):
            if used is not None and used not in self._providers:
                self._providers.append(used)

    def provider_names(self) -> set[str]:
        """The providers that its runners know, beside those that are registered."""
        known: set[str] = set()
        for used in self._providers:
            known.update(used.names() if isinstance(used, ProviderPool) else [used.name])
        return known

    def tool_sources(self) -> Sequence[ToolSource]:
        """Where its runners find tools."""
        return tuple(self._tools)

    async def close(self, *, grace_s: float = GRACE_S) -> None:
        """Let the runs under way end, for `grace_s` seconds at most, and close everything.

        That is the database, Redis, and the connections of the providers of its runners. It may be called again.
        """
        self._is_closed = True
        if self in _open:
            _open.remove(self)
        await self.executor.drain(grace_s)
        await self.feed.stop()
        await self.readers.stop()
        for used in self._providers:
            try:
                await used.aclose()
            except Exception:  # noqa: BLE001  # a provider of others may raise anything, and the rest has to be closed
                _log.exception("a provider could not be closed")
        await self.bus.close()
        await self.database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close(grace_s=leaving_grace_s(kind))


def leaving_grace_s(kind: type[BaseException] | None) -> float:
    """How long runs get where a block is left by this error: none where the program is interrupted."""
    is_interrupted = kind is not None and issubclass(kind, asyncio.CancelledError | KeyboardInterrupt)
    return 0.0 if is_interrupted else GRACE_S


async def open_handle(
    url: str,
    *,
    redis_url: str | None = None,
    pool_size: int = 10,
    direct_url: str | None = None,
    timing: Timing = DEFAULT_TIMING,
    slots: UpstreamSlots | None = None,
) -> DatabaseHandle:
    """Open a database: `sqlite:///path` or `postgresql://…`; an empty SQLite file gets its tables.

    With `redis_url` any number of processes may run agents on the database, else only this one. `slots` limits how many
    runs this process has under way. `direct_url` is the database itself, where `url` leads to a pooler.
    Raises `InvalidRequest` for another kind of database, or an address of Redis that is none; `DatabaseUnavailable`,
    with a sentence that says why, where the database cannot be used. Redis may be away.
    """
    bus = _bus(redis_url)
    database = Database(url, pool_size=pool_size, direct_url=direct_url)
    try:
        await database.check()
        if database.dialect == "sqlite" and await database.is_empty():
            with explained(database.url):
                await database.create_all()
        await bus.open()
    except BaseException:
        await bus.close()
        await database.close()
        raise
    handle = DatabaseHandle(database, bus, shared=redis_url is not None, timing=timing, slots=slots)
    _open.append(handle)
    return handle


def _bus(redis_url: str | None) -> Bus:
    if redis_url is None:
        return Bus()
    require("redis")
    from ai_agents.bus.redis import RedisBus

    return RedisBus(redis_url)


def latest_connection() -> DatabaseHandle | None:
    """The newest handle of this process that is open."""
    return _open[-1] if _open else None
