"""A worker with a job that does not end, and little patience with it; the tests start it as a process."""

import asyncio
import os

from celery import shared_task
from redis.asyncio import Redis

import worker.main
from worker import runtime


@shared_task(name="tests.stuck")
def stuck(key: str) -> None:
    """Tell on a Redis list which process is at it, and go on for ever."""
    process = runtime.current()
    process.run(_tell_and_wait(process.redis, key))


async def _tell_and_wait(client: Redis, key: str) -> None:
    await client.rpush(key, os.getpid())
    await asyncio.Event().wait()


def main() -> None:
    """Run the worker with this module's job."""
    worker.main.GRACE_S = 0.5
    worker.main.celery.conf.include = ["worker.tasks", "tests.worker.stuck_worker"]
    worker.main.run()
