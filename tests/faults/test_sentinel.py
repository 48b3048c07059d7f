"""Redis behind three Sentinels: another server becomes the master while people talk, and nothing is lost."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.sentinel import Sentinel

from tests.faults.conftest import amount
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.load import talk_through
from tests.faults.test_jobs import Workers, all_jobs
from tests.support.processes import free_port, wait_until
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

FAILOVERS = amount(sample=1, all_of_it=12)
THREADS = amount(sample=2, all_of_it=12)
# Sentinels look at each other every few seconds.
_LOOK_EVERY_S = 0.3
MASTER = "agents"
PASSWORD = "a-s3cret/of:one@"
QUOTED = "a-s3cret%2Fof%3Aone%40"
_SENTINEL = """\
port {port}
bind 127.0.0.1
dir {directory}
sentinel monitor {master} 127.0.0.1 {first} 2
sentinel auth-pass {master} {password}
sentinel down-after-milliseconds {master} 500
sentinel failover-timeout {master} 3000
"""


class Sentinels:
    """Two servers, one of which follows the other, and three Sentinels that watch them."""

    def __init__(self, directory: Path) -> None:
        signs_in = ["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"]
        self.servers = [RedisServer(directory / f"server-{n}", settings=signs_in) for n in range(2)]
        self.sentinels: list[RedisServer] = []
        for server in self.servers:
            server.start()
        with self.client(self.servers[1].port) as follower:
            follower.execute_command("REPLICAOF", "127.0.0.1", self.servers[0].port)
        for number in range(3):
            place = directory / f"sentinel-{number}"
            place.mkdir()
            port = free_port()
            words = {"port": port, "directory": place, "master": MASTER, "password": PASSWORD}
            (place / "conf").write_text(_SENTINEL.format(first=self.servers[0].port, **words))
            self.sentinels.append(RedisServer(place, port=port, sentinel=place / "conf"))
            self.sentinels[-1].start()
        places = [("127.0.0.1", each.port) for each in self.sentinels]
        self._asked: Any = Sentinel(places, socket_timeout=1)  # type: ignore[no-untyped-call]  # redis-py's gap
        self.until_safe()

    @property
    def url(self) -> str:
        """One address for all of them."""
        places = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"sentinel://:{QUOTED}@{places}/0?master={MASTER}"

    def client(self, port: int) -> "redis.Redis":
        """A client of one server."""
        return redis.Redis(port=port, password=PASSWORD, socket_timeout=1)

    def until_safe(self) -> None:
        """Wait until each Sentinel knows the others and a replica that could take over."""

        def is_safe() -> bool:
            time.sleep(_LOOK_EVERY_S)
            with suppress(redis.RedisError):
                for each in self._asked.sentinels:
                    (state,) = [s for name, s in each.sentinel_masters().items() if name == MASTER]
                    replicas = each.sentinel_slaves(MASTER)
                    if state["num-other-sentinels"] < 2 or not any(
                        not r["is_disconnected"] and r.get("master-link-status") == "ok" for r in replicas
                    ):
                        return False
                return True
            return False

        wait_until(is_safe, what="Sentinels that know a replica", timeout_s=60)

    def master(self) -> RedisServer:
        """The server that is the master now."""
        _, port = self._asked.discover_master(MASTER)
        return next(each for each in self.servers if each.port == port)

    def fail_over(self, *, kill: bool) -> None:
        """Make the other server the master: by killing this one, or in order. Then both are there again."""
        before = self.master()
        if kill:
            before.kill()
        else:
            self._asked.sentinels[0].sentinel_failover(MASTER)

        def has_changed() -> bool:
            time.sleep(_LOOK_EVERY_S)
            with suppress(redis.RedisError):
                return self.master() is not before
            return False

        wait_until(has_changed, what="another master", timeout_s=60)
        if kill:
            before.start()
        self.until_safe()

    def kill(self) -> None:
        """End them all."""
        for each in (*self.sentinels, *self.servers):
            if each.is_running:
                each.kill()


@pytest.fixture
def sentinels(server_directory: Path) -> Iterator[Sentinels]:
    """Sentinels of one test."""
    opened = Sentinels(server_directory)
    yield opened
    opened.kill()


@pytest.fixture
async def cluster(server_directory: Path, postgresql_url: str, sentinels: Sentinels) -> AsyncIterator[Cluster]:
    """Two processes, which find their Redis by the Sentinels."""
    settings = {"AI_AGENTS_AUTO_TITLE": "true", "AI_AGENTS_WORKER_CONCURRENCY": "1"}
    async with open_cluster(server_directory, postgresql_url, sentinels.url, **settings) as opened:
        await opened.start_two()
        yield opened


@pytest.mark.soak
async def test_failovers_lose_and_double_nothing_and_workers_find_the_new_master(
    cluster: Cluster, sentinels: Sentinels, rng: random.Random
) -> None:
    one, two = cluster.replicas

    async def fail_over() -> None:
        for number in range(FAILOVERS):
            await asyncio.sleep(rng.uniform(0.2, 2))
            await asyncio.to_thread(sentinels.fail_over, kill=number % 2 == 0)

    workers = Workers(cluster)
    workers.start()
    try:
        await talk_through(cluster, fail_over(), threads=THREADS, rng=rng)

        # Deltas of another process's run come through the new master.
        thread_id = await cluster.make_thread(one)
        run = await cluster.send(one, thread_id, "words=30 gate=go at=10")
        source = cluster.follow(two, thread_id, run["id"])
        await source.until_text(5)
        cluster.model.gates["go"].set()
        assert (await source.finished(timeout_s=30)).types()[-1] == "run.completed"

        async def are_done() -> bool:
            return {job["status"] for job in await all_jobs(cluster, one)} == {"completed"}

        await eventually(are_done, what="jobs by the worker", timeout_s=60)
        for replica in cluster.replicas:
            assert "Traceback" not in replica.log_path.read_text()
    finally:
        workers.kill_all()
