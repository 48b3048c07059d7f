"""The clock of a run: it may work for hours, but not be silent for long."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ai_agents.core.exceptions import RunTimeout
from ai_agents.core.types import ModelEvent, PartDelta


class ProgressClock:
    """Measures the time since a run last made progress: text, reasoning, a part of a call, or a result.

    Noting progress only stores the time, since it happens for each token. One timer looks at it when `limit_s` may be
    over.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def note(self) -> None:
        """The run has made progress."""
        self._last = self._loop.time()

    def note_event(self, event: ModelEvent) -> None:
        """The model has said something. A delta without text is no progress: some servers send them to stay alive."""
        if type(event) is not PartDelta or event.text:
            self._last = self._loop.time()

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[None]:
        """Raise `RunTimeout` in the block once it has made no progress for `limit_s` seconds."""
        self.note()
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
        self._timer = self._loop.call_at(self._last + self._limit_s, self._look, scope)

    def _look(self, scope: asyncio.Timeout) -> None:
        if self._last + self._limit_s > self._loop.time():
            self._wait(scope)
        else:
            scope.reschedule(self._loop.time())
