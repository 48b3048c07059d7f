"""Runs plain functions beside the event loop, in threads that can be left behind when they hang."""

import asyncio
import contextvars
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ai_agents.tools.base import ToolError

Outcome = tuple[Any, BaseException | None]


class ToolThreads:
    """At most `limit` calls at once, each in a daemon thread, so that one that hangs holds up neither others nor exit.

    No thread can be ended from outside. One whose caller stopped waiting is abandoned: it frees its place at once and
    is counted until it ends. A tool of which `max_abandoned` threads hang is refused meanwhile; others go on.
    """

    def __init__(self, *, limit: int = 32, max_abandoned: int = 8) -> None:
        self._places = asyncio.Semaphore(limit)
        self._max_abandoned = max_abandoned
        self._abandoned: Counter[str] = Counter()

    @property
    def abandoned(self) -> int:
        """How many threads are still running though nobody waits for them."""
        return self._abandoned.total()

    async def run(self, key: str, function: Callable[[], Any]) -> Any:
        """What the function returns or raises; `key` is under whose name the thread counts if it is abandoned.

        Raises `ToolError` where too many threads of this key hang.
        """
        async with self._places:
            if self._abandoned[key] >= self._max_abandoned:
                raise ToolError("The tool is not available now: too many earlier calls have not come back.")
            call = _Call(function, asyncio.get_running_loop())
            call.start(f"tool-{key}")
            try:
                value, error = await call.outcome
            except asyncio.CancelledError:
                self._abandoned[key] += 1
                call.when_ended(lambda: self._came_back(key))
                raise
        if error is not None:
            raise error
        return value

    def _came_back(self, key: str) -> None:
        self._abandoned[key] -= 1
        if not self._abandoned[key]:
            del self._abandoned[key]


class _Call:
    """One function in its thread. All but the function runs in the loop."""

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.outcome: asyncio.Future[Outcome] = loop.create_future()
        self._loop = loop
        self._function = function
        self._ended = False
        self._callback: Callable[[], None] | None = None

    def start(self, name: str) -> None:
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._work,), name=name, daemon=True).start()

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call back once the thread has ended; at once if it has."""
        if self._ended:
            callback()
        else:
            self._callback = callback

    def _work(self) -> None:
        outcome: Outcome
        try:
            outcome = self._function(), None
        except BaseException as error:  # noqa: BLE001  # the edge of the thread: whatever it is goes to the one who waits
            outcome = None, error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._end, outcome)

    def _end(self, outcome: Outcome) -> None:
        self._ended = True
        if not self.outcome.done():
            self.outcome.set_result(outcome)
        if self._callback is not None:
            self._callback()
