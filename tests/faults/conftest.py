"""Fixtures of the fault tests: how long they run, and the servers that they run on."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.support.cluster import Cluster, open_cluster
from tests.support.examples import SOAK
from tests.support.postgres import PostgresServer
from tests.support.processes import send_signal
from tests.support.redis_server import RedisServer
from tests.support.shared import SharedDirectory


def amount(*, sample: int, all_of_it: int) -> int:
    """The number to use: the sample in `make test`, all in `make soak`."""
    return all_of_it if SOAK else sample


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers; a failed test shows their seed, and FAULTS_SEED repeats it."""
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"FAULTS_SEED={seed}")  # noqa: T201  # pytest shows it where the test fails
    return random.Random(seed)


@pytest.fixture
async def embedded(server_directory: Path, database_url: str) -> AsyncIterator[Cluster]:
    """A service without Redis, on either database."""
    async with open_cluster(server_directory, database_url, None) as cluster:
        yield cluster


@pytest.fixture(scope="session")
async def lasting_pair(
    shared_directory: SharedDirectory, postgres: PostgresServer, own_redis_server: RedisServer
) -> AsyncIterator[Cluster]:
    """Two processes of the service, which the tests of this process share; tests take `pair`."""
    name = f"pair_{os.getpid()}"
    directory = shared_directory.path / name
    directory.mkdir()
    async with open_cluster(directory, postgres.create_database(name), own_redis_server.url) as cluster:
        # Both migrate the empty database at once.
        await cluster.start_two()
        yield cluster
    postgres.drop_database(name)


@pytest.fixture
async def pair(lasting_pair: Cluster, redis_server: RedisServer) -> AsyncIterator[Cluster]:
    """A service of two running processes. A test may harm them and Redis: this fixture repairs both.

    The provider and the counter server remember nothing of other tests.
    """
    counter = lasting_pair.counter
    for memory in (lasting_pair.model.requests, lasting_pair.model.gates, counter.counts, counter.idempotency_keys):
        memory.clear()
    lasting_pair.counter.arrived.clear()
    lasting_pair.counter.held.clear()
    await asyncio.gather(*(replica.start() for replica in lasting_pair.replicas if not replica.is_running))
    yield lasting_pair
    for replica in lasting_pair.replicas:
        replica.resume()
    revive(redis_server)
    await lasting_pair.settle()


def revive(redis: RedisServer) -> None:
    """Resume a Redis that was stopped, and start one that was killed."""
    if redis.is_running:
        send_signal(redis.pid, signal.SIGCONT)
    else:
        redis.start()


@pytest.fixture
def own_postgres(server_directory: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL to kill, which keeps what was committed."""
    server = PostgresServer(server_directory / "postgres", durable=True)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_redis(server_directory: Path) -> Iterator[RedisServer]:
    """A Redis to kill, which forgets everything."""
    server = RedisServer(server_directory / "redis")
    server.start()
    yield server
    revive(server)
    server.stop()
