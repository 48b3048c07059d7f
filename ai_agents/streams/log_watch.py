"""News for readers whose channel is told of none: one query about all their threads, however many readers there are."""

import asyncio
import logging
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from ai_agents.bus.base import Channel
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store.database import Database
from ai_agents.store.models import ThreadTable

# How soon after it was written a row is seen that nobody told us of.
POLL_S = 0.5
# How many threads one query asks about.
_TOGETHER = 500
_GONE = -1
_NEWEST = select(ThreadTable.id, ThreadTable.last_seq).where(
    ThreadTable.id.in_(bindparam("thread_ids", expanding=True))
)
_log = logging.getLogger(__name__)


class LogWatch:
    """Looks whether the logs of some threads have grown, as long as anybody waits for that."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._channels: dict[str, Channel] = {}
        self._newest: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, channel: Channel) -> None:
        """Tell this channel of news until it is told by others again, or has no readers. Its readers look at once."""
        if self._channels.get(channel.thread_id) is not channel:
            self._channels[channel.thread_id] = channel
            channel.miss()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_again_and_again(), name="ai-agents-log-watch")

    async def stop(self) -> None:
        """Look no more."""
        self._channels.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _look_again_and_again(self) -> None:
        while self._channels:
            await asyncio.sleep(POLL_S)
            self._channels = {key: each for key, each in self._channels.items() if each.readers and not each.live}
            ids = list(self._channels)
            for first in range(0, len(ids), _TOGETHER):
                await self._look(ids[first : first + _TOGETHER])
        self._newest.clear()

    async def _look(self, thread_ids: Sequence[str]) -> None:
        try:
            newest = await self._database.read(lambda c: _newest(c, thread_ids))
        except DatabaseUnavailable:
            _log.warning("database unavailable, streams wait for it")
            return
        for thread_id in thread_ids:
            seq = newest.get(thread_id, _GONE)
            if self._newest.get(thread_id) != seq:
                self._newest[thread_id] = seq
                self._channels[thread_id].miss()


def _newest(connection: Connection, thread_ids: Sequence[str]) -> dict[str, int]:
    return {row.id: row.last_seq for row in connection.execute(_NEWEST, {"thread_ids": thread_ids})}
