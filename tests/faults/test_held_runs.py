"""Runs that wait for a connection, where processes die: none is lost, and none waits for a dead process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.support.cluster import Cluster, open_cluster
from tests.support.redis_server import RedisServer

LIMIT = 2


@pytest.fixture
async def small_pair(server_directory: Path, postgresql_url: str, redis_server: RedisServer) -> AsyncIterator[Cluster]:
    """Two processes with room for two runs each."""
    limit = {"AI_AGENTS_MAX_UPSTREAM_CONNECTIONS": str(LIMIT)}
    async with open_cluster(server_directory, postgresql_url, redis_server.url, **limit) as cluster:
        await cluster.start_two()
        yield cluster


async def statuses(cluster: Cluster, runs: list[dict[str, str]]) -> list[str]:
    at = next(replica for replica in cluster.replicas if replica.is_running)
    return [(await cluster.get_run(at, run["thread_id"], run["id"]))["status"] for run in runs]


async def begin(cluster: Cluster, count: int) -> list[dict[str, str]]:
    """Runs on the first process that end when the gate opens."""
    one = cluster.replicas[0]
    threads = [await cluster.make_thread(one) for _ in range(count)]
    return [await cluster.send(one, thread_id, "gate=go") for thread_id in threads]


async def until_running(cluster: Cluster, runs: list[dict[str, str]], count: int) -> None:
    async with asyncio.timeout(30):
        while (await statuses(cluster, runs)).count("running") < count:
            await asyncio.sleep(0.05)


async def test_another_process_with_room_takes_what_waits_for_this_one(small_pair: Cluster) -> None:
    runs = await begin(small_pair, 6)
    assert [run["status"] for run in runs] == ["running"] * 2 + ["queued"] * 4
    await until_running(small_pair, runs, 4)
    assert await statuses(small_pair, runs) == ["running"] * 4 + ["queued"] * 2
    small_pair.model.gates["go"].set()
    for run in runs:
        assert (await small_pair.until_ended(small_pair.replicas[1], run["thread_id"], run["id"]))["attempt"] == 1


@pytest.mark.parametrize("victim", [0, 1], ids=["that_admitted_them", "that_took_some"])
async def test_no_run_waits_for_a_process_that_is_dead(small_pair: Cluster, victim: int) -> None:
    runs = await begin(small_pair, 7)
    await until_running(small_pair, runs, 4)
    left = small_pair.replicas[1 - victim]
    sources = [small_pair.follow(left, run["thread_id"], run["id"]) for run in runs]
    small_pair.replicas[victim].kill()
    small_pair.model.gates["go"].set()
    for run in runs:
        assert (await small_pair.until_ended(left, run["thread_id"], run["id"]))["status"] == "completed"
    kinds = [[kind for kind in (await source.finished()).types() if kind.startswith("run.")] for source in sources]
    assert [names[0] for names in kinds] == ["run.started"] * 2 + ["run.queued"] * 5
    assert all(names.count("run.started") == 1 for names in kinds)
    for run in runs:
        await small_pair.check_log(left, run["thread_id"])


async def test_runs_that_wait_outlive_all_processes(small_pair: Cluster) -> None:
    runs = await begin(small_pair, 6)
    small_pair.kill()
    small_pair.model.gates["go"].set()
    await small_pair.replicas[1].start()
    for run in runs:
        ended = await small_pair.until_ended(small_pair.replicas[1], run["thread_id"], run["id"])
        assert ended["status"] == "completed"
