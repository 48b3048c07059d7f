"""The job of the workers, and one event loop per process of the pool, for all its jobs.

A connection pool belongs to the loop that it was opened on. One loop for the life of the process means that pools are
opened once and used by every job. The loop runs in a thread of its own, also between jobs, so that jobs can finish
publishing and connections to Redis stay alive.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from threading import Thread
from typing import Any, TypeVar

from celery import shared_task
from celery.signals import worker_process_init, worker_process_shutdown

from ai_agents.core.exceptions import DatabaseUnavailable
from app.container import Container, open_container
from app.job_queue import TASK
from app.settings import Settings
from app.tracing import WORKER, start_tracing

JOB_TIME_LIMIT_S = 600
# How many other due jobs a process runs at the same time as the one that it was sent.
OTHERS = 7
_CLOSING_S = 10.0
_log = logging.getLogger(__name__)

T = TypeVar("T")


class Runtime:
    """An event loop in a thread, and the resources that were opened on it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
        self._thread.start()
        self._sending = start_tracing(settings, service=WORKER)
        self._opened = AsyncExitStack()
        self._container: Container | None = None

    def run(self, job: Coroutine[Any, Any, T], *, timeout_s: float = JOB_TIME_LIMIT_S) -> T:
        """Run a job to its end.

        Raises `TimeoutError` after `timeout_s`, once the job is cancelled and has cleaned up. Celery's soft time limit
        cannot be used for this: it interrupts the waiting thread and leaves the job pending in the loop.
        """
        running = asyncio.run_coroutine_threadsafe(asyncio.wait_for(job, timeout_s), self._loop)
        try:
            return running.result()
        except BaseException:
            # The process has to end while the job runs.
            running.cancel()
            raise

    async def container(self) -> Container:
        """The container for jobs. The first job opens it, so that a database that is down does not end the process."""
        if self._container is None:
            self._container = await self._opened.enter_async_context(open_container(self._settings))
        return self._container

    def close(self) -> None:
        """Close the resources, the last one first, and the loop."""
        try:
            closing = asyncio.run_coroutine_threadsafe(self._opened.aclose(), self._loop)
            closing.result(_CLOSING_S)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLOSING_S)
            if not self._thread.is_alive():
                self._loop.close()
            if self._sending is not None:
                self._sending.close()


_current: Runtime | None = None


def current() -> Runtime:
    """The process's runtime. Raises `RuntimeError` in a process that is not of the pool."""
    if _current is None:
        raise RuntimeError("jobs run in the worker's pool, and this process does not belong to it")
    return _current


@worker_process_init.connect
def start(**_: object) -> None:
    """Create the process's runtime."""
    global _current  # noqa: PLW0603 - Celery calls this by signal and has no place to keep an object in
    _current = Runtime(Settings())


@worker_process_shutdown.connect
def close(**_: object) -> None:
    """Close the process's runtime."""
    global _current  # noqa: PLW0603 - as in `start`
    if _current is not None:
        _current.close()
        _current = None


@shared_task(name=TASK)
def run_job(job_id: str) -> None:
    """Carry out this job, if it is due and unclaimed, and some other due jobs."""
    current().run(_run_job(job_id))


async def _run_job(job_id: str) -> None:
    try:
        container = await current().container()
        await container.job_runner.run_with_others(job_id, others=OTHERS)
    except DatabaseUnavailable as error:
        # The row is still there, and will be published again.
        _log.warning("database unavailable, a job is done later", extra={"job_id": job_id, "reason": str(error)})
