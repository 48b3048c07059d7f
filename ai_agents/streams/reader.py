"""Readers of streams: each waits for its channel, takes what is new from it or from the log, and frames it.

A reader holds no database connection and no queue. What comes while it is slow it takes in one go afterwards.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator

from ai_agents.bus.base import Bus
from ai_agents.core import json
from ai_agents.core.events import Event, event_data
from ai_agents.core.exceptions import DatabaseUnavailable, LogTrimmed, ThreadNotFound
from ai_agents.core.ids import utc_now
from ai_agents.core.types import LogRow
from ai_agents.store import thread_log
from ai_agents.store.database import Database
from ai_agents.streams.cursor import Cursor, Frame
from ai_agents.streams.log_watch import LogWatch
from ai_agents.streams.rights import ReadRight, RightsWatch

# The first bytes of every stream: a comment that makes proxies pass the headers on.
PRELUDE = b": ok\n\n"
# How soon a browser reconnects. It stands in the block of the first event: alone it is an empty event to some readers.
RETRY = "retry: 1000\n"
HEARTBEAT = b": ping\n\n"
# A comment after so much silence. A client that waits for an answer may have a time limit of five seconds for a read.
SILENCE_OF_RUN_S = 4.0
_SILENCE_OF_THREAD_S = 15.0
# After so much silence a reader looks into the log, in case that it was not woken.
_LOOK_AGAIN_S = 15.0

# How soon a database that was away is asked again.
_RETRY_S = 0.5
_ROWS_PER_QUERY = 200


class StreamReaders:
    """The open readers of a process. Each gives a sign of life after some seconds without events."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self.silence_of_run_s = SILENCE_OF_RUN_S
        self.silence_of_thread_s = _SILENCE_OF_THREAD_S
        self.look_again_s = _LOOK_AGAIN_S
        self.database = database
        self.bus = bus
        self.log_watch = LogWatch(database)
        self.rights = RightsWatch(database, bus)
        self._open: set[StreamReader] = set()

    def __iter__(self) -> Iterator["StreamReader"]:
        return iter(tuple(self._open))

    def lag(self) -> int:
        """How many rows the stream that is furthest behind has not been sent of those that are known here."""
        return max((reader.lag for reader in self._open), default=0)

    def open(self, cursor: Cursor, *, behind: bool = True, right: ReadRight | None = None) -> "StreamReader":
        """A reader from this cursor on.

        `behind` says that the log may hold rows after the cursor that the thread's channel does not know.
        The stream ends when the `right` to read it is lost.
        """
        reader = StreamReader(self, cursor, behind=behind, right=right)
        self._open.add(reader)
        return reader

    def discard(self, reader: "StreamReader") -> None:
        """Forget a reader that was closed."""
        self._open.discard(reader)

    async def stop(self) -> None:
        """End all readers, and stop watching the log and the rights."""
        for reader in self:
            reader.end()
        await self.log_watch.stop()
        await self.rights.stop()


class StreamReader:
    """A reader of the stream of a thread or of a run. `StreamReaders.open` makes it."""

    def __init__(self, readers: StreamReaders, cursor: Cursor, *, behind: bool, right: ReadRight | None) -> None:
        self._readers = readers
        self._cursor = cursor
        self._channel = readers.bus.hold(cursor.thread_id)
        self._channel.attach(self._wake)
        self._missed = self._channel.missed
        self._waiting: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # The log has to be read: rows may be missing in the channel.
        self._behind = behind
        # The channel woke the reader while it was not waiting, possibly for something after its last look.
        self._woken = False
        self._closed = False
        self._released = False
        self._right = None if right is None else readers.rights.watch(right, self._wake)

    @property
    def run_id(self) -> str | None:
        """The run whose stream this is; None for a thread's."""
        return self._cursor.run_id

    @property
    def lag(self) -> int:
        """How many rows that are known here it has not sent."""
        return max(0, self._channel.newest_seq - self._cursor.seq)

    def end(self) -> None:
        """Let the stream end cleanly where it is; its last id resumes it, on any process."""
        self._closed = True
        self._wake()

    def close(self) -> None:
        """End the stream, and release the channel."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._released:
            self._released = True
            if self._right is not None:
                self._right.close()
            self._channel.detach(self._wake)
            self._readers.bus.release(self._channel)
            self._readers.discard(self)
        self._wake()

    async def frames(self) -> AsyncGenerator[list[Frame]]:
        """What is new, as it comes; an empty list at each heartbeat.

        Ends after the run's terminal event, with the thread, when the right to read is lost, and on `end()`.
        """
        loop = asyncio.get_running_loop()
        readers = self._readers
        silence_s = readers.silence_of_thread_s if self.run_id is None else readers.silence_of_run_s
        last_sent = last_look = loop.time()
        try:
            while not self._closed:
                self._woken = False
                frames = await self._take()
                # Once the right is lost nothing is sent, not even what has just been taken.
                if self._right is not None and self._right.in_doubt and not await self._right.stands():
                    return
                if frames:
                    yield frames
                    last_sent = last_look = loop.time()
                if self._cursor.ended:
                    return
                # Returns at once if something came since the look.
                await self._wait(silence_s - (loop.time() - last_sent))
                now = loop.time()
                if now - last_look >= readers.look_again_s:
                    self._behind = True
                    last_look = now
                if now - last_sent >= silence_s:
                    yield []
                    last_sent = loop.time()
        finally:
            self.close()

    async def events(self) -> AsyncGenerator[Event]:
        """The frames as objects; heartbeats are left out."""
        frames = self.frames()
        try:
            async for batch in frames:
                for each in batch:
                    yield Event(each.type, each.id, json.loads(each.data))
        finally:
            await frames.aclose()

    async def sse(self) -> AsyncGenerator[bytes]:
        """The frames as bytes of an event stream; frames that come together are one chunk."""
        yield PRELUDE
        frames = self.frames()
        retry = RETRY
        try:
            async for batch in frames:
                if batch:
                    yield (retry + "".join([_to_sse(each) for each in batch])).encode()
                    retry = ""
                else:
                    yield HEARTBEAT
        finally:
            await frames.aclose()

    async def _take(self) -> list[Frame]:
        """The frames for all that is new: rows from the channel, or from the log where some are missing, then text."""
        if self._missed != self._channel.missed:
            self._missed = self._channel.missed
            self._behind = True
        rows: list[LogRow] | None = []
        if self._behind:
            rows = None
        elif self._channel.newest_seq > self._cursor.seq:
            rows = self._channel.rows_after(self._cursor.seq)
        if rows is None:
            frames = await self._read_log()
            if self._behind:
                # There are more rows, or the database was away: no wake-up comes for those.
                self._woken = True
                return frames
        else:
            frames = self._cursor.take_rows(rows) if rows else []
        text = self._cursor.take_text(self._channel.progress)
        return frames + text if frames else text

    async def _read_log(self) -> list[Frame]:
        """The frames for the next rows of the log. While the database is away there are none, and the reader waits.

        Where rows were trimmed that it has not sent, the stream ends.
        """
        cursor, database = self._cursor, self._readers.database
        try:
            rows = await database.read(
                lambda c: thread_log.list_after(c, cursor.thread_id, cursor.seq, limit=_ROWS_PER_QUERY)
            )
            if not rows or rows[0].seq > cursor.seq + 1:
                await database.read(lambda c: thread_log.require_rows_after(c, cursor.thread_id, cursor.seq))
        except LogTrimmed:
            # Numbers have no gaps. A client that comes back is told what is gone.
            self.end()
            return []
        except ThreadNotFound:
            return cursor.take_rows(self._channel.rows_after(cursor.seq) or [self._deletion()])
        except DatabaseUnavailable:
            await asyncio.sleep(_RETRY_S)
            self._behind = True
            return []
        self._behind = len(rows) == _ROWS_PER_QUERY
        return cursor.take_rows(rows)

    def _deletion(self) -> LogRow:
        """A row that says that the thread was deleted, for a reader that missed the published one."""
        cursor = self._cursor
        data = json.dumps(event_data("thread.deleted", cursor.thread_id, None, {"thread": {"id": cursor.thread_id}}))
        return LogRow(
            cursor.thread_id, cursor.seq + 1, "thread.deleted", None, data, resets=False, created_at=utc_now()
        )

    def _wake(self) -> None:
        self._woken = True
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def _wait(self, longest_s: float) -> None:
        """Return when the channel has something new, or after about `longest_s` seconds."""
        if not self._channel.live:
            self._readers.log_watch.watch(self._channel)
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


def _to_sse(frame: Frame) -> str:
    return f"event: {frame.type}\nid: {frame.id}\ndata: {frame.data}\n\n"
