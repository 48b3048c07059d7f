"""Processes and servers killed at random moments under load: nothing acknowledged is lost, doubled or stuck."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.conftest import amount
from tests.faults.support.cluster import TERMINAL_STATUSES, Cluster, open_cluster
from tests.faults.support.model import PROVIDERS
from tests.faults.support.stream import EventSource, Told, events_of
from tests.support.postgres import PostgresServer
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.soak
KILLS = amount(sample=5, all_of_it=100)
THREADS = amount(sample=6, all_of_it=12)
# A run's end may wait for a lease to run out, and its successor may be killed too; this is after the last kill.
TERMINAL_WITHIN_S = 30.0


class Talker:
    """A client that talks in one thread: sends until it is told that its message was let in, then reads the answer.

    `acknowledged` are the messages that were let in, with their runs.
    """

    def __init__(self, cluster: Cluster, thread_id: str, rng: random.Random) -> None:
        self.thread_id = thread_id
        self.acknowledged: dict[str, str] = {}
        self.sources: list[EventSource] = []
        self.ending = False
        self.trying_since: float | None = None
        self._cluster = cluster
        self._rng = rng
        self._number = 0

    async def talk(self) -> None:
        """Talk until told to end; the message that was begun is sent."""
        while not self.ending:
            await self.say_one_thing()

    async def say_one_thing(self) -> None:
        """One message and its answer."""
        self._number += 1
        name = f"{self.thread_id[-8:]}.{self._number}"
        tool = self._rng.choice(("", "", f"call=bump key={name}", f"call=safe_bump key=safe.{name}"))
        text = f"{tool} words={self._rng.randint(3, 40)} pause={self._rng.choice((0, 0.01, 0.03))} name={name}"
        body = {"content": text, "on_busy": self._rng.choice(("queue", "queue", "interrupt"))}
        self.trying_since = time.monotonic()
        run_id = await self._until_let_in(body, key=name)
        self.trying_since = None
        self.acknowledged[text] = run_id
        source = self._cluster.follow(self._shuffled(), self.thread_id, run_id)
        self.sources.append(source)
        # Some answers are waited for, others are interrupted or queued behind.
        if self._rng.random() < 0.8:
            await source.finished(timeout_s=90)

    async def _until_let_in(self, body: dict[str, Any], *, key: str) -> str:
        """The run of a message that was acknowledged, however often that takes; in each of the three forms in turn."""
        while True:
            at = self._rng.choice(self._cluster.replicas)
            form = self._rng.choice(("events", "async", "json"))
            try:
                run_id = await self._send(at.url, body, key=key, form=form)
            except (aiohttp.ClientError, OSError, TimeoutError):
                run_id = None
            if run_id is not None:
                return run_id
            await asyncio.sleep(0.1)

    async def _send(self, address: str, body: dict[str, Any], *, key: str, form: str) -> str | None:
        headers = {"idempotency-key": key}
        headers |= {"events": {"accept": "text/event-stream"}, "async": {"prefer": "respond-async"}, "json": {}}[form]
        path = f"{address}/threads/{self.thread_id}/messages"
        async with self._cluster.session.post(path, json=body, headers=headers) as response:
            if form == "events" and response.status == 200:
                # The first event says that the message was let in; it may be cut off before that.
                async for event in events_of(response):
                    return str(event.data["run_id"])
                return None
            data = await response.json(content_type=None)
            if response.status in (201, 202):
                return str(data["run_id"] if response.status == 201 else data["id"])
            if response.status in (409, 502, 504, 503):
                # It was let in, or will be: the same key tells, in a form that does not wait for the run.
                return await self._send(address, body, key=key, form="async") if form == "json" else None
            raise AssertionError((response.status, data))

    def _shuffled(self) -> list[Any]:
        return self._rng.sample(self._cluster.replicas, len(self._cluster.replicas))


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


async def test_nothing_acknowledged_is_lost_doubled_or_stuck_whatever_is_killed(
    mortal: Cluster, own_postgres: PostgresServer, own_redis: RedisServer, rng: random.Random
) -> None:
    one, two = mortal.replicas
    talkers = [
        Talker(mortal, await mortal.make_thread(one, PROVIDERS[number % len(PROVIDERS)]), random.Random(rng.random()))
        for number in range(THREADS)
    ]
    watching = [mortal.follow([one, two], talker.thread_id) for talker in talkers]
    talking = [asyncio.create_task(talker.talk()) for talker in talkers]
    killer = Killer(mortal, own_postgres, own_redis, rng)
    killing = asyncio.create_task(killer.kill(KILLS))
    await asyncio.wait({killing, *talking}, return_when=asyncio.FIRST_COMPLETED)
    for task in talking:
        if task.done():
            task.result()
    killing.result()
    for talker in talkers:
        talker.ending = True
    await all_terminal(mortal, talkers)
    await asyncio.gather(*talking)
    for talker in talkers:
        for source in talker.sources:
            told = await source.finished(timeout_s=TERMINAL_WITHIN_S)
            assert told.types()[-1] in {"run.completed", "run.failed", "run.cancelled"}
    for talker, watched in zip(talkers, watching, strict=True):
        await check_thread(mortal, talker, watched.told)
    counted_twice = {key: n for key, n in mortal.counter.counts.items() if n > 1 and not key.startswith("safe.")}
    assert not counted_twice
    assert sum(killer.killed.values()) == KILLS
    print(killer.killed, sum(len(talker.acknowledged) for talker in talkers), "messages")  # noqa: T201  # shown on failure


async def all_terminal(cluster: Cluster, talkers: list[Talker]) -> None:
    """Every run that was there at the last kill ends in time."""
    deadline = time.monotonic() + TERMINAL_WITHIN_S
    left = [(talker.thread_id, run_id) for talker in talkers for run_id in talker.acknowledged.values()]
    while left:
        thread_id, run_id = left[0]
        answer = await cluster.call(cluster.replicas[0], "GET", f"/threads/{thread_id}/runs/{run_id}")
        if answer.status == 200 and answer.data["status"] in TERMINAL_STATUSES:
            left.pop(0)
            continue
        assert answer.status in (200, 503), answer.data
        assert time.monotonic() < deadline, f"{len(left)} runs are not terminal, the first: {answer.data}"
        await asyncio.sleep(0.1)


async def check_thread(cluster: Cluster, talker: Talker, watched: Told) -> None:
    """What was acknowledged is there once; the log has no gap; who watched saw all of it; the thread goes on."""
    one, two = cluster.replicas
    log = await cluster.check_log(one, talker.thread_id)
    runs = {run["id"]: run for run in await cluster.list_all(two, f"/threads/{talker.thread_id}/runs")}
    assert set(runs) == set(talker.acknowledged.values()), "a message was let in twice, or lost"
    questions = Counter(m["content"] for m in await cluster.history(two, talker.thread_id) if m["role"] == "user")
    started = {row["run_id"] for row in log if row["type"] == "run.started"}
    for text, run_id in talker.acknowledged.items():
        assert questions[text] == (1 if run_id in started else 0), text
        # One that was interrupted while it waited never got a place; nothing else may stay without.
        assert run_id in started or runs[run_id]["status"] == "cancelled"
    failed = {run["error"]["code"] for run in runs.values() if run["status"] == "failed"}
    assert failed <= {"run_interrupted"}, failed
    await watched.until(lambda told: len(told.rows) >= len(log))
    assert [(row.seq, row.type) for row in watched.rows] == [(row["seq"], row["type"]) for row in log]
    run = await cluster.send(two, talker.thread_id, "still usable?")
    assert (await cluster.until_ended(two, talker.thread_id, run["id"]))["status"] == "completed"
