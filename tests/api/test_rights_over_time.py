"""A right is asked for when it is used and while it is used: the matrix of what is taken away, how, where and when."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from ai_agents.core.ids import TIME_FORMAT
from ai_agents.runner.process.periodic import Timing
from ai_agents.store.models import ApiKeyTable, TicketTable
from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.live import TIMEOUT_S, Live, SentEvent, events_of, serve
from tests.api.service import check_problem, make_agent, make_thread, settings_for
from tests.support.redis_server import RedisServer

# The echo says this word by word, far longer than a test takes.
LONG = "word " * 4000
MARK = "said-after-the-loss"
# How long keys and tickets last that end by themselves while streams are open.
SHORT_S = 1.5
POLL_S = 0.2


@dataclass
class Replicas:
    """Where rights are taken away, and where they are used: the same service, or two on one database."""

    taking: Live
    using: Live
    hears: bool = True


def end_in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime(TIME_FORMAT)


@dataclass
class Stream:
    """A stream that bob reads: what came, and whether it has ended."""

    name: str
    events: list[SentEvent] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    busy: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, request: Any) -> None:
        async with request as response:
            assert response.status_code == 200, await response.aread()
            self.begun.set()
            async for event in events_of(response):
                self.events.append(event)
                if event.event == "message.delta":
                    self.busy.set()


class World:
    """Alice's threads, in which bob reads and writes, by a key or a ticket that may be taken away."""

    def __init__(self, replicas: Replicas, clients: AsyncExitStack) -> None:
        self.replicas = replicas
        self._clients = clients
        self.ticketed = False
        self.key_id = self.parent_id = ""
        self.tickets: dict[str, str] = {}

    async def open(self, *, key_ends: str | None = None, **fields: Any) -> None:
        """Alice's agent and three threads: one in which nothing happens, one with a long answer, one that waits."""
        live = self.replicas.taking
        self.alice = await live.user("alice")
        self.agent = await make_agent(self.alice, **{"provider": "echo"} | fields)
        self.threads = {
            name: (await make_thread(self.alice, self.agent["id"]))["id"] for name in ("silent", "busy", "waiting")
        }
        self.roles = [(await self._give("viewer", "agent", self.agent["id"]))]
        self.roles += [await self._give("editor", "thread", thread_id) for thread_id in self.threads.values()]
        parent = await live.container.keys.create("bob", "of bob's computer")
        key = await live.container.keys.create("bob", "tests", expires_at=key_ends, parent_id=parent["id"])
        self.parent_id, self.key_id = parent["id"], key["id"]
        self.bob = await self._client(self.replicas.using, key["key"])

    async def _give(self, role: str, resource_type: str, resource_id: str) -> str:
        body = {"user_id": "bob", "role": role, "resource_type": resource_type, "resource_id": resource_id}
        return str((await self.alice.post("/roles", json=body)).json()["id"])

    async def _client(self, live: Live, key: str | None) -> httpx.AsyncClient:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        client = httpx.AsyncClient(base_url=live.server.address, headers=headers, timeout=TIMEOUT_S, trust_env=False)
        return await self._clients.enter_async_context(client)

    async def make_tickets(self) -> None:
        """Let bob read the threads by tickets of bob's key."""
        for name in ("silent", "busy"):
            body = {"thread_id": self.threads[name]}
            self.tickets[name] = (await self.bob.post("/tickets", json=body)).json()["ticket"]

    async def read(self) -> list[tuple[Stream, asyncio.Task[None]]]:
        """Open every kind of stream: with and without traffic, by key and by ticket, and that of a POST itself."""
        browser = await self._client(self.replicas.using, None)
        opened: list[tuple[Stream, asyncio.Task[None]]] = []

        def open_one(name: str, client: httpx.AsyncClient, method: str, path: str, **more: Any) -> Stream:
            stream = Stream(name)
            opened.append((stream, asyncio.create_task(stream.read(client.stream(method, path, **more)))))
            return stream

        busy, silent = f"/threads/{self.threads['busy']}", f"/threads/{self.threads['silent']}"
        body = {"content": LONG, "stream": True}
        posted = open_one("POST", self.bob, "POST", f"{busy}/messages", json=body)
        async with asyncio.timeout(TIMEOUT_S):
            await posted.busy.wait()
        run_id = posted.events[0].data["run_id"]
        open_one("thread, silent", self.bob, "GET", f"{silent}/events")
        open_one("thread, busy", self.bob, "GET", f"{busy}/events")
        open_one("run", self.bob, "GET", f"{busy}/runs/{run_id}/events")
        if self.tickets:
            query = f"events?ticket={self.tickets['busy']}"
            open_one("ticket, silent", browser, "GET", f"{silent}/events?ticket={self.tickets['silent']}")
            open_one("ticket, busy", browser, "GET", f"{busy}/{query}")
            open_one("ticket, run", browser, "GET", f"{busy}/runs/{run_id}/{query}")
        async with asyncio.timeout(TIMEOUT_S):
            for stream, _task in opened:
                await (stream.begun if "silent" in stream.name else stream.busy).wait()
        return opened

    # What is taken away.

    async def take_roles(self) -> None:
        for role_id in self.roles[1:]:
            assert (await self.alice.delete(f"/roles/{role_id}")).status_code == 204

    async def delete_key(self) -> None:
        admin = await self.replicas.taking.admin()
        assert (await admin.delete(f"/keys/{self.key_id}")).status_code == 204

    async def delete_parent(self) -> None:
        admin = await self.replicas.taking.admin()
        assert (await admin.delete(f"/keys/{self.parent_id}")).status_code == 204

    async def rotate_key(self) -> None:
        admin = await self.replicas.taking.admin()
        assert (await admin.post(f"/keys/{self.key_id}/rotate", json={})).status_code == 200

    async def nothing(self) -> None:
        """The key ends by itself."""

    async def take_roles_on_agent(self) -> None:
        assert (await self.alice.delete(f"/roles/{self.roles[0]}")).status_code == 204

    async def delete_agent(self) -> None:
        assert (await self.alice.delete(f"/agents/{self.agent['id']}")).status_code == 204

    async def let_key_end(self) -> None:
        """The key ends by itself, now."""
        ended = update(ApiKeyTable).where(ApiKeyTable.id == self.key_id).values(expires_at=end_in(-1))
        await self.replicas.taking.container.conn.database.write(lambda c: c.execute(ended))

    # What waits.

    async def send(self, name: str, **body: Any) -> str:
        """Send a message as bob; the id of its run, once it does not run (any more)."""
        path = f"/threads/{self.threads[name]}"
        sent = await self.bob.post(f"{path}/messages", json=body, headers={"prefer": "respond-async"})
        assert sent.status_code == 202, sent.text
        return str(sent.json()["id"])

    async def until(self, name: str, run_id: str, *statuses: str) -> dict[str, Any]:
        """The run once it has one of these statuses."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                run = (await self.alice.get(f"/threads/{self.threads[name]}/runs/{run_id}")).json()
                if run["status"] in statuses:
                    return dict(run)
                await asyncio.sleep(0.02)


TAKING: dict[str, Callable[[World], Awaitable[None]]] = {
    "the roles are removed": World.take_roles,
    "the key is deleted": World.delete_key,
    "the key that made the key is deleted": World.delete_parent,
    "the key ends": World.nothing,
}


@pytest.fixture(params=["same process, sqlite", "same process, postgresql", "other replica", "other replica, deaf"])
async def replicas(
    request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer
) -> AsyncIterator[Replicas]:
    """One service, or two on one PostgreSQL and one Redis; a deaf one does not hear what the other takes away."""
    where: str = request.param
    url: str = request.getfixturevalue("sqlite_url" if "sqlite" in where else "postgresql_url")
    changes: dict[str, Any] = {"echo_delay_s": 0.01, "shutdown_grace_s": 0}
    async with AsyncExitStack() as opened:
        if "other" not in where:
            live = await opened.enter_async_context(serve(settings_for(url, tmp_path, **changes)))
            yield Replicas(live, live)
            return
        changes["redis_url"] = redis_server.url
        both = [await opened.enter_async_context(serve(settings_for(url, tmp_path, **changes))) for _ in range(2)]
        replicas = Replicas(both[0], both[1], hears="deaf" not in where)
        if not replicas.hears:
            replicas.using.container.conn.bus._revoked_listeners.clear()  # as if Redis had lost the messages
            replicas.using.container.conn.readers.rights.poll_s = POLL_S
        yield replicas


@pytest.fixture
async def world(replicas: Replicas) -> AsyncIterator[World]:
    async with AsyncExitStack() as clients:
        yield World(replicas, clients)


@pytest.mark.parametrize("taking", TAKING)
async def test_streams_end_with_the_right_to_read_them(world: World, taking: str) -> None:
    await world.open(key_ends=end_in(SHORT_S + 2) if taking == "the key ends" else None)
    await world.make_tickets()
    opened = await world.read()
    assert not any(task.done() for _stream, task in opened)

    await TAKING[taking](world)
    began = time.monotonic()
    if taking != "the key ends" and world.replicas.hears:
        for thread_id in world.threads.values():
            await world.alice.patch(f"/threads/{thread_id}", json={"title": MARK})
    async with asyncio.timeout(15):
        await asyncio.gather(*(task for _stream, task in opened))

    if taking != "the key ends" and world.replicas.hears:
        assert time.monotonic() - began < 3, "at once"
        for stream, _task in opened:
            assert not [event for event in stream.events if event.event == "thread.updated"], stream.name
    for stream, _task in opened:
        assert not [event for event in stream.events if event.event.startswith("run.co")], stream.name
    lost = (404, "not_found") if taking == "the roles are removed" else (401, "unauthorized")
    check_problem(await world.bob.get(f"/threads/{world.threads['silent']}/events"), *lost)


async def test_a_stream_ends_with_its_ticket(world: World) -> None:
    await world.open()
    await world.make_tickets()
    made, ends = end_in(SHORT_S + 1 - 24 * 3600), end_in(SHORT_S + 1)
    await world.replicas.taking.container.conn.database.write(
        lambda c: c.execute(update(TicketTable).values(created_at=made, expires_at=ends))
    )
    opened = await world.read()
    by_ticket = [task for stream, task in opened if "ticket" in stream.name]
    async with asyncio.timeout(15):
        await asyncio.gather(*by_ticket)
    others = [task for _stream, task in opened if task not in by_ticket]
    assert not any(task.done() for task in others)
    await world.delete_key()
    async with asyncio.timeout(15):
        await asyncio.gather(*others)


async def test_streams_end_with_the_former_secret_of_a_key_and_its_tickets_stay(world: World) -> None:
    await world.open()
    await world.make_tickets()
    opened = await world.read()
    await world.rotate_key()
    async with asyncio.timeout(15):
        await asyncio.gather(*(task for stream, task in opened if "ticket" not in stream.name))
    assert not any(task.done() for stream, task in opened if "ticket" in stream.name)
    await world.delete_parent()
    async with asyncio.timeout(15):
        await asyncio.gather(*(task for _stream, task in opened))


async def test_a_post_that_waits_shows_nothing_once_the_right_is_lost(world: World) -> None:
    await world.open()
    path = f"/threads/{world.threads['waiting']}"
    waiting = asyncio.create_task(world.bob.post(f"{path}/messages", json={"content": LONG}))
    async with asyncio.timeout(TIMEOUT_S):
        while not (found := (await world.alice.get(f"{path}/runs")).json()["data"]):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)  # some text, so that the cancelled run has an answer
    await world.take_roles()
    if not world.replicas.hears:
        await asyncio.sleep(3 * POLL_S)
    ended = await world.alice.post(f"{path}/runs/{found[0]['id']}/cancel")
    assert ended.json()["status"] == "cancelled"
    check_problem(await waiting, 404, "not_found")


def test_what_another_process_took_away_is_read_well_within_fifteen_seconds() -> None:
    assert Timing().revocations_every_s <= 5


# What is taken away while a message waits, and the code with which its run then fails; None: it goes on.
WAITING: dict[str, tuple[Callable[[World], Awaitable[None]], str | None]] = {
    "the roles on the thread": (World.take_roles, "forbidden"),
    "the role on the agent": (World.take_roles_on_agent, "forbidden"),
    "the key": (World.delete_key, "forbidden"),
    "the key that made the key": (World.delete_parent, "forbidden"),
    "the secret of the key": (World.rotate_key, None),
    "the key ended": (World.let_key_end, None),
    "the agent": (World.delete_agent, "agent_deleted"),
    "nothing": (World.nothing, None),
}


@pytest.mark.parametrize("taking", WAITING)
async def test_a_queued_message_is_asked_again_when_its_run_begins(world: World, taking: str) -> None:
    take, code = WAITING[taking]
    await world.open()
    active = await world.alice.post(
        f"/threads/{world.threads['busy']}/messages", json={"content": LONG}, headers={"prefer": "respond-async"}
    )
    queued = await world.send("busy", content="Hello?", on_busy="queue")
    await world.until("busy", queued, "queued")

    await take(world)
    await world.alice.post(f"/threads/{world.threads['busy']}/runs/{active.json()['id']}/cancel")

    run = await world.until("busy", queued, "completed", "failed")
    assert (None if run["error"] is None else run["error"]["code"]) == code
    history = (await world.alice.get(f"/threads/{world.threads['busy']}/messages", params={"limit": 100})).json()[
        "data"
    ]
    said = [message["role"] for message in history if message["run_id"] == queued]
    assert said == (["user", "assistant"] if code is None else ["user"])


@pytest.mark.parametrize("taking", WAITING)
async def test_a_call_that_waits_for_approval_is_asked_again_when_its_run_goes_on(world: World, taking: str) -> None:
    take, code = WAITING[taking]
    call = tool_call("calculator", expression="6*7")
    # The run begins where bob is, and goes on where the decision is made.
    world.replicas.taking.container.providers.add(ScriptedProvider("It is 42."))
    same = world.replicas.using is world.replicas.taking
    world.replicas.using.container.providers.add(ScriptedProvider([call], *(["It is 42."] if same else [])))
    await world.open(provider="scripted", tools=[{"name": "calculator", "approval": "always"}])
    waiting = await world.send("silent", content="What is six times seven?")
    await world.until("silent", waiting, "waiting")

    await take(world)
    path = f"/threads/{world.threads['silent']}"
    decision = {"tool_call_id": call.tool_call_id, "approved": True}
    decided = await world.alice.post(f"{path}/runs/{waiting}/approvals", json=decision)

    assert decided.status_code == 200, decided.text
    run = await world.until("silent", waiting, "completed", "failed")
    assert (None if run["error"] is None else run["error"]["code"]) == code
    log = (await world.alice.get(f"{path}/events", headers={"accept": "application/json"})).json()["data"]
    results = [event["is_error"] for event in log if event["type"] == "tool.completed"]
    assert results == [code is not None], "the call is made only with the right to it"
    assert ("tool.started" in [event["type"] for event in log]) == (code is None)
