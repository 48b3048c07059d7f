"""One user takes all that they can get, and another one chats as before. Afterwards the memory is back."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from tests.faults.conftest import amount
from tests.faults.support.cluster import Cluster, open_session
from tests.faults.support.greed import ATTACKS, Attack, Attacker
from tests.faults.support.replica import Replica
from tests.support.examples import SOAK
from tests.support.waiting import eventually

pytestmark = [pytest.mark.soak, pytest.mark.alone]
SECONDS = amount(sample=1, all_of_it=20)
BEGUN = 0
# As many requests as a person's browser has open, four times.
AT_ONCE = 24
# As fast as a user may send without an end.
PAUSE_S = 0.1
# Also for a machine that runs other tests meanwhile: in full it has to be less.
MOST_S = 0.5 if SOAK else 2.0
SAMPLE = ["patterns", "context"]


@asynccontextmanager
async def user(cluster: Cluster, replica: Replica, name: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with a key of this user."""
    key = (await cluster.call(replica, "POST", "/keys", {"user_id": name})).ok(201)["key"]
    async with open_session(key) as session:
        yield session


async def chat(session: aiohttp.ClientSession, address: str, seconds: float) -> list[float]:
    """Talk to an agent for so long. How long each answer took, ascending."""
    async with session.post(f"{address}/agents", json={"name": "a", "provider": "echo"}) as made:
        agent = await made.json()
    async with session.post(f"{address}/threads", json={"agent_id": agent["id"]}) as made:
        path = f"{address}/threads/{(await made.json())['id']}/messages"
    took: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        async with session.post(path, json={"content": "hello"}) as response:
            assert response.status == 201, await response.text()
            await response.read()
        took.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE_S)
    return sorted(took)


@asynccontextmanager
async def under(attack: Attack, attacker: Attacker) -> AsyncIterator[Counter[int]]:
    """Attack with many requests at once, within the block. Its answers by their status, and how many were begun."""
    answers: Counter[int] = Counter()

    async def go_on() -> None:
        while True:
            answers[BEGUN] += 1
            with suppress(aiohttp.ClientError):
                answers[await attack(attacker)] += 1

    tasks = [asyncio.create_task(go_on()) for _ in range(AT_ONCE)]
    try:
        yield answers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def late(took: list[float], percent: int) -> float:
    """The time within which so many of the answers came. `took` ascends."""
    return took[len(took) * percent // 100]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"] if SOAK else ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ATTACKS if SOAK else SAMPLE)
async def test_one_who_takes_all_they_can_get_leaves_another_user_theirs(embedded: Cluster, name: str) -> None:
    replica = await embedded.start(AI_AGENTS_ECHO_DELAY_S="0")
    async with user(embedded, replica, "mallory") as theirs, user(embedded, replica, "bob") as mine:
        attacker = Attacker(theirs, replica.url)
        await attacker.prepare()
        # What both need is loaded before the memory is measured: libraries, and connections with their caches.
        assert await ATTACKS[name](attacker) < 500
        await asyncio.gather(*(chat(mine, replica.url, SECONDS / 20) for _ in range(12)))
        alone = await chat(mine, replica.url, SECONDS / 2)
        before = replica.resident_bytes
        async with under(ATTACKS[name], attacker) as answers:
            took = await chat(mine, replica.url, SECONDS)
        peak = replica.resident_bytes
    p99 = late(took, 99)
    report = f"{name}: p50 and p99 alone {late(alone, 50):.3f} and {late(alone, 99):.3f}, then {late(took, 50):.3f} "
    report += f"and {p99:.3f}, {answers}"
    assert not any(status >= 500 for status in answers), report
    assert answers[BEGUN] >= AT_ONCE, report
    # A busy machine makes everybody wait, with an attack or without.
    assert p99 < max(MOST_S, 2 * late(alone, 99)), report
    if not SOAK:
        return
    ended = time.monotonic()
    await eventually(lambda: replica.resident_bytes < before * 1.1, what=f"less memory: {report}", timeout_s=60)
    report += f", memory {before >> 20} MiB, then {peak >> 20}, back after {time.monotonic() - ended:.0f} s"
    print(report)  # noqa: T201  # the figures of a soak
