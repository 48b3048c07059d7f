"""A run that works is not killed by the clock, however long it takes and however often its process dies."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.stream import Told
from tests.support.redis_server import RedisServer

# The first use of a provider takes seconds on a busy machine, and none of them is progress.
LIMIT_S = 8


@pytest.fixture
async def hurried_pair(
    server_directory: Path, postgresql_url: str, redis_server: RedisServer
) -> AsyncIterator[Cluster]:
    """Two processes whose runs may be silent for a few seconds."""
    limit = {"AI_AGENTS_RUN_TIMEOUT_S": str(LIMIT_S)}
    async with open_cluster(server_directory, postgresql_url, redis_server.url, **limit) as cluster:
        await cluster.start_two()
        yield cluster


def has_lost(times: int, told: Told) -> bool:
    return told.types().count("run.retrying") == times


async def test_a_run_that_is_taken_over_twice_and_works_ends_in_its_own_time(hurried_pair: Cluster) -> None:
    one, two = hurried_pair.replicas
    thread_id = await hurried_pair.make_thread(one)
    began = time.monotonic()
    run = await hurried_pair.send(one, thread_id, "words=500 pause=0.02")
    source = hurried_pair.follow([one, two], thread_id, run["id"])
    await source.until_text(20)
    for lost, victim in enumerate((one, two), start=1):
        victim.kill()
        await source.until(partial(has_lost, lost))  # the other one has it now
        await victim.start()
    ended = await hurried_pair.until_ended(one, thread_id, run["id"], timeout_s=60)
    assert (ended["status"], ended["attempt"]) == ("completed", 3)
    assert time.monotonic() - began > 2 * LIMIT_S


async def test_a_run_whose_provider_falls_silent_fails(hurried_pair: Cluster) -> None:
    one, _ = hurried_pair.replicas
    thread_id = await hurried_pair.make_thread(one)
    run = await hurried_pair.send(one, thread_id, "words=8 gate=never at=4")
    async with asyncio.timeout(30):
        ended = await hurried_pair.until_ended(one, thread_id, run["id"])
    assert (ended["status"], ended["error"]["code"]) == ("failed", "provider_timeout")
