"""The clock of a run: it may work for hours, but not be silent for long."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ai_agents.core.exceptions import RunTimeout

# How often in the time limit the clock looks: a run is stopped so much later than its limit, at most.
_LOOKS = 20


class ProgressClock:
    """Measures the time since a run last made progress: text, reasoning, a part of a call, or a result.

    Progress is noted for each token, so that noting it only sets `has_moved`; a timer looks at that.
    """

    def __init__(self, limit_s: float) -> None:
        self.has_moved = False
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def note(self) -> None:
        """The run has made progress."""
        self.has_moved = True

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[None]:
        """Raise `RunTimeout` in the block once it has made no progress for `limit_s` seconds."""
        self._last = self._loop.time()
        try:
            async with asyncio.timeout(None) as scope:
                self._wait(scope)
                try:
                    yield
                finally:
                    if self._timer is not None:
                        self._timer.cancel()
        except TimeoutError as error:
            raise RunTimeout(f"The run made no progress for {self._limit_s:g} s.") from error

    def _wait(self, scope: asyncio.Timeout) -> None:
        self._timer = self._loop.call_later(self._limit_s / _LOOKS, self._look, scope)

    def _look(self, scope: asyncio.Timeout) -> None:
        now = self._loop.time()
        if self.has_moved:
            self._last, self.has_moved = now, False
        if now - self._last < self._limit_s:
            self._wait(scope)
        else:
            scope.reschedule(now)
