"""Wakes readers whose channel hears nothing: one query about all their threads, however many readers there are."""

import asyncio
import logging
from collections.abc import Sequence

from sqlalchemy import bindparam, select

from ai_agents.bus.base import Channel
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store.database import Database
from ai_agents.store.models import ThreadTable

# How many threads one query asks about.
_THREADS_PER_QUERY = 500
_DELETED = -1
_NEWEST = select(ThreadTable.id, ThreadTable.last_seq).where(
    ThreadTable.id.in_(bindparam("thread_ids", expanding=True))
)
_log = logging.getLogger(__name__)


class LogWatch:
    """Polls the logs of watched threads, every `poll_s` seconds, as long as there are any."""

    def __init__(self, database: Database) -> None:
        self.poll_s = 0.5
        self._database = database
        self._channels: dict[str, Channel] = {}
        self._newest: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, channel: Channel) -> None:
        """Wake the channel's readers now, and whenever the log grows, until the channel is live or has no readers."""
        if self._channels.get(channel.thread_id) is not channel:
            self._channels[channel.thread_id] = channel
            channel.miss()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll(), name="ai-agents-log-watch")

    async def stop(self) -> None:
        """Watch nothing any more."""
        self._channels.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def find_newest(self, thread_ids: Sequence[str]) -> dict[str, int]:
        """The `last_seq` of each of these threads; deleted ones are left out. Raises `DatabaseUnavailable`."""
        rows = await self._database.read(lambda c: c.execute(_NEWEST, {"thread_ids": thread_ids}).all())
        return {row.id: row.last_seq for row in rows}

    async def _poll(self) -> None:
        while self._channels:
            await asyncio.sleep(self.poll_s)
            self._channels = {key: each for key, each in self._channels.items() if each.readers and not each.live}
            ids = list(self._channels)
            for first in range(0, len(ids), _THREADS_PER_QUERY):
                await self._wake_readers(ids[first : first + _THREADS_PER_QUERY])
        self._newest.clear()

    async def _wake_readers(self, thread_ids: Sequence[str]) -> None:
        """Wake the readers of those threads whose logs have grown."""
        try:
            newest = await self.find_newest(thread_ids)
        except DatabaseUnavailable as error:
            _log.warning("database unavailable, streams wait for it", extra=self._database.explain(error))
            return
        for thread_id in thread_ids:
            seq = newest.get(thread_id, _DELETED)
            if self._newest.get(thread_id) != seq:
                self._newest[thread_id] = seq
                self._channels[thread_id].miss()
