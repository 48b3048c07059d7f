"""What a worker does beside its jobs: it says that it is alive, and sends again what Redis or a worker lost.

It runs in the worker's own process, on a thread: the processes of the pool are busy with jobs, or being replaced.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from threading import Event, Thread

from celery import Celery
from celery.signals import worker_ready, worker_shutting_down

from ai_agents.runner.chores import Chore, do_chores
from ai_agents.store import periodic
from ai_agents.store.database import Database
from app.job_queue import SWEEP_EVERY_S, retention_chore, send, take_unsent
from app.settings import Settings

_BEAT_EVERY_S = 5.0
_STOPPING_S = 5.0
_log = logging.getLogger(__name__)


class Tending:
    """The thread, from the worker's start to its end."""

    def __init__(self, settings: Settings, celery: Celery) -> None:
        self.worker_id = f"{socket.gethostname()[:40]}-{os.getpid()}"
        self._settings = settings
        self._celery = celery
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="tending", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye, and end."""
        self._stopping.set()
        self._thread.join(_STOPPING_S)

    def _run(self) -> None:
        asyncio.run(self._tend())

    async def _tend(self) -> None:
        database = Database(self._settings.database, pool_size=1)
        hurry = asyncio.Event()
        hurry.set()
        chores = asyncio.create_task(do_chores(self._chores(database), hurry))
        try:
            await asyncio.to_thread(self._stopping.wait)
            chores.cancel()
            await asyncio.wait({chores})
            await database.write(lambda c: periodic.say_goodbye(c, self.worker_id))
        finally:
            await database.close()

    def _chores(self, database: Database) -> list[Chore]:
        async def beat() -> None:
            await database.write(lambda c: periodic.beat(c, self.worker_id))

        async def sweep() -> None:
            await self._send(await take_unsent(database))

        asked: list[str] = []

        async def send_asked() -> None:
            job_ids = asked.copy()
            asked.clear()
            await self._send(job_ids)

        found = [Chore(_BEAT_EVERY_S, beat), Chore(SWEEP_EVERY_S, sweep)]
        if any(self._settings.retention.values()):
            found += [retention_chore(database, self._settings.retention, asked.extend), Chore(1.0, send_asked)]
        return found

    async def _send(self, job_ids: Sequence[str]) -> None:
        if not job_ids:
            return
        try:
            await asyncio.to_thread(send, self._celery, job_ids)
        except Exception as error:  # noqa: BLE001  # whatever Celery, kombu or redis-py raise: the next sweep sends again
            _log.warning("jobs could not be sent, trying again later: %s", type(error).__name__)


_tending: Tending | None = None


@worker_ready.connect
def start(**_: object) -> None:
    """Begin when the worker takes jobs."""
    global _tending  # noqa: PLW0603 - Celery calls this by signal and has no place to keep an object in
    from worker.main import celery

    _tending = Tending(Settings(), celery)
    _tending.start()


@worker_shutting_down.connect
def stop(**_: object) -> None:
    """End with the worker."""
    if _tending is not None:
        Thread(target=_tending.stop, daemon=True).start()
