"""The Celery tasks: each hands a coroutine to the process's runtime."""

import logging

from celery import shared_task

from ai_agents.core.exceptions import DatabaseUnavailable
from app.job_queue import TASK
from worker import runtime

# How many other due jobs a process runs at the same time as the one that it was sent.
OTHERS = 7
_log = logging.getLogger(__name__)


@shared_task(name=TASK)
def run_job(job_id: str) -> None:
    """Carry out this job, if it is due and unclaimed, and some other due jobs."""
    process = runtime.current()
    process.run(_run_job(process, job_id))


async def _run_job(process: runtime.Runtime, job_id: str) -> None:
    try:
        container = await process.container()
        await container.job_runner.run_with_others(job_id, others=OTHERS)
    except DatabaseUnavailable:
        # The row is still there, and will be published again.
        _log.warning("database unavailable, a job is done later", extra={"job_id": job_id})
