"""Strangers attack the door of a real process while a user chats: the user hardly notices, and nothing stays behind.

What each limit does to one connection is in `tests/api/test_door.py`.
"""

import ast
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.conftest import amount
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.replica import ROOT, Replica
from tests.support.examples import SOAK
from tests.support.waiting import eventually

pytestmark = [pytest.mark.soak, pytest.mark.alone]
# Of the process; fewer than the attacks have connections.
DESCRIPTORS = amount(sample=300, all_of_it=1000)
SECONDS = amount(sample=1, all_of_it=30)
MANY = amount(sample=350, all_of_it=1100)
ATTACKS = {"headers": 3, "url": 3, "half_open": MANY, "slow_headers": MANY, "slow_bodies": MANY, "chunks": 3}
# On a machine that has nothing else to do; a busy one may take four times of what it takes without an attack. A sample
# runs beside other tests, and has too few turns for a hundredth of them.
SLOWEST_S = amount(sample=3, all_of_it=1) / 2
SHARE = 0.99 if SOAK else 0.9
REFUSED = "connections and requests refused at the door"


@pytest.fixture
async def small(server_directory: Path, sqlite_url: str) -> AsyncIterator[Cluster]:
    """A process that may open few files."""
    settings = {"FAULTS_DESCRIPTORS": str(DESCRIPTORS), "AI_AGENTS_ECHO_DELAY_S": "0"}
    async with open_cluster(server_directory, sqlite_url, None, **settings) as cluster:
        await cluster.start()
        yield cluster


def descriptors(replica: Replica) -> set[int]:
    return {int(path.name) for path in Path(f"/proc/{replica.pid}/fd").iterdir()}


def log_of(replica: Replica, event: str) -> list[dict[str, Any]]:
    lines = [line for line in replica.log_path.read_text().splitlines() if event in line]
    return [json.loads(line) for line in lines]


async def chat(cluster: Cluster, thread_id: str, until: asyncio.Task[Any], times: list[float]) -> None:
    """Send message after message and note how long each answer took, each on a connection of its own.

    With more connections at once than there may be, one may go for others, or be refused; then it is tried again.
    """
    (replica,) = cluster.replicas
    while not until.done():
        began = time.monotonic()
        status = 0
        while status != 201:
            with suppress(aiohttp.ClientConnectionError):
                answer = await cluster.call(replica, "POST", f"/threads/{thread_id}/messages", {"content": "Hello!"})
                status = answer.status
                assert status in {201, 503}, answer.data
        times.append(time.monotonic() - began)


def slowest(times: list[float]) -> float:
    """What all but a small share of these took at most."""
    return sorted(times)[int(SHARE * (len(times) - 1))]


async def warm_up(cluster: Cluster, thread_id: str) -> None:
    """Chat until the process takes no more memory for that."""
    (replica,) = cluster.replicas
    grew, memory = True, replica.resident_bytes
    while grew:
        await chat(cluster, thread_id, asyncio.create_task(asyncio.sleep(1)), [])
        before, memory = memory, replica.resident_bytes
        grew = memory > 1.01 * before


async def attack(replica: Replica, name: str, connections: int, seconds: float) -> dict[int, int]:
    """How many connections of this attack were answered with which status."""
    arguments = ["-m", "tests.faults.support.attacks", str(replica.port), name, str(connections), str(seconds)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    statuses: dict[int, int] = ast.literal_eval(printed.decode())
    return statuses


async def test_a_user_chats_while_strangers_attack(small: Cluster) -> None:
    (replica,) = small.replicas
    # What is read of the thread stays as little, so that its length takes neither time nor memory.
    fields = {"name": "assistant", "provider": "echo", "memory": {"strategy": "last_n", "n": 4}}
    agent = (await small.call(replica, "POST", "/agents", fields)).ok(201)
    thread_id = (await small.call(replica, "POST", "/threads", {"agent_id": agent["id"]})).ok(201)["id"]
    if SOAK:
        await warm_up(small, thread_id)
    alone: list[float] = []
    await chat(small, thread_id, asyncio.create_task(asyncio.sleep(SECONDS)), alone)
    calm, memory = slowest(alone), replica.resident_bytes
    print("calm", len(alone), calm)  # noqa: T201  # for who measures
    files = len(descriptors(replica))
    assert log_of(replica, "fewer connections than the settings ask for")[0]["descriptors"] == DESCRIPTORS
    for name, connections in ATTACKS.items():
        times: list[float] = []
        attacking = asyncio.create_task(attack(replica, name, connections, SECONDS))
        await chat(small, thread_id, attacking, times)
        slow = slowest(times)
        assert slow < max(SLOWEST_S, 4 * calm), (name, len(times), slow, calm)
        refused = attacking.result()
        print(name, len(times), slow, refused, replica.resident_bytes / memory)  # noqa: T201  # for who measures
        if name in {"headers", "url"}:
            assert set(refused) <= {413}, (name, refused)
            assert refused[413] > 0
    async with asyncio.timeout(amount(sample=30, all_of_it=60)):
        while len(descriptors(replica)) > files + 3:
            await asyncio.sleep(0.1)
    if SOAK:
        await eventually(lambda: replica.resident_bytes < 1.1 * memory, what="the memory to be back", timeout_s=60)
    lines = log_of(replica, REFUSED)
    assert sum(line.get("payload_too_large", 0) for line in lines) > 0
    assert sum(line.get("overloaded", 0) + line.get("made_room", 0) for line in lines) > 0
    assert len(lines) <= 2 + (len(ATTACKS) * (SECONDS + 3) + 60) // 10
    await lose_descriptors(small, thread_id)


async def lose_descriptors(cluster: Cluster, thread_id: str) -> None:
    """Let the process have no descriptor left: it says so, and lives on."""
    (replica,) = cluster.replicas
    # What it opens next fails, long before its connections are as many as they may be.
    first_free = min(set(range(DESCRIPTORS)) - descriptors(replica))
    limit = replica.limit_descriptors(first_free)
    try:
        await attack(replica, "half_open", 20, 0.5)
        async with asyncio.timeout(60):
            while not any(line.get("no_descriptors") for line in log_of(replica, REFUSED)):
                await asyncio.sleep(0.1)
    finally:
        replica.limit_descriptors(limit)
    answer = await cluster.call(replica, "POST", f"/threads/{thread_id}/messages", {"content": "Hello!"})
    answer.ok(201)
