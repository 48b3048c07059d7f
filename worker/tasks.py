"""What the worker can be asked to do: thin bindings that hand a coroutine to the process's runtime."""

import asyncio
import os

import orjson
from celery import shared_task
from redis.asyncio import Redis

from worker import runtime

PING_KEPT_S = 60


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
