"""Connections that are cut anywhere: wherever a reader resumes, it gets each event once, to the character."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.faults.conftest import amount
from tests.faults.support.cluster import Cluster
from tests.faults.support.proxy import Fault, TcpProxy
from tests.faults.support.stream import EventSource, Told
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.soak
CUTS = amount(sample=60, all_of_it=500)


class CuttingProxies:
    """Proxies before the two processes, which cut each connection at some byte, `CUTS` times together."""

    def __init__(self, pair: Cluster, rng: random.Random) -> None:
        self.left = CUTS
        self.proxies: list[TcpProxy] = []
        self._pair = pair
        self._rng = rng

    def choose(self) -> Fault:
        """A cut between the first byte of the answer and some events later."""
        self.left -= 1
        return Fault(cut_after=self._rng.randint(1, self._rng.choice((400, 900, 3000)))) if self.left >= 0 else Fault()

    @property
    def addresses(self) -> list[str]:
        """The addresses of the proxies."""
        return [f"http://127.0.0.1:{proxy.port}" for proxy in self.proxies]

    def read(self, thread_id: str, run_id: str | None, told: Told, *, after: str | None = None) -> EventSource:
        """A reader that resumes on the two processes in turn."""
        path = f"/threads/{thread_id}" + (f"/runs/{run_id}" if run_id else "") + "/events"
        return EventSource(self._pair.session, self.addresses, path, told, after=after)


@pytest.fixture
async def cutting(pair: Cluster, rng: random.Random) -> AsyncIterator[CuttingProxies]:
    """Proxies before the two processes."""
    network = CuttingProxies(pair, rng)
    async with AsyncExitStack() as proxies:
        for replica in pair.replicas:
            network.proxies.append(await proxies.enter_async_context(TcpProxy(replica.port, network.choose)))
        yield network


async def flush_now_and_then(redis: RedisServer, rng: random.Random) -> None:
    """Empty Redis again and again, until cancelled."""
    while True:
        await asyncio.sleep(rng.uniform(0.05, 0.8))
        await asyncio.to_thread(redis.flush)


async def rename(pair: Cluster, thread_id: str, number: int) -> None:
    """Write rows into the log during a message, which leave its text alone."""
    for part in range(5):
        await asyncio.sleep(0.15)
        at = pair.replicas[(number + part) % 2]
        (await pair.call(at, "PATCH", f"/threads/{thread_id}", {"title": f"Title {number}.{part}"})).ok()


async def test_cuts_heal(pair: Cluster, cutting: CuttingProxies, redis_server: RedisServer, rng: random.Random) -> None:
    """A stream that is cut at any byte is resumed without loss."""
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    flushing = asyncio.create_task(flush_now_and_then(redis_server, rng))
    whole = pair.follow(one, thread_id)
    thread_told = Told()
    reading_thread = asyncio.create_task(cutting.read(thread_id, None, thread_told, after="0-0").run())
    cuts = number = 0
    try:
        while cutting.left > 0:
            number += 1
            at = (one, two)[number % 2]
            wish = f"call=safe_bump key=cut{number} " if number % 3 == 0 else ""
            run = await pair.send(at, thread_id, f"{wish}words={rng.randint(60, 120)} pause=0.015")
            told = Told(run_id=run["id"])
            source = cutting.read(thread_id, run["id"], told)
            renaming = asyncio.create_task(rename(pair, thread_id, number))
            await source.run()
            await renaming
            cuts += source.cuts
            assert told.types()[-1] == "run.completed"
        log = await pair.check_log(two, thread_id)
        for told in (thread_told, whole.told):
            await told.until(lambda told: len(told.rows) == len(log))
            assert [(row.seq, row.type) for row in told.rows] == [(row["seq"], row["type"]) for row in log]
            answers = [m for m in await pair.history(one, thread_id) if m["role"] == "assistant"]
            assert {message["id"]: message["content"] for message in answers} == told.contents
        # `take` fails where deltas differ from what was recorded. A reader that was never cut got the deltas of all
        # messages; one that was cut may have missed those of some.
        assert whole.cuts == 0
        assert all((message_id, "text") in whole.told.texts for message_id in whole.told.contents)
    finally:
        flushing.cancel()
        reading_thread.cancel()
        await asyncio.gather(flushing, reading_thread, return_exceptions=True)
    assert sum(proxy.cuts for proxy in cutting.proxies) > CUTS * 0.8
    assert cuts > CUTS * 0.1
