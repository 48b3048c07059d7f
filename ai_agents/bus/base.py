"""A thread's channel in this process with the text in progress, and what a bus does with channels.

Readers have no queue. A reader knows how far it has come in the log and in the text, and takes what lies beyond when it
is woken. So a slow reader costs no memory, and catches up with one larger delta.
"""

import asyncio
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ai_agents.core.event_loop import pressure
from ai_agents.core.types import LogRow

TextKind = Literal["text", "reasoning"]


@dataclass(frozen=True, slots=True)
class TextSegment:
    """A stretch of text of one kind. `offset` counts the code points of its kind before it."""

    kind: TextKind
    offset: int
    text: str


class TextInProgress:
    """What the deltas of a message have added up to so far.

    `position` counts 1 for the message's start and 1 for each code point, of text and reasoning together.
    `base_seq` is the newest log row that reset positions when the message began; a later row that does voids the text.
    `fence` is the fencing number of the run's owner, which writes the text.
    """

    def __init__(self, *, run_id: str, fence: int, message_id: str, base_seq: int) -> None:
        self.run_id = run_id
        self.fence = fence
        self.message_id = message_id
        self.base_seq = base_seq
        self.position = 1
        self._kinds: list[TextKind] = []
        self._starts: list[int] = []
        self._offsets: list[int] = []
        self._texts: list[str] = []
        self._lengths: dict[TextKind, int] = {"text": 0, "reasoning": 0}

    def append(self, kind: TextKind, text: str) -> None:
        """Add text at the end."""
        length = len(text)
        if not length:
            return
        self._kinds.append(kind)
        self._starts.append(self.position)
        self._offsets.append(self._lengths[kind])
        self._texts.append(text)
        self._lengths[kind] += length
        self.position += length

    def since(self, position: int) -> list[TextSegment]:
        """The text from `position` on, adjacent text of one kind joined; 0 and 1 both mean the first code point."""
        position = max(position, 1)
        if position >= self.position:
            return []
        first = bisect_right(self._starts, position) - 1
        skip = position - self._starts[first]
        segments: list[TextSegment] = []
        at = first
        count = len(self._texts)
        while at < count:
            end = at + 1
            kind = self._kinds[at]
            while end < count and self._kinds[end] == kind:
                end += 1
            text = self._texts[at] if end == at + 1 else "".join(self._texts[at:end])
            segments.append(TextSegment(kind, self._offsets[at] + skip, text[skip:] if skip else text))
            skip = 0
            at = end
        return segments


# Enough for the rows of an ordinary turn; a reader that is further behind reads the log.
_MAX_ROWS = 128
# Text that comes ten times a second still flows.
_MAX_PAUSE_S = 0.1


class Channel:
    """What this process knows of a thread without asking the database: its newest log rows and the text in progress.

    `live` says that all that happens in the thread arrives here at once; otherwise readers poll the log.
    `missed` counts the times that something may not have arrived; readers then look at the log once.
    `newest_seq` is the number of the newest row that arrived, 0 if none did.
    """

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id
        self.progress: TextInProgress | None = None
        self.live = True
        self.missed = 0
        self.newest_seq = 0
        self.holders = 0
        self._rows: deque[LogRow] = deque(maxlen=_MAX_ROWS)
        self._wakers: set[Callable[[], None]] = set()
        # The next wake-up, when it is due, and whether text gathers until then.
        self._scheduled: asyncio.Handle | None = None
        self._due = 0.0
        self._gathering = False
        # Whether readers were woken for the text of the message in progress before.
        self._shown = False

    def add_rows(self, rows: Sequence[LogRow]) -> None:
        """Keep committed rows. One that comes again, rewritten, takes the place of the one that is kept. One that
        comes late is left out; a gap drops the rows before it: they are in the log.
        """
        for row in rows:
            progress = self.progress
            if progress is not None and row.resets and row.seq > progress.base_seq and row.run_id == progress.run_id:
                self.progress = None
            if self._rows and row.seq != self._rows[-1].seq + 1:
                if row.seq <= self._rows[-1].seq:
                    if (place := row.seq - self._rows[0].seq) >= 0:
                        self._rows[place] = row
                    continue
                self._rows.clear()
            self._rows.append(row)
            self.newest_seq = row.seq
        self.touch()

    def rows_after(self, seq: int) -> list[LogRow] | None:
        """The kept rows after `seq`; None where some are missing and the log has to be read."""
        rows = self._rows
        if not rows or rows[-1].seq <= seq:
            return []
        if rows[0].seq > seq + 1:
            return None
        return [row for row in rows if row.seq > seq]

    def miss(self) -> None:
        """Say that something may have happened in the thread that did not arrive here."""
        self.missed += 1
        self.touch()

    def own(self) -> None:
        """Say that a run of this thread is executed in this process from now on; `disown` ends that."""

    def disown(self) -> None:
        """Say that a run of this thread is no longer executed in this process."""

    def begin(self, progress: TextInProgress) -> None:
        """Begin a message; its writer appends to `progress` and calls `touch_text`."""
        self.progress = progress
        self._shown = False
        self.touch()

    def touch(self) -> None:
        """Wake the readers after this turn of the event loop: what one network read brought goes out together."""
        if self._scheduled is not None and self._gathering:
            self._scheduled.cancel()
            self._scheduled = None
        self._schedule(0.0)

    def touch_text(self) -> None:
        """Wake the readers for more text: after this turn for a message's first, later while the event loop is busy."""
        if self._scheduled is None:
            self._schedule(pressure.pause_s(_MAX_PAUSE_S) if self._shown and pressure.is_late else 0.0)
            self._shown = True

    def _schedule(self, pause_s: float) -> None:
        if self._scheduled is not None or not self._wakers:
            return
        loop = asyncio.get_running_loop()
        self._due = time.monotonic() + pause_s
        self._gathering = pause_s > 0
        self._scheduled = loop.call_later(pause_s, self._wake) if pause_s else loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._scheduled = None
        pressure.note(self._due)
        for waker in tuple(self._wakers):
            waker()

    def attach(self, waker: Callable[[], None]) -> None:
        """Add a reader: `waker` is called whenever there is something new."""
        self._wakers.add(waker)

    def detach(self, waker: Callable[[], None]) -> None:
        """Remove a reader."""
        self._wakers.discard(waker)

    @property
    def readers(self) -> int:
        """How many readers are attached."""
        return len(self._wakers)


class Bus:
    """The channels of a process, and its listeners. By itself it is the bus of a single process.

    Nothing that passes through a bus lasts; all of it may be lost. `is_shared`: other processes may hear it.
    """

    is_shared = False

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self._listeners: list[Callable[[Sequence[LogRow]], None]] = []
        self._cancel_listeners: list[Callable[[str], None]] = []
        self._sweep_listeners: list[Callable[[], None]] = []
        self._revoked_listeners: list[Callable[[Sequence[str]], None]] = []
        self._usage_listeners: list[Callable[[Mapping[str, Any]], None]] = []
        self._connected_listeners: list[Callable[[], None]] = []
        self._changed_listeners: list[Callable[[Collection[str]], None]] = []
        self._missed_listeners: list[Callable[[], None]] = []

    def hold(self, thread_id: str) -> Channel:
        """The thread's channel, which is kept until it was released as often as it was held."""
        channel = self._channels.get(thread_id)
        if channel is None:
            channel = self._channels[thread_id] = self._make_channel(thread_id)
        channel.holders += 1
        return channel

    def _make_channel(self, thread_id: str) -> Channel:
        return Channel(thread_id)

    def release(self, channel: Channel) -> None:
        """Give a hold back."""
        channel.holders -= 1
        self._drop_unused(channel.thread_id)

    def _drop_unused(self, thread_id: str) -> None:
        channel = self._channels.get(thread_id)
        if channel is not None and channel.holders <= 0:
            del self._channels[thread_id]

    def publish(self, rows: Sequence[LogRow]) -> None:
        """Bring committed rows to the channels and the listeners of all processes."""
        by_thread: dict[str, list[LogRow]] = {}
        for row in rows:
            by_thread.setdefault(row.thread_id, []).append(row)
        for thread_id, its_rows in by_thread.items():
            self._publish_in_thread(thread_id, its_rows)
        for listener in self._listeners:
            listener(rows)
        self.note_changed(by_thread.keys())

    def _publish_in_thread(self, thread_id: str, rows: Sequence[LogRow]) -> None:
        channel = self._channels.get(thread_id)
        if channel is not None:
            channel.add_rows(rows)

    def listen(self, listener: Callable[[Sequence[LogRow]], None]) -> None:
        """Call the listener with rows: all that this process publishes, all of threads that are read here, and the last
        row of other threads.
        """
        self._listeners.append(listener)

    def request_cancel(self, run_id: str) -> None:
        """Tell the owner of the run, in whichever process, to look at its cancel flag now."""
        for listener in self._cancel_listeners:
            listener(run_id)

    def listen_cancel(self, listener: Callable[[str], None]) -> None:
        """Call the listener with the id of each run that any process asks to cancel."""
        self._cancel_listeners.append(listener)

    def request_sweep(self) -> None:
        """Tell the other processes that there are runs to take over now."""

    def listen_sweep(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever another process requests a sweep."""
        self._sweep_listeners.append(listener)

    def revoke(self, subjects: Sequence[str]) -> None:
        """Tell all processes what was taken away: see `store.revocations`."""
        for listener in self._revoked_listeners:
            listener(subjects)

    def listen_revoked(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Call the listener with what any process took away."""
        self._revoked_listeners.append(listener)

    def tell_usage(self, facts: Mapping[str, Any]) -> None:
        """Tell all other processes what users use here; `facts` are JSON."""

    def listen_usage(self, listener: Callable[[Mapping[str, Any]], None]) -> None:
        """Call the listener with what another process tells of the usage there."""
        self._usage_listeners.append(listener)

    def listen_connected(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever other processes can be heard again: what they told meanwhile is lost."""
        self._connected_listeners.append(listener)

    # Which threads changed, whatever happened in them: for those who follow many at once.

    def note_changed(self, thread_ids: Collection[str]) -> None:
        """Tell all processes that something has changed in these threads, or who sees them. It may come late."""
        for listener in self._changed_listeners:
            listener(thread_ids)

    def listen_changed(self, listener: Callable[[Collection[str]], None]) -> None:
        """Call the listener with the ids of threads that change here and, while `hear_changes` is on, elsewhere."""
        self._changed_listeners.append(listener)

    def hear_changes(self, *, wanted: bool) -> None:
        """Begin or end to hear which threads change in other processes."""

    @property
    def hears_changes(self) -> bool:
        """Whether changes of all processes arrive here now."""
        return True

    def listen_missed(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever changes may have happened elsewhere that did not arrive here."""
        self._missed_listeners.append(listener)

    async def open(self) -> None:
        """Connect, where there is a server."""

    async def close(self) -> None:
        """Disconnect and drop all channels."""
        self._channels.clear()
