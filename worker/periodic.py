"""The periodic tasks of a worker: its heartbeat, publishing jobs that were lost, and requesting retention.

They run in a thread of the worker's main process, since the processes of the pool are busy with jobs or being replaced.
The thread is a daemon: when Celery has ended, for any reason, the process ends and no longer looks alive.
"""

import asyncio
import os
from contextlib import suppress
from threading import Thread

from celery.signals import worker_ready, worker_shutdown, worker_shutting_down

from ai_agents.runner.process.periodic import PeriodicTask, run_periodic_tasks
from ai_agents.store import processes
from ai_agents.store.database import Database
from app.job_queue import CeleryJobs
from app.settings import Settings

_HEARTBEAT_EVERY_S = 5.0
_STOP_WITHIN_S = 5.0


class PeriodicThread:
    """A thread with an event loop that runs the periodic tasks from its making to `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._worker_id = f"{processes.worker_prefix()}{os.getpid()}"
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = Thread(target=self._run, name="periodic-tasks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and remove the heartbeat. May be called more than once."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOP_WITHIN_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run_tasks())

    async def _run_tasks(self) -> None:
        database = Database(self._settings.database, pool_size=1, direct_url=self._settings.database_direct_url)
        jobs = CeleryJobs(database, str(self._settings.redis_url), retention=self._settings.retention)

        async def record_heartbeat() -> None:
            await database.write(lambda c: processes.record_heartbeat(c, self._worker_id))

        tasks = [PeriodicTask(_HEARTBEAT_EVERY_S, record_heartbeat), *jobs.periodic_tasks()]
        run_now = asyncio.Event()
        run_now.set()
        running = asyncio.create_task(run_periodic_tasks(tasks, run_now, database))
        try:
            await self._stopping.wait()
            running.cancel()
            await asyncio.wait({running})
            await database.write(lambda c: processes.remove_heartbeat(c, self._worker_id))
            await jobs.drain(0)
        finally:
            await database.close()


_thread: PeriodicThread | None = None


@worker_ready.connect
def start(**_: object) -> None:
    """Start the thread when the worker takes jobs."""
    global _thread  # noqa: PLW0603 - Celery calls this by signal and has no place to keep an object in
    _thread = PeriodicThread(Settings())


@worker_shutting_down.connect
def stop(**_: object) -> None:
    """Stop the thread once the worker takes no more jobs, while the last jobs still run."""
    if _thread is not None:
        Thread(target=_thread.stop, daemon=True).start()


@worker_shutdown.connect
def end(**_: object) -> None:
    """Stop the thread of a worker that ends because of an error."""
    if _thread is not None:
        _thread.stop()
