"""Fixtures of the fault tests: how much of what is long is run, which servers it is run on."""

import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.support.cluster import Cluster, open_cluster
from tests.support.postgres import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.shared import SharedDirectory

SOAK = os.environ.get("SOAK") == "1"


def amount(*, sample: int, all_of_it: int) -> int:
    """How often something is done: a sample in `make test`, all of it in `make soak`."""
    return all_of_it if SOAK else sample


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Chance, of a seed that a failed test shows; FAULTS_SEED repeats it."""
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"FAULTS_SEED={seed}")  # noqa: T201  # pytest shows it where the test fails
    return random.Random(seed)


@pytest.fixture
async def embedded(server_directory: Path, database_url: str) -> AsyncIterator[Cluster]:
    """A service without Redis, on either database."""
    async with open_cluster(server_directory, database_url, None) as cluster:
        yield cluster


@pytest.fixture
async def cluster(server_directory: Path, postgresql_url: str, redis_server: RedisServer) -> AsyncIterator[Cluster]:
    """A service of several processes on PostgreSQL and Redis that live as long as the test."""
    async with open_cluster(server_directory, postgresql_url, redis_server.url) as cluster:
        yield cluster


@pytest.fixture(scope="session")
async def lasting_pair(
    shared_directory: SharedDirectory, postgres: PostgresServer, own_redis_server: RedisServer
) -> AsyncIterator[Cluster]:
    """Two processes for all tests of this one that do them no harm; those take `pair`."""
    name = f"pair_{os.getpid()}"
    directory = shared_directory.path / name
    directory.mkdir()
    async with open_cluster(directory, postgres.create_database(name), own_redis_server.url) as cluster:
        # Both migrate the empty database at once.
        await cluster.start_two()
        yield cluster
    postgres.drop_database(name)


@pytest.fixture
def pair(lasting_pair: Cluster, redis_server: RedisServer) -> Cluster:
    """A service of two processes, running, whose provider remembers nothing of other tests."""
    lasting_pair.model.requests.clear()
    lasting_pair.model.gates.clear()
    return lasting_pair


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
    server.restart()
    server.stop()
