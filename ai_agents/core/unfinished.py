"""Work that runs to its end even if its caller is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


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

    def __bool__(self) -> bool:
        """Whether any task is still running."""
        return bool(self._tasks)

    def _has_finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        task.cancelled() or task.exception()  # a cancelled caller does not look at an error any more
