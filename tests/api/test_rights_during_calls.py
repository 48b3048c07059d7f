"""What becomes of a run, and of those who watch it, when a right is taken away while a tool works or is waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.live import TIMEOUT_S
from tests.api.rights import Replicas, Stream, World, open_replicas
from tests.api.service import check_problem, give_role
from tests.fakes.http_server import Asked, HttpServer, reply_json
from tests.support.redis_server import RedisServer

TOOL = {"type": "http", "name": "orders", "description": "Counts.", "parameters": {"type": "object", "properties": {}}}
MISSING = {"code": "tool_missing", "tool": "orders"}
DONE = "There are three."


class SlowTool:
    """A tool of an admin, on a server that answers when it is told to."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        server.on("/orders", self._answer)

    async def _answer(self, _asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.asked.set()
        await self.may_answer.wait()
        writer.write(reply_json({"orders": 3}))


@pytest.fixture
async def replicas(
    request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer
) -> AsyncIterator[Replicas]:
    """One service or two, as the test says."""
    url: str = request.getfixturevalue("sqlite_url" if "sqlite" in request.param else "postgresql_url")
    async with open_replicas(request.param, url, redis_server.url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def tool(http: HttpServer) -> SlowTool:
    return SlowTool(http)


def script(replicas: Replicas, *answers: Any) -> None:
    """What the model says where bob is. The other replica knows its provider, too."""
    replicas.taking.container.providers.add(ScriptedProvider(DONE))
    replicas.using.container.providers.add(ScriptedProvider(*answers))


async def make_world(replicas: Replicas, clients: AsyncExitStack, tool: SlowTool, **tools: Any) -> World:
    """Alice's agent calls the tool, on which she has a role."""
    admin = await replicas.taking.admin()
    made = await admin.post("/tools", json=TOOL | {"url": tool.server.url("/orders")})
    assert made.status_code == 201, made.text
    await give_role(admin, "alice", "user", "tool", "orders")
    await replicas.using.container.stored_providers.refresh()
    world = World(replicas, clients)
    await world.open(provider="scripted", tools=[{"name": "orders", **tools}])
    return world


async def take_tool(world: World) -> None:
    admin = await world.replicas.taking.admin()
    page = (await admin.get("/roles", params={"resource_type": "tool", "resource_id": "orders"})).json()
    (role_id,) = [each["id"] for each in page["data"] if each["user_id"] == "alice"]
    assert (await admin.delete(f"/roles/{role_id}")).status_code == 204


async def results_of(world: World, name: str, run_id: str) -> list[bool]:
    """Whether each result of a call in this run was an error."""
    log = await world.alice.get(f"/threads/{world.threads[name]}/events", headers={"accept": "application/json"})
    rows = log.json()["data"]
    return [row["is_error"] for row in rows if row["type"] == "tool.completed" and row["run_id"] == run_id]


TAKING = {
    "the roles": World.take_roles,
    "the key": World.delete_key,
    "the key that made the key": World.delete_parent,
}


@pytest.mark.parametrize(
    "replicas, taking",
    [
        ("same process, sqlite", "the roles"),
        ("other replica", "the key that made the key"),
        ("other replica, deaf", "the key"),
    ],
    indirect=["replicas"],
)
async def test_who_loses_a_right_during_a_call_sees_nothing_of_its_result(
    replicas: Replicas, tool: SlowTool, taking: str
) -> None:
    script(replicas, [tool_call("orders")], DONE)
    async with AsyncExitStack() as clients:
        world = await make_world(replicas, clients, tool)
        await world.make_tickets()
        path = f"/threads/{world.threads['silent']}"
        posted, watched, by_token = Stream("POST"), Stream("thread"), Stream("token")
        body = {"content": "How many?", "stream": True}
        reading = [
            asyncio.create_task(watched.read(world.bob.stream("GET", f"{path}/events"))),
            asyncio.create_task(by_token.read(world.by_token.stream("GET", f"{path}/events"))),
        ]
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(watched.begun.wait(), by_token.begun.wait())
            reading.append(asyncio.create_task(posted.read(world.bob.stream("POST", f"{path}/messages", json=body))))
            await tool.asked.wait()

        await TAKING[taking](world)
        # Nothing happens in the thread, as the tool is still at work.
        async with asyncio.timeout(60):
            await asyncio.gather(*reading)
        tool.may_answer.set()
        run_id = posted.events[0].data["run_id"]
        run = await world.until("silent", run_id, "completed", "failed")

        # The run had begun, and goes on for those who may see it.
        assert run["status"] == "completed"
        assert await results_of(world, "silent", run_id) == [False]
        for stream in (posted, watched, by_token):
            assert not [each for each in stream.events if each.event in ("tool.completed", "run.completed")], (
                stream.name
            )
        lost = (404, "not_found") if taking == "the roles" else (401, "unauthorized")
        for client in (world.bob, world.by_token):
            check_problem(await client.get(path), *lost)


@pytest.mark.parametrize("replicas", ["other replica, deaf"], indirect=True)
async def test_a_role_on_a_tool_that_is_lost_during_a_call_counts_for_the_next_run(
    replicas: Replicas, tool: SlowTool
) -> None:
    script(replicas, [tool_call("orders")], DONE, [tool_call("orders")], "I cannot count them.")
    async with AsyncExitStack() as clients:
        world = await make_world(replicas, clients, tool)
        running = await world.send("silent", content="How many?")
        # What waits in the queue begins after the loss.
        queued = await world.send("silent", content="And now?", on_busy="queue")
        async with asyncio.timeout(TIMEOUT_S):
            await tool.asked.wait()
        await take_tool(world)
        await replicas.using.container.stored_providers.refresh()
        tool.may_answer.set()
        first = await world.until("silent", running, "completed", "failed")
        second = await world.until("silent", queued, "completed", "failed")

        assert (first["status"], first["notices"]) == ("completed", [])
        assert await results_of(world, "silent", running) == [False]
        assert MISSING in second["notices"]
        assert await results_of(world, "silent", queued) == [True]
        assert len(tool.server.asked) == 1


@pytest.mark.parametrize("replicas", ["same process, sqlite"], indirect=True)
async def test_a_role_on_a_tool_that_is_lost_while_its_call_waits_for_approval_is_asked_again(
    replicas: Replicas, tool: SlowTool
) -> None:
    tool.may_answer.set()
    # The run begins where bob is, and goes on where the decision is made.
    script(replicas, [tool_call("orders")], *([DONE] if replicas.using is replicas.taking else []))
    async with AsyncExitStack() as clients:
        world = await make_world(replicas, clients, tool, approval="always")
        waiting = await world.send("silent", content="How many?")
        run = await world.until("silent", waiting, "waiting")
        await take_tool(world)
        log = await world.alice.get(
            f"/threads/{world.threads['silent']}/events", headers={"accept": "application/json"}
        )
        (call,) = [each for row in log.json()["data"] if row["type"] == "run.waiting" for each in row["approvals"]]
        decided = await world.alice.post(
            f"/threads/{world.threads['silent']}/runs/{waiting}/approvals",
            json={"tool_call_id": call["tool_call_id"], "approved": True},
        )
        assert decided.status_code == 200, decided.text
        run = await world.until("silent", waiting, "completed", "failed")

        assert run["status"] == "completed"
        assert MISSING in run["notices"]
        assert await results_of(world, "silent", waiting) == [True]
        assert tool.server.asked == []
