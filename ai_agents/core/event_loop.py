"""The event loop of a process: how busy it is, and work on it that outlasts its caller."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
# More than this is late: a busy event loop takes a few milliseconds for one round.
_CALM_S = 0.003
_PAUSE_PER_LATENESS = 12.0
_WEIGHT = 0.1
# An older measurement says nothing about now.
_FRESH_S = 0.25


class Pressure:
    """How late the event loop does what is due: a moving average.

    A token that is sent alone costs several times what it costs in a batch. While there is time, each token is sent as
    it arrives. When the event loop falls behind, the senders of text pause and send more at once, so that new work, a
    first token or a request, does not wait behind all that text.
    """

    def __init__(self) -> None:
        self._lateness_s = 0.0
        self._noted = float("-inf")
        # Whether `pause_s` may be more than 0.
        self.is_late = False

    def note(self, due: float) -> None:
        """Record that something is done now that was due then, by `time.monotonic`."""
        now = time.monotonic()
        lateness_s = max(now - due, 0.0)
        weight = _WEIGHT if now - self._noted < _FRESH_S else 1.0
        self._lateness_s += weight * (lateness_s - self._lateness_s)
        self._noted = now
        self.is_late = self._lateness_s > _CALM_S

    def pause_s(self, longest_s: float) -> float:
        """How long to collect text before it is sent; 0 while the event loop keeps up."""
        if not self.is_late or time.monotonic() - self._noted >= _FRESH_S:
            return 0.0
        return min((self._lateness_s - _CALM_S) * _PAUSE_PER_LATENESS, longest_s)


# A process has one event loop.
pressure = Pressure()


class Unfinished:
    """Tasks that a caller's cancellation does not stop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start the work; it runs on even if its caller goes away."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._has_finished)
        return task

    async def to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work. If the caller is cancelled, the work still finishes."""
        return await asyncio.shield(self.begin(work))

    async def wait(self, timeout_s: float | None = None) -> None:
        """Wait until all tasks are done, at most this long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def cancel(self) -> None:
        """Cancel what is still running."""
        for task in self._tasks:
            task.cancel()

    def __bool__(self) -> bool:
        """Whether any task is still running."""
        return bool(self._tasks)

    def _has_finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        task.cancelled() or task.exception()  # a cancelled caller does not look at an error any more
