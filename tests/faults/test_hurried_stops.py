"""Stops that are hurried by a second signal, or while a server is away."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.http_server import Asked, HttpServer, reply
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.replica import inherited
from tests.faults.support.workers import start_worker
from tests.support.processes import send_signal
from tests.support.redis_server import RedisServer
from tests.support.stopwatch import Stopwatch
from tests.support.waiting import eventually

GRACE_S = 1
# What a stop may take after its grace time, and what a busy machine may take.
CLOSING_S = 5 + 2
LONG_S = 60


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak)])
async def test_a_second_signal_ends_the_grace_and_nothing_is_lost(
    number: signal.Signals, server_directory: Path, sqlite_url: str
) -> None:
    grace = {"AI_AGENTS_SHUTDOWN_GRACE_S": str(LONG_S)}
    async with open_cluster(server_directory, sqlite_url, None, **grace) as cluster:
        one = await cluster.start()
        thread_id = await cluster.make_thread(one)
        run = await cluster.send(one, thread_id, "words=9 gate=answer at=5")
        source = cluster.follow(one, thread_id, run["id"])
        await source.until_text(10)
        send_signal(one.pid, number)
        await until_said(one.tail, '"stopping"')
        watch = one.stopwatch()
        send_signal(one.pid, number)
        assert await one.ended() == 0, one.tail()
        assert watch.seconds < CLOSING_S
        assert '"handed_over":1' in one.tail()
        cluster.model.gates["answer"].set()
        await one.start()
        assert (await cluster.until_ended(one, thread_id, run["id"]))["attempt"] == 2
        assert (await source.finished()).types()[-1] == "run.completed"
        assert source.cuts == 0


@pytest.mark.soak
async def test_a_third_signal_ends_the_process_and_nothing_is_lost(server_directory: Path, sqlite_url: str) -> None:
    grace = {"AI_AGENTS_SHUTDOWN_GRACE_S": str(LONG_S)}
    async with open_cluster(server_directory, sqlite_url, None, **grace) as cluster:
        one = await cluster.start()
        thread_id = await cluster.make_thread(one, tools=["block"])
        cluster.counter.held["k"] = asyncio.Event()
        run = await cluster.send(one, thread_id, "call=block key=k")
        await asyncio.wait_for(cluster.counter.arrived["k"].wait(), 60)
        # Its event loop does nothing more.
        one.pause()
        for _ in range(3):
            send_signal(one.pid, signal.SIGINT)
            one.resume()
            await asyncio.sleep(0.05)
        assert await one.ended() in (0, -signal.SIGINT), one.tail()
        cluster.counter.held.pop("k").set()
        await one.start()
        assert (await cluster.until_ended(one, thread_id, run["id"]))["status"] == "completed"


@pytest.mark.soak
@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_a_stop_without_redis_keeps_to_its_time_and_hands_over(
    harm: str, server_directory: Path, postgresql_url: str, own_redis: RedisServer
) -> None:
    settings = {"AI_AGENTS_SHUTDOWN_GRACE_S": str(GRACE_S), "AI_AGENTS_AUTO_TITLE": "true"}
    async with open_cluster(server_directory, postgresql_url, own_redis.url, **settings) as cluster:
        one, two = await cluster.start_two()
        thread_id = await cluster.make_thread(one)
        run = await cluster.send(one, thread_id, "words=9 gate=answer at=5")
        source = cluster.follow(one, thread_id, run["id"])
        await source.until_text(10)
        if harm == "kill":
            own_redis.kill()
        else:
            send_signal(own_redis.pid, signal.SIGSTOP)
        # A job that cannot be sent.
        other = await cluster.make_thread(one)
        done = await cluster.send(one, other, "words=2")
        await cluster.until_ended(one, other, done["id"])
        watch = one.stopwatch()
        one.terminate()
        assert await one.ended() == 0, one.tail()
        assert watch.seconds < GRACE_S + CLOSING_S, one.tail()
        source.addresses = [two.url]
        cluster.model.gates["answer"].set()
        ended = await cluster.until_ended(two, thread_id, run["id"])
        assert (ended["status"], ended["attempt"]) == ("completed", 2)
        assert (await source.finished()).types()[-1] == "run.completed"
        jobs = (await cluster.call(two, "GET", "/jobs")).ok()["data"]
        assert sorted(job["status"] for job in jobs) == ["queued", "queued"]


async def until_said(tail: Callable[[], str], what: str) -> None:
    async with asyncio.timeout(60):
        while what not in tail():
            await asyncio.sleep(0.01)


@pytest.mark.soak
@pytest.mark.parametrize("harm", ["none", "kill", "pause"])
async def test_a_worker_keeps_to_its_time_and_another_does_its_job_once(
    harm: str, server_directory: Path, postgresql_url: str, own_redis: RedisServer
) -> None:
    alone = {"AI_AGENTS_WORKER_CONCURRENCY": "1"}
    async with open_cluster(server_directory, postgresql_url, own_redis.url, **alone) as cluster:
        one, arrived = await cluster.start(), asyncio.Event()
        async with HttpServer() as http:

            async def hang(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
                arrived.set()
                await asyncio.sleep(3600)

            http.on("/hook", hang)
            hook = {"url": http.url("/hook"), "events": ["run.completed"], "agent_id": None}
            made = (await cluster.call(one, "POST", "/webhooks", hook)).ok(201)
            environment = inherited() | cluster.environment
            workers = [first := start_worker(cluster.directory, environment, grace_s=GRACE_S)]
            try:
                thread_id = await cluster.make_thread(one)
                await cluster.send(one, thread_id, "words=2")
                await asyncio.wait_for(arrived.wait(), 40)
                if harm == "kill":
                    own_redis.kill()
                elif harm == "pause":
                    send_signal(own_redis.pid, signal.SIGSTOP)
                watch = Stopwatch(first.pid)
                first.send_signal(signal.SIGTERM)
                await eventually(lambda: watch.seconds >= 0 and first.poll() is not None)
                assert first.poll() == 0
                assert watch.seconds < GRACE_S + CLOSING_S, one.tail()
                http.on("/hook", reply(b""))
                if harm == "kill":
                    await asyncio.to_thread(own_redis.start)
                send_signal(own_redis.pid, signal.SIGCONT)
                workers.append(start_worker(cluster.directory, environment, grace_s=GRACE_S))
                await until_delivered(cluster, made["id"])
                assert len(http.asked) == 2
            finally:
                for worker in workers:
                    worker.kill()
                    worker.wait(30)


async def until_delivered(cluster: Cluster, hook_id: str) -> None:
    path = f"/webhooks/{hook_id}/deliveries"
    async with asyncio.timeout(90):
        while True:
            told = (await cluster.call(cluster.replicas[0], "GET", path)).ok()["data"]
            if [each["status"] for each in told] == ["delivered"]:
                return
            await asyncio.sleep(0.1)
