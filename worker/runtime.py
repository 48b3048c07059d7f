"""One event loop per process of the pool, which all its jobs run on, one after the other.

Connection pools belong to the loop that they were opened on. With one loop for the life of the process they are opened
once and used by every job. The loop has a thread of its own and goes on between jobs: what they publish leaves, and
connections to Redis stay alive.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from threading import Thread
from typing import Any, TypeVar

from celery.signals import worker_process_init, worker_process_shutdown
from redis.asyncio import Redis

from app.container import Container, open_container
from app.settings import Settings

JOB_TIME_LIMIT_S = 600
_CLOSING_S = 10.0

T = TypeVar("T")


class Runtime:
    """An event loop and what has been opened on it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
        self._thread.start()
        self._opened = AsyncExitStack()
        self._container: Container | None = None
        self.redis = self._open(Redis.from_url(str(settings.redis_url)))

    def run(self, job: Coroutine[Any, Any, T], *, timeout_s: float = JOB_TIME_LIMIT_S) -> T:
        """Run a job to its end.

        Raises `TimeoutError` after `timeout_s`, when the job has been cancelled and has cleaned up. Celery's soft time
        limit is no way to do this: it interrupts whoever waits and leaves the job pending in the loop.
        """
        running = asyncio.run_coroutine_threadsafe(_limited(job, timeout_s), self._loop)
        try:
            return running.result()
        except BaseException:
            # The process is told to end while the job runs: the job hears of it, too.
            running.cancel()
            raise

    async def container(self) -> Container:
        """What jobs need, opened by the first that asks: a database that is away then is no end of the process."""
        if self._container is None:
            self._container = await self._opened.enter_async_context(open_container(self._settings))
        return self._container

    def close(self) -> None:
        """Close what was opened, the last first, and the loop."""
        try:
            closing = asyncio.run_coroutine_threadsafe(self._opened.aclose(), self._loop)
            closing.result(_CLOSING_S)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLOSING_S)
            if not self._thread.is_alive():
                self._loop.close()

    def _open(self, resource: AbstractAsyncContextManager[T]) -> T:
        return self.run(self._opened.enter_async_context(resource))


async def _limited(job: Coroutine[Any, Any, T], timeout_s: float) -> T:
    async with asyncio.timeout(timeout_s):
        return await job


_current: Runtime | None = None


def current() -> Runtime:
    """The process's runtime. Raises `RuntimeError` in a process that is none of the pool."""
    if _current is None:
        raise RuntimeError("jobs run in the worker's pool, and this process is none of it")
    return _current


@worker_process_init.connect
def start(**_: object) -> None:
    """Make the process's runtime."""
    global _current  # noqa: PLW0603 - Celery calls this by signal and has no place to keep an object in
    _current = Runtime(Settings())


@worker_process_shutdown.connect
def close(**_: object) -> None:
    """Close the process's runtime, if there is one."""
    global _current  # noqa: PLW0603 - as in `start`
    if _current is not None:
        _current.close()
        _current = None
