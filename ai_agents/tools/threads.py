"""Runs plain functions in threads, which can be abandoned when they hang."""

import asyncio
import contextvars
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ai_agents.tools.base import ToolError


class ToolThreads:
    """Runs at most `limit` calls at once, each in a daemon thread, which does not delay the end of the process.

    A thread cannot be ended from outside. If the caller of one stops waiting, the thread is abandoned: it no longer
    counts towards `limit`, but is counted until it ends. A tool with `max_abandoned` of them is refused; others go on.
    """

    def __init__(self, *, limit: int = 32, max_abandoned: int = 8) -> None:
        self._limit = asyncio.Semaphore(limit)
        self._max_abandoned = max_abandoned
        self._abandoned: Counter[str] = Counter()

    @property
    def abandoned(self) -> int:
        """How many abandoned threads are still running."""
        return self._abandoned.total()

    async def run(self, key: str, function: Callable[[], Any]) -> Any:
        """Return what the function returns, or raise what it raises. Abandoned threads are counted per `key`.

        Raises `ToolError` if too many threads of this key are abandoned.
        """
        async with self._limit:
            if self._abandoned[key] >= self._max_abandoned:
                raise ToolError("The tool is not available now: too many earlier calls have not come back.")
            ended = _start_thread(f"tool-{key}", function)
            try:
                value, error = await asyncio.shield(ended)
            except asyncio.CancelledError:
                self._abandoned[key] += 1
                ended.add_done_callback(lambda _: self._has_ended(key))
                raise
        if error is not None:
            raise error
        return value

    def _has_ended(self, key: str) -> None:
        self._abandoned[key] -= 1
        if not self._abandoned[key]:
            del self._abandoned[key]


def _start_thread(name: str, function: Callable[[], Any]) -> asyncio.Future[tuple[Any, BaseException | None]]:
    """Call the function in a thread of its own. The future gets its value or its error."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def work() -> None:
        outcome: tuple[Any, BaseException | None]
        try:
            outcome = function(), None
        except BaseException as error:  # noqa: BLE001  # the edge of the thread: the caller gets every error
            outcome = None, error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(ended.set_result, outcome)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=name, daemon=True).start()
    return ended
