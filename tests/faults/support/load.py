"""Clients that talk under load and remember what they were promised, and what has to be true of it afterwards."""

import asyncio
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults.support.cluster import TERMINAL_STATUSES, Cluster
from tests.faults.support.model import PROVIDERS
from tests.faults.support.replica import Replica
from tests.faults.support.stream import TERMINAL, EventSource, Told, events_of
from tests.support.examples import SOAK
from tests.support.processes import PATIENCE_S

# A run's end may wait for a lease to run out, and its successor may be killed too; this is after the last fault.
TERMINAL_WITHIN_S = 30.0 if SOAK else PATIENCE_S


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
        body = {"content": text, "on_busy": self._rng.choice(("queue", "steer", "interrupt"))}
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
        """Send a message until it is acknowledged, in each of the three forms in turn; its run."""
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

    def _shuffled(self) -> list[Replica]:
        return self._rng.sample(self._cluster.replicas, len(self._cluster.replicas))


async def talk_through(cluster: Cluster, faults: Awaitable[None], *, threads: int, rng: random.Random) -> None:
    """Talk in so many threads while the faults come about, then hold what is there to what was acknowledged.

    Where that fails, the processes' logs are kept in the directory that FAULTS_LOGS names.
    """
    try:
        await _talk_through(cluster, faults, threads=threads, rng=rng)
    except BaseException:
        if kept := os.environ.get("FAULTS_LOGS"):
            await keep_logs(cluster, Path(kept))
        raise


async def keep_logs(cluster: Cluster, directory: Path) -> None:
    """Keep what the processes have said, and what they are waiting for."""
    for replica in cluster.replicas:
        if replica.is_running:
            replica.print_tasks()
    await asyncio.sleep(1)
    for replica in cluster.replicas:
        shutil.copy(replica.log_path, directory)


async def _talk_through(cluster: Cluster, faults: Awaitable[None], *, threads: int, rng: random.Random) -> None:
    talkers = [
        Talker(
            cluster,
            await cluster.make_thread(cluster.replicas[0], PROVIDERS[number % len(PROVIDERS)]),
            random.Random(rng.random()),
        )
        for number in range(threads)
    ]
    watching = [await cluster.watch(cluster.replicas, talker.thread_id) for talker in talkers]
    talking = [asyncio.create_task(talker.talk()) for talker in talkers]
    harming = asyncio.ensure_future(faults)
    await asyncio.wait({harming, *talking}, return_when=asyncio.FIRST_COMPLETED)
    for task in talking:
        if task.done():
            task.result()
    harming.result()
    for talker in talkers:
        talker.ending = True
    await all_terminal(cluster, talkers)
    await asyncio.gather(*talking)
    for talker in talkers:
        for source in talker.sources:
            told = await source.finished(timeout_s=TERMINAL_WITHIN_S)
            assert told.types()[-1] in TERMINAL
    for talker, watched in zip(talkers, watching, strict=True):
        await check_thread(cluster, talker, watched.told)
    counted_twice = {key: n for key, n in cluster.counter.counts.items() if n > 1 and not key.startswith("safe.")}
    assert not counted_twice
    print(sum(len(talker.acknowledged) for talker in talkers), "messages")  # noqa: T201  # shown on failure


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
    one, two = cluster.replicas[0], cluster.replicas[-1]
    log = await cluster.check_log(one, talker.thread_id)
    runs = {run["id"]: run for run in await cluster.list_all(two, f"/threads/{talker.thread_id}/runs")}
    assert set(runs) == set(talker.acknowledged.values()), "a message was let in twice, or lost"
    questions = Counter(m["content"] for m in await cluster.history(two, talker.thread_id) if m["role"] == "user")
    started = {row["run_id"] for row in log if row["type"] == "run.started"}
    for text, run_id in talker.acknowledged.items():
        assert questions[text] == 1, text
        # One that was interrupted while it waited has its place without an answer; every other one has a run.
        assert run_id in started or runs[run_id]["status"] == "cancelled"
    failed = {run["error"]["code"] for run in runs.values() if run["status"] == "failed"}
    assert failed <= {"run_interrupted"}, failed
    await watched.until(lambda told: len(told.rows) >= len(log))
    assert [(row.seq, row.type) for row in watched.rows] == [(row["seq"], row["type"]) for row in log]
    run = await cluster.send(two, talker.thread_id, "still usable?")
    assert (await cluster.until_ended(two, talker.thread_id, run["id"]))["status"] == "completed"
