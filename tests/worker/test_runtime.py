"""The event loop of a pool process."""

import asyncio

import pytest
from redis.asyncio import Redis

from app.settings import Settings
from tests.support.redis_server import RedisServer
from worker.runtime import Runtime, current


async def loop_id() -> int:
    return id(asyncio.get_running_loop())


def test_every_job_runs_on_the_same_loop() -> None:
    runtime = Runtime(Settings())
    assert runtime.run(loop_id()) == runtime.run(loop_id())
    runtime.close()


def test_a_connection_opened_by_one_job_serves_the_next(redis_server: RedisServer) -> None:
    runtime = Runtime(Settings())
    client = Redis.from_url(redis_server.url)

    async def connection_id() -> int:
        return await client.client_id()

    assert runtime.run(connection_id()) == runtime.run(connection_id())
    runtime.run(client.aclose())
    runtime.close()


def test_a_job_that_takes_too_long_cleans_up_before_its_error_is_raised() -> None:
    runtime = Runtime(Settings())
    cleaned_up = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.append(True)

    with pytest.raises(TimeoutError):
        runtime.run(endless(), timeout_s=0.01)

    assert cleaned_up == [True]
    assert runtime.run(loop_id()) > 0
    runtime.close()


def test_a_process_outside_of_the_pool_has_no_runtime() -> None:
    with pytest.raises(RuntimeError, match="does not belong to it"):
        current()
