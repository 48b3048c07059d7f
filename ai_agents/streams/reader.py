"""A reader of a stream: waits for its channel, catches up from the log where that does not reach, frames what is new.

It holds no database connection and no queue; what it misses while it is slow it takes at once afterwards.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress

from ai_agents.bus.base import Bus, Channel
from ai_agents.core import json
from ai_agents.core.events import Event, event_data
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.core.ids import utc_now
from ai_agents.core.types import LogRow
from ai_agents.store import thread_log
from ai_agents.store.database import Database
from ai_agents.streams.cursor import Cursor, Frame
from ai_agents.streams.log_watch import LogWatch
from ai_agents.streams.sse import HEARTBEAT, PRELUDE, frame

HEARTBEAT_S = 15.0
# How soon a database that was away is asked again.
_RETRY_S = 0.5
_PAGE = 200


class StreamReader:
    """One reader of a thread's or a run's stream.

    `may_read` is asked every 15 s whether the reader still has the right to; when it says no, the stream ends.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        watch: LogWatch,
        cursor: Cursor,
        *,
        behind: bool = True,
        may_read: Callable[[], Awaitable[bool]] | None = None,
        on_close: Callable[["StreamReader"], None] = lambda _reader: None,
    ) -> None:
        self._database = database
        self._bus = bus
        self._watch = watch
        self._cursor = cursor
        self._may_read = may_read
        self._on_close = on_close
        self._channel: Channel = bus.hold(cursor.thread_id)
        self._channel.attach(self._wake)
        self._missed = self._channel.missed
        self._waiting: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # Rows that were written before the channel was held are known only to the log.
        self._behind = behind
        # Woken while not waiting: what that was about may have come after the last look.
        self._woken = False
        self._closed = False
        self._released = False

    @property
    def run_id(self) -> str | None:
        """The run whose stream this is; None for a thread's."""
        return self._cursor.run_id

    def end(self) -> None:
        """Let the stream end cleanly where it is; its last id resumes it elsewhere."""
        self._closed = True
        self._wake()

    def close(self) -> None:
        """Let go of the channel."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._released:
            self._released = True
            self._channel.detach(self._wake)
            self._bus.release(self._channel)
            self._on_close(self)
        self._wake()

    async def frames(self) -> AsyncGenerator[list[Frame]]:
        """What is new, as it comes; an empty list about every 15 s while nothing does.

        Ends after the run's terminal event, with the thread, when the right to read is lost, and on `end()`.
        """
        loop = asyncio.get_running_loop()
        last_sent = loop.time()
        try:
            while not self._closed:
                self._woken = False
                frames = await self._take()
                if frames:
                    yield frames
                    last_sent = loop.time()
                    continue
                if self._cursor.ended:
                    return
                await self._wait(HEARTBEAT_S - (loop.time() - last_sent))
                if loop.time() - last_sent >= HEARTBEAT_S:
                    if not await self._still_allowed():
                        return
                    self._behind = True
                    yield []
                    last_sent = loop.time()
        finally:
            self.close()

    async def events(self) -> AsyncGenerator[Event]:
        """The same as objects."""
        frames = self.frames()
        try:
            async for batch in frames:
                for each in batch:
                    yield Event(each.type, each.id, json.loads(each.data))
        finally:
            await frames.aclose()

    async def sse(self) -> AsyncGenerator[bytes]:
        """The same as the bytes of an event stream, one chunk for all that came at once."""
        yield PRELUDE
        frames = self.frames()
        try:
            async for batch in frames:
                yield "".join([frame(each.type, each.id, each.data) for each in batch]).encode() if batch else HEARTBEAT
        finally:
            await frames.aclose()

    async def _take(self) -> list[Frame]:
        if self._missed != self._channel.missed:
            self._missed = self._channel.missed
            self._behind = True
        rows = None if self._behind else self._channel.rows_after(self._cursor.seq)
        if rows is None:
            frames = await self._read_log()
            if self._behind:
                # There is more, or the database was away: nobody will wake us for that.
                self._woken = True
                return frames
        else:
            frames = self._cursor.take_rows(rows) if rows else []
        text = self._cursor.take_text(self._channel.progress)
        return frames + text if frames else text

    async def _read_log(self) -> list[Frame]:
        """Rows from the database; while it is away they are waited for, as they are not lost with it."""
        cursor = self._cursor
        try:
            rows = await self._database.read(
                lambda c: thread_log.list_after(c, cursor.thread_id, cursor.seq, limit=_PAGE)
            )
            if not rows and not await self._database.read(lambda c: thread_log.exists(c, cursor.thread_id)):
                return cursor.take_rows(self._channel.rows_after(cursor.seq) or [self._deletion()])
        except DatabaseUnavailable:
            await asyncio.sleep(_RETRY_S)
            self._behind = True
            return []
        self._behind = len(rows) == _PAGE
        return cursor.take_rows(rows)

    def _deletion(self) -> LogRow:
        """The row that a thread's deletion took along, for a reader who was not told of it in time."""
        cursor = self._cursor
        data = json.dumps(event_data("thread.deleted", cursor.thread_id, None, {"thread": {"id": cursor.thread_id}}))
        return LogRow(
            cursor.thread_id, cursor.seq + 1, "thread.deleted", None, data, resets=False, created_at=utc_now()
        )

    async def _still_allowed(self) -> bool:
        if self._may_read is None:
            return True
        with suppress(DatabaseUnavailable):
            return await self._may_read()
        return True

    def _wake(self) -> None:
        self._woken = True
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def _wait(self, longest_s: float) -> None:
        """Until the channel has news, or it is time to look."""
        if not self._channel.live:
            self._watch.watch(self._channel)
        if self._woken:
            return
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = loop.call_later(longest_s, self._on_timer)
        self._waiting = loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _on_timer(self) -> None:
        self._timer = None
        self._wake()
