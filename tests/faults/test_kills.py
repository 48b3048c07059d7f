"""Processes and servers killed at random moments under load: nothing acknowledged is lost, doubled or stuck."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.conftest import amount
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.load import talk_through
from tests.support.postgres import PostgresServer
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.soak
KILLS = amount(sample=4, all_of_it=100)
KILLS_OF_ONE = amount(sample=2, all_of_it=50)
THREADS = amount(sample=6, all_of_it=12)


class Killer:
    """Kills something at random moments, and starts it again a moment later."""

    def __init__(self, cluster: Cluster, postgres: PostgresServer, redis: RedisServer, rng: random.Random) -> None:
        self.killed: Counter[str] = Counter()
        self._cluster = cluster
        self._postgres = postgres
        self._redis = redis
        self._rng = rng

    async def kill(self, times: int) -> None:
        """Kill so many times."""
        for _ in range(times):
            await asyncio.sleep(self._rng.uniform(0.2, 2.5))
            what = self._rng.choice(("process", "process", "redis", "postgresql", "database and process"))
            self.killed[what] += 1
            if "process" in what:
                await self._kill_process(and_database="database" in what)
            elif what == "redis":
                await self._kill_redis()
            else:
                await asyncio.to_thread(self._kill_postgres)

    async def _kill_process(self, *, and_database: bool) -> None:
        replica = self._rng.choice(self._cluster.replicas)
        replica.kill()
        if and_database:
            await asyncio.to_thread(self._kill_postgres)
        else:
            await asyncio.sleep(self._rng.choice((0, 0, 0.5, 3)))
        await replica.start()

    async def _kill_redis(self) -> None:
        self._redis.kill()
        await asyncio.sleep(self._rng.choice((0, 0.3, 2)))
        await asyncio.to_thread(self._redis.start)

    def _kill_postgres(self) -> None:
        self._postgres.kill()
        time.sleep(self._rng.choice((0, 0, 1)))  # in a thread of its own
        self._postgres.start()


@pytest.fixture
async def mortal(
    server_directory: Path, own_postgres: PostgresServer, own_redis: RedisServer
) -> AsyncIterator[Cluster]:
    """Two processes whose servers may be killed."""
    async with open_cluster(server_directory, own_postgres.create_database("faults"), own_redis.url) as cluster:
        await cluster.start_two()
        yield cluster


async def test_kills_of_the_only_process(server_directory: Path, sqlite_url: str, rng: random.Random) -> None:
    async with open_cluster(server_directory, sqlite_url, None) as embedded:
        only = await embedded.start()

        async def kill() -> None:
            for _ in range(KILLS_OF_ONE):
                await asyncio.sleep(rng.uniform(0.1, 2))
                only.kill()
                await only.start()

        await talk_through(embedded, kill(), threads=THREADS, rng=rng)


@pytest.fixture
def killer(mortal: Cluster, own_postgres: PostgresServer, own_redis: RedisServer, rng: random.Random) -> Killer:
    """Kills processes and servers of `mortal`."""
    return Killer(mortal, own_postgres, own_redis, rng)


async def test_kills_of_anything_lose_and_double_nothing(mortal: Cluster, killer: Killer, rng: random.Random) -> None:
    await talk_through(mortal, killer.kill(KILLS), threads=THREADS, rng=rng)
    assert sum(killer.killed.values()) == KILLS
    print(killer.killed)  # noqa: T201  # shown on failure
