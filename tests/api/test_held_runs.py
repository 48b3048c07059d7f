"""What clients see of a run that waits for a connection, and of a service that has none left to wait for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ai_agents.testing import ScriptedProvider
from tests.api.service import Service, check_problem, make_agent, make_thread, open_service, settings_for


class Held:
    """A service with room for one run and for one that waits."""

    def __init__(self, service: Service, alice: httpx.AsyncClient, agent_id: str) -> None:
        self.service = service
        self.alice = alice
        self.gate = asyncio.Event()
        self._agent_id = agent_id
        service.container.providers.add(ScriptedProvider([self.gate, "one"], "two", "three", "four"))

    async def send(self, content: str, *, prefer: str = "respond-async", key: str | None = None) -> httpx.Response:
        """Send a message to a thread of its own."""
        thread = await make_thread(self.alice, self._agent_id)
        headers = {"prefer": prefer} | ({"idempotency-key": key} if key else {})
        return await self.alice.post(f"/threads/{thread['id']}/messages", json={"content": content}, headers=headers)


@pytest.fixture
async def held(database_url: str, tmp_path: Path) -> AsyncIterator[Held]:
    settings = settings_for(database_url, tmp_path, max_upstream_connections=1, max_held_runs=1)
    async with open_service(settings) as service:
        alice = await service.user("alice")
        service.container.providers.add(ScriptedProvider())
        agent = await make_agent(alice, provider="scripted")
        yield Held(service, alice, agent["id"])


async def test_a_run_that_waits_is_queued_and_the_next_one_is_refused(held: Held) -> None:
    first = await held.send("one")
    assert (first.status_code, first.json()["status"]) == (202, "running")
    second = await held.send("two")
    assert (second.status_code, second.json()["status"]) == (202, "queued")
    third = await held.send("three", key="k")
    problem = check_problem(third, 503, "overloaded")
    assert problem["detail"] == "1 runs are under way in this process, and 1 wait."
    assert int(third.headers["retry-after"]) >= 1
    metrics = (await (await held.service.admin()).get("/metrics")).text
    assert "\nai_agents_runs_held 1.0\n" in metrics
    held.gate.set()
    run = second.json()
    async with asyncio.timeout(60):
        outcome = await held.service.container.runner.wait(run["thread_id"], run["id"])
    assert outcome.run["status"] == "completed"
    path = f"/threads/{run['thread_id']}/events"
    log = (await held.alice.get(path, headers={"accept": "application/json"})).json()["data"]
    assert [row["type"] for row in log] == ["run.queued", "run.started", "message.completed", "run.completed"]
    assert log[0]["position"] == 1
    # The key of what was refused may be used again.
    again = await held.send("three", key="k", prefer="wait")
    assert (again.status_code, again.json()["content"]) == (201, "three")


async def test_a_plain_request_waits_for_a_run_that_waits(held: Held) -> None:
    await held.send("one")
    waiting = asyncio.create_task(held.send("two", prefer="wait"))
    while (
        not (await held.alice.get("/threads?limit=1")).json()["data"]
        or not held.service.container.conn.executor.slots.is_crowded
    ):
        await asyncio.sleep(0.005)
    held.gate.set()
    async with asyncio.timeout(60):
        answered = await waiting
    assert (answered.status_code, answered.json()["content"]) == (201, "two")
