"""Jobs for Celery: after the commit their ids leave for Redis, and what it or a worker lost is sent again.

The rows in the database are the truth. A message is no more than a hint that there is something to do, so that it does
no harm where it is lost, late, or comes twice.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ai_agents.context.contexts import Contexts
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.runner.process.periodic import PeriodicTask
from ai_agents.store import jobs
from ai_agents.store.database import Database

if TYPE_CHECKING:
    from celery import Celery

QUEUE = "ai-agents"
TASK = "worker.run_job"
# Longer than a worker takes for any job, see its settings: Redis hands out again what is not acknowledged by then, and
# of all programs on one broker the shortest time counts.
VISIBILITY_TIMEOUT_S = 2 * (600 + 60)
SWEEP_EVERY_S = 3.0
# A job that waits for longer than this was lost on the way, or the workers are busy; then it is known to them twice.
SENT_AGAIN_AFTER_S = 15.0
_PAGE = 200
_LAST_SENDING_S = 2.0
_log = logging.getLogger(__name__)


class Sender:
    """Sends jobs to Celery. One that Redis keeps from it is told of at once, and not tried again here."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._celery: Celery | None = None

    async def send(self, database: Database, job_ids: Sequence[str]) -> None:
        """Send jobs; those that cannot be sent from here are left to whoever looks next, in this process or another."""
        if not job_ids:
            return
        try:
            await asyncio.to_thread(self._send, job_ids)
        except Exception as error:  # noqa: BLE001  # whatever Celery, kombu or redis-py raise
            _log.warning("jobs could not be sent, trying again later: %s", type(error).__name__)
            with suppress(DatabaseUnavailable):  # then they are found when they have waited for long enough
                await database.write(lambda c: jobs.put_back(c, job_ids))

    def _send(self, job_ids: Sequence[str]) -> None:
        if self._celery is None:
            self._celery = self._connect()
        with self._celery.connection_for_write() as connection, self._celery.amqp.Producer(connection) as producer:
            for job_id in job_ids:
                self._celery.send_task(TASK, [job_id], queue=QUEUE, ignore_result=True, retry=False, producer=producer)

    def _connect(self) -> "Celery":
        from celery import Celery

        made = Celery("ai-agents", broker=self._redis_url, set_as_current=False)
        made.conf.broker_transport_options = {
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            # A Redis that hangs or is away must not hold anything up.
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "max_retries": 0,
        }
        return made


async def take_unsent(database: Database) -> list[str]:
    """Ids of jobs that have to be sent (again) now; of several processes that look, each id goes to one."""
    return await database.write(lambda c: jobs.take_unsent(c, again_after_s=SENT_AGAIN_AFTER_S, limit=_PAGE))


class CeleryJobs:
    """Sends the jobs of a database, as the executor wants to be rid of them."""

    def __init__(self, database: Database, redis_url: str, *, periodic_tasks: Sequence[PeriodicTask] = ()) -> None:
        self._database = database
        self._sender = Sender(redis_url)
        self._chores = tuple(periodic_tasks)
        self._to_send: dict[str, None] = {}
        self._sending: asyncio.Task[None] | None = None

    def offer(self, contexts: Contexts) -> None:
        """Models are asked by the workers."""

    def wake(self, job_ids: Sequence[str]) -> None:
        """Send these jobs soon."""
        self._to_send.update(dict.fromkeys(job_ids))
        if self._to_send and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send_all(), name="ai-agents-send-jobs")

    def periodic_tasks(self) -> list[PeriodicTask]:
        """Sending what was lost."""
        return [PeriodicTask(SWEEP_EVERY_S, self._sweep), *self._chores]

    async def drain(self, grace_s: float) -> None:
        """Send what is still to be sent."""
        if self._sending is not None and not self._sending.done():
            await asyncio.wait({self._sending}, timeout=max(grace_s, _LAST_SENDING_S))
            self._sending.cancel()

    async def _sweep(self) -> None:
        self.wake(await take_unsent(self._database))

    async def _send_all(self) -> None:
        while self._to_send:
            job_ids, self._to_send = list(self._to_send), {}
            await self._sender.send(self._database, job_ids)


def retention_chore(database: Database, periods: Mapping[str, int | None], wake: Any) -> PeriodicTask:
    """Asking for the job that removes what has been kept for long enough, in whichever process comes first."""
    from ai_agents.workers.retention import LOOK_EVERY_S, request_retention

    async def ask() -> None:
        try:
            job_id = await database.write(lambda c: request_retention(c, periods))
        except DatabaseUnavailable:
            return
        if job_id is not None:
            wake([job_id])

    return PeriodicTask(LOOK_EVERY_S, ask)
