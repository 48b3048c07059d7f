"""A thread's channel in this process, and what a bus does with channels.

Readers hold no queue: a reader is a place in the log and in the text (`seq`, `position`), and takes what lies beyond
it when it is woken. So a slow reader costs nothing but its place, and is caught up with one larger piece.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ai_agents.bus.progress import TextInProgress
from ai_agents.core.pressure import pressure
from ai_agents.core.types import LogRow

# Enough for every row of an ordinary turn; a reader further behind reads the log.
_KEPT_ROWS = 128
# Text that comes ten times a second still flows.
_LONGEST_PAUSE_S = 0.1


class Channel:
    """What this process knows of a thread beyond its log: the newest rows and the text in progress.

    `live` says that whatever happens in the thread is told here at once; where it is not, readers poll the log.
    `missed` counts the times that something may have happened without being told: readers then look at the log once.
    """

    __slots__ = (
        "_due",
        "_gathering",
        "_rows",
        "_scheduled",
        "_shown",
        "_wakers",
        "holders",
        "live",
        "missed",
        "progress",
        "thread_id",
    )

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id
        self.progress: TextInProgress | None = None
        self.live = True
        self.missed = 0
        self.holders = 0
        self._rows: deque[LogRow] = deque(maxlen=_KEPT_ROWS)
        self._wakers: set[Callable[[], None]] = set()
        # The wake-up to come, when it is due, and whether it lets text gather until then.
        self._scheduled: asyncio.Handle | None = None
        self._due = 0.0
        self._gathering = False
        # Whether readers were woken for text of the message in progress.
        self._shown = False

    def add_rows(self, rows: Sequence[LogRow]) -> None:
        """Take note of rows that were committed; a gap or a late one empties the memory, and the log is read
        instead.
        """
        for row in rows:
            progress = self.progress
            if progress is not None and row.resets and row.seq > progress.base_seq and row.run_id == progress.run_id:
                self.progress = None
            if self._rows and row.seq != self._rows[-1].seq + 1:
                if row.seq <= self._rows[-1].seq:
                    continue
                self._rows.clear()
            self._rows.append(row)
        self.touch()

    def rows_after(self, seq: int) -> list[LogRow] | None:
        """The known rows after `seq`; None where some are missing here and the log has to be read."""
        rows = self._rows
        if not rows or rows[-1].seq <= seq:
            return []
        if rows[0].seq > seq + 1:
            return None
        return [row for row in rows if row.seq > seq]

    def miss(self) -> None:
        """Something may have happened that was not told here."""
        self.missed += 1
        self.touch()

    def own(self) -> None:
        """A run of this thread is executed in this process from now on: its text comes from here, whatever others say.

        Given back with `disown` as often as it was called.
        """

    def disown(self) -> None:
        """One run fewer."""

    def begin(self, progress: TextInProgress) -> None:
        """A message begins; its writer appends to `progress` and calls `touch_text`."""
        self.progress = progress
        self._shown = False
        self.touch()

    def touch(self) -> None:
        """Wake the readers once this turn of the event loop is over: what one read from the network brought
        goes out as one.
        """
        if self._scheduled is not None and self._gathering:
            self._scheduled.cancel()
            self._scheduled = None
        self._schedule(0.0)

    def touch_text(self) -> None:
        """The same for more text: the first of a message at once, the rest when the event loop has time for it."""
        if self._scheduled is None:
            self._schedule(pressure.pause_s(_LONGEST_PAUSE_S) if self._shown else 0.0)
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
        """Call `waker` whenever there is something new."""
        self._wakers.add(waker)

    def detach(self, waker: Callable[[], None]) -> None:
        """Stop calling it."""
        self._wakers.discard(waker)

    @property
    def readers(self) -> int:
        """How many are attached."""
        return len(self._wakers)


class Bus(Protocol):
    """Brings the channels of one thread together, in one process or across many."""

    def hold(self, thread_id: str) -> Channel:
        """The thread's channel, kept until it is released as often as it was held."""
        ...

    def release(self, channel: Channel) -> None:
        """Give a hold back."""
        ...

    def publish(self, rows: Sequence[LogRow]) -> None:
        """Tell everybody of committed rows."""
        ...

    def listen(self, listener: Callable[[Sequence[LogRow]], None]) -> None:
        """Call the listener with every row that is published, by whomever."""
        ...

    def request_cancel(self, run_id: str) -> None:
        """Tell the owner of the run, wherever it is, to look at its cancel flag now."""
        ...

    def listen_cancel(self, listener: Callable[[str], None]) -> None:
        """Call the listener with the id of each run whose cancellation is asked for."""
        ...

    def request_sweep(self) -> None:
        """Tell the other processes that there are runs to be taken over now."""
        ...

    def listen_sweep(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever another process asks for that."""
        ...

    async def open(self) -> None:
        """Connect, where there is something to connect to."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
