"""What a worker does beside its jobs: it says that it is alive, and sends again what Redis or a worker lost.

It runs in the worker's own process, on a thread: the processes of the pool are busy with jobs, or being replaced. When
Celery has ended, however it did, the thread holds nothing up: a worker that takes no jobs must not look alive.
"""

import asyncio
import os
import socket
from contextlib import suppress
from threading import Thread

from celery.signals import worker_ready, worker_shutdown, worker_shutting_down

from ai_agents.runner.process.periodic import PeriodicTask, run_periodic_tasks
from ai_agents.store import processes
from ai_agents.store.database import Database
from app.job_queue import SWEEP_EVERY_S, JobPublisher, retention_task, take_unsent
from app.settings import Settings

_BEAT_EVERY_S = 5.0
_STOPPING_S = 5.0


class Tending:
    """The thread, from the worker's start to its end."""

    def __init__(self, settings: Settings) -> None:
        self.worker_id = f"{socket.gethostname()[:40]}-{os.getpid()}"
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = Thread(target=self._run, name="tending", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye, and end; a second time nothing happens."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOPPING_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._tend())

    async def _tend(self) -> None:
        database = Database(self._settings.database, pool_size=1)
        hurry = asyncio.Event()
        hurry.set()
        periodic_tasks = asyncio.create_task(run_periodic_tasks(self._chores(database), hurry))
        try:
            await self._stopping.wait()
            periodic_tasks.cancel()
            await asyncio.wait({periodic_tasks})
            await database.write(lambda c: processes.remove_heartbeat(c, self.worker_id))
        finally:
            await database.close()

    def _chores(self, database: Database) -> list[PeriodicTask]:
        publisher = JobPublisher(str(self._settings.redis_url))
        asked: list[str] = []

        async def beat() -> None:
            await database.write(lambda c: processes.record_heartbeat(c, self.worker_id))

        async def sweep() -> None:
            await publisher.send(database, await take_unsent(database))

        async def send_asked() -> None:
            job_ids = asked.copy()
            asked.clear()
            await publisher.send(database, job_ids)

        found = [PeriodicTask(_BEAT_EVERY_S, beat), PeriodicTask(SWEEP_EVERY_S, sweep)]
        if any(self._settings.retention.values()):
            found += [retention_task(database, self._settings.retention, asked.extend), PeriodicTask(1.0, send_asked)]
        return found


_tending: Tending | None = None


@worker_ready.connect
def start(**_: object) -> None:
    """Begin when the worker takes jobs."""
    global _tending  # noqa: PLW0603 - Celery calls this by signal and has no place to keep an object in
    _tending = Tending(Settings())
    _tending.start()


@worker_shutting_down.connect
def stop(**_: object) -> None:
    """End with the worker's last jobs still under way: it takes no more."""
    if _tending is not None:
        Thread(target=_tending.stop, daemon=True).start()


@worker_shutdown.connect
def end(**_: object) -> None:
    """End with a worker that nobody told to stop: it met an error."""
    if _tending is not None:
        _tending.stop()
