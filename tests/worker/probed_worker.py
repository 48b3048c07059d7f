"""A worker with two jobs for tests: one that answers, and one that does not end. The tests start it as a process."""

import asyncio
import json
import os

from celery import shared_task
from redis.asyncio import Redis

import worker.main
from worker import runtime
from worker.configuration import broker_url

ANSWER_KEPT_S = 60


@shared_task(name="tests.ping")
def ping(token: str) -> None:
    """Push `{"pid", "loop"}` to the Redis list `tests:ping:<token>`: the process that runs the job, and its loop."""
    runtime.current().run(_answer(f"tests:ping:{token}"), timeout_s=10)


@shared_task(name="tests.stuck")
def stuck(key: str) -> None:
    """Push the id of the process to a Redis list, and go on for ever."""
    runtime.current().run(_tell_and_wait(key))


async def _answer(key: str) -> None:
    async with Redis.from_url(broker_url) as client, client.pipeline() as pipe:
        pipe.rpush(key, json.dumps({"pid": os.getpid(), "loop": id(asyncio.get_running_loop())}))
        pipe.expire(key, ANSWER_KEPT_S)
        await pipe.execute()


async def _tell_and_wait(key: str) -> None:
    async with Redis.from_url(broker_url) as client:
        await client.rpush(key, os.getpid())
    await asyncio.Event().wait()


def prepare() -> None:
    """Give the worker that this process is to be this module's jobs, and a short time for them after SIGTERM."""
    worker.main.GRACE_S = 0.5
    worker.main.celery.conf.include = ["worker.runtime", "tests.worker.probed_worker"]


def main() -> None:
    """Be that worker."""
    prepare()
    worker.main.run()
