"""Jobs for Celery: after the commit their ids are published to Redis, and ids that were lost are published again.

The rows in the database are the truth. A message is only a hint that there is work, so a message may be lost, late, or
arrive twice.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ai_agents.bus.addresses import parse_address
from ai_agents.bus.failures import why_not_used
from ai_agents.context.contexts import Contexts
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.runner.process.periodic import PeriodicTask
from ai_agents.store import jobs
from ai_agents.store.database import Database
from ai_agents.workers.retention import retention_tasks
from ai_agents.workers.search import search_tasks

if TYPE_CHECKING:
    from celery import Celery

QUEUE = "ai-agents"
TASK = "worker.run_job"
# Longer than any job takes, see the settings of the worker: Redis delivers a message again that is not acknowledged by
# then. Of all programs on one broker the shortest of these times counts.
VISIBILITY_TIMEOUT_S = 2 * (600 + 60)
_SWEEP_EVERY_S = 3.0
# A job that waits for longer than this is published again. If the workers were only busy, they get it twice.
_AGAIN_AFTER_S = 15.0
_PAGE = 200
_LAST_SENDING_S = 2.0
_log = logging.getLogger(__name__)


def celery_settings(redis_url: str, **transport: float) -> dict[str, Any]:
    """Celery's settings of this broker, with more `transport` options."""
    settings = parse_address(redis_url).celery_settings()
    settings["broker_transport_options"] |= {"visibility_timeout": VISIBILITY_TIMEOUT_S, **transport}
    return settings


class CeleryJobs:
    """Publishes the jobs of a database to Celery. It is the executor's `background` where Redis is set."""

    def __init__(self, database: Database, redis_url: str, *, retention: Mapping[str, int | None]) -> None:
        self._database = database
        self._redis_url = redis_url
        self._retention = retention
        self._celery: Celery | None = None
        self._to_send: dict[str, None] = {}
        self._sending: asyncio.Task[None] | None = None

    def start(self, contexts: Contexts) -> None:
        """Does nothing: the workers build contexts of their own."""

    def wake(self, job_ids: Sequence[str]) -> None:
        """Publish these jobs soon."""
        self._to_send.update(dict.fromkeys(job_ids))
        if self._to_send and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send_all(), name="ai-agents-send-jobs")

    def periodic_tasks(self) -> list[PeriodicTask]:
        """Publishing jobs that were lost, requesting retention, and tending the index of messages."""
        retention = retention_tasks(self._database, self._retention, self.wake)
        return [PeriodicTask(_SWEEP_EVERY_S, self._sweep), *retention, *search_tasks(self._database, self.wake)]

    async def drain(self, grace_s: float) -> None:
        """Publish the remaining jobs, for at most `grace_s` seconds (but at least two)."""
        if self._sending is not None and not self._sending.done():
            await asyncio.wait({self._sending}, timeout=max(grace_s, _LAST_SENDING_S))
            self._sending.cancel()

    async def _sweep(self) -> None:
        """Publish jobs that were lost. If several processes ask at once, one of them gets each job."""
        unsent = await self._database.write(lambda c: jobs.take_unsent(c, again_after_s=_AGAIN_AFTER_S, limit=_PAGE))
        self.wake(unsent)

    async def _send_all(self) -> None:
        """Publish jobs. Jobs that cannot be published are left to the next sweep of this process or of another."""
        while self._to_send:
            job_ids, self._to_send = list(self._to_send), {}
            try:
                await asyncio.to_thread(self._send, job_ids)
            except Exception as error:  # noqa: BLE001  # Celery, kombu and redis-py raise many kinds of errors
                reason = why_not_used(error, self._redis_url) or type(error).__name__
                _log.warning("jobs could not be sent, trying again later", extra={"reason": reason})
                with suppress(DatabaseUnavailable):  # then a sweep finds them once they have waited long enough
                    await self._database.write(partial(jobs.put_back, job_ids=job_ids))

    def _send(self, job_ids: Sequence[str]) -> None:
        if self._celery is None:
            from celery import Celery

            self._celery = Celery("ai-agents", set_as_current=False)
            self._celery.conf.update(
                celery_settings(
                    self._redis_url,
                    # A Redis that hangs or is down must not block the process.
                    socket_timeout=5,
                    socket_connect_timeout=2,
                    max_retries=0,
                )
            )
        with self._celery.connection_for_write() as connection, self._celery.amqp.Producer(connection) as producer:
            for job_id in job_ids:
                self._celery.send_task(TASK, [job_id], queue=QUEUE, ignore_result=True, retry=False, producer=producer)
