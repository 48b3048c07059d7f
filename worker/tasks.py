"""What the worker can be asked to do: thin bindings that hand a coroutine to the process's runtime."""

import asyncio
import logging
import os

import orjson
from celery import shared_task
from redis.asyncio import Redis

from ai_agents.core.exceptions import DatabaseUnavailable
from app.job_queue import TASK
from worker import runtime

PING_KEPT_S = 60
# How many more jobs one process does beside the one that it was sent.
OTHERS = 7
_log = logging.getLogger(__name__)


@shared_task(name=TASK)
def run_job(job_id: str) -> None:
    """Carry out the job of this id, if it is still to be done and nobody is at it, and some that wait."""
    process = runtime.current()
    process.run(_carry_out(process, job_id))


async def _carry_out(process: runtime.Runtime, job_id: str) -> None:
    try:
        container = await process.container()
        await container.job_runner.run_with_others(job_id, others=OTHERS)
    except DatabaseUnavailable:
        # The row is still there, and will be sent again.
        _log.warning("database unavailable, a job is done later", extra={"job_id": job_id})


@shared_task(name="worker.ping")
def ping(token: str) -> None:
    """Answer on the Redis list `ai-agents:ping:<token>`: jobs are taken, and the loop and the Redis client work.

    The answer is `{"pid", "loop"}` as JSON: which process answered, and the identity of its event loop.
    """
    process = runtime.current()
    process.run(_answer(process.redis, f"ai-agents:ping:{token}"), timeout_s=10)


async def _answer(client: Redis, key: str) -> None:
    async with client.pipeline() as pipe:
        pipe.rpush(key, orjson.dumps({"pid": os.getpid(), "loop": id(asyncio.get_running_loop())}))
        pipe.expire(key, PING_KEPT_S)
        await pipe.execute()
