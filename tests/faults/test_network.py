"""Connections to PostgreSQL and Redis that are cut, slow, refused or silent, under load."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.conftest import amount
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.load import talk_through
from tests.faults.support.proxy import Fault, TcpProxy
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.soak
TROUBLES = amount(sample=6, all_of_it=120)
THREADS = amount(sample=6, all_of_it=12)
# Setting up a connection to PostgreSQL takes about 500 bytes of answers, a turn some thousands.
_CUT_AFTER_BYTES = (700, 20_000)


@dataclass
class Network:
    """The proxies between the service and its servers."""

    to_database: TcpProxy
    to_redis: TcpProxy
    cluster: Cluster


@pytest.fixture
async def network(server_directory: Path, postgresql_url: str, redis_server: RedisServer) -> AsyncIterator[Network]:
    """Two processes that reach their servers through proxies."""
    database = urlsplit(postgresql_url)
    assert database.port is not None
    async with TcpProxy(database.port) as to_database, TcpProxy(redis_server.port) as to_redis:
        url = postgresql_url.replace(f":{database.port}/", f":{to_database.port}/")
        async with open_cluster(server_directory, url, f"redis://127.0.0.1:{to_redis.port}/0") as cluster:
            await cluster.start_two()
            yield Network(to_database, to_redis, cluster)


class Disturber:
    """Disturbs one of the two networks for a while, and lets it recover."""

    def __init__(self, network: Network, rng: random.Random) -> None:
        self._network = network
        self._rng = rng

    async def disturb(self, times: int) -> None:
        """Disturb a network, so many times."""
        troubles = [self._cut, self._refuse, self._delay, self._silence, self._cut]
        for number in range(times):
            await asyncio.sleep(self._rng.uniform(0.1, 0.8))
            proxy = self._rng.choice((self._network.to_database, self._network.to_redis))
            if number % len(troubles) == 0:
                self._rng.shuffle(troubles)
            await troubles[number % len(troubles)](proxy)
            proxy.choose = Fault
            proxy.silent = False
            proxy.delay_s = 0

    async def _cut(self, proxy: TcpProxy) -> None:
        proxy.choose = lambda: Fault(cut_after=self._rng.randint(*_CUT_AFTER_BYTES))
        proxy.cut_all()
        await asyncio.sleep(self._rng.uniform(0.5, 3))

    async def _refuse(self, proxy: TcpProxy) -> None:
        proxy.choose = lambda: Fault(refuse=True)
        proxy.cut_all()
        await asyncio.sleep(self._rng.uniform(0.1, 1.5))

    async def _delay(self, proxy: TcpProxy) -> None:
        proxy.delay_s = self._rng.uniform(0, 0.1)
        await asyncio.sleep(self._rng.uniform(0.5, 2))

    async def _silence(self, proxy: TcpProxy) -> None:
        proxy.silent = True
        await asyncio.sleep(self._rng.uniform(0.1, 3))


async def test_network_faults_lose_and_double_nothing(network: Network, rng: random.Random) -> None:
    await talk_through(network.cluster, Disturber(network, rng).disturb(TROUBLES), threads=THREADS, rng=rng)
    assert network.to_database.cuts + network.to_redis.cuts > 0, "no connection was cut"
