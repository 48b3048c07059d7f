"""Work that is done to its end, though whoever waits for it may go away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Unfinished:
    """Tasks that no caller's cancellation stops."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do the work, whether somebody waits for it or not."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._has_finished)
        return task

    async def to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives. A caller that is cancelled does not stop it."""
        return await asyncio.shield(self.begin(work))

    async def wait(self, timeout_s: float | None = None) -> None:
        """Wait until all that has been begun is done, or for so long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._tasks)

    def _has_finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        task.cancelled() or task.exception()  # nobody may be left to hear of an error
