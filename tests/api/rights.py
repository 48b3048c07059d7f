"""What the matrix in time is made of: replicas, and a user on them whose rights are taken away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import update

from ai_agents.core.certificates import trusted_certificates
from ai_agents.core.ids import TIME_FORMAT
from ai_agents.store import tokens
from ai_agents.store.access_tables import ApiKeyTable
from tests.api.live import TIMEOUT_S, Live, SentEvent, events_of, serve
from tests.api.service import make_agent, make_thread, settings_for

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

    @property
    def made(self) -> bool:
        """Whether it was opened by what the key has made."""
        return "token" in self.name or "ticket" in self.name

    async def read(self, request: Any) -> None:
        async with request as response:
            assert response.status_code == 200, await response.aread()
            self.begun.set()
            async for event in events_of(response):
                self.events.append(event)
                if event.event == "message.delta":
                    self.busy.set()


class World:
    """Alice's threads, in which bob reads and writes, by a key, its token or a ticket that may be taken away."""

    def __init__(self, replicas: Replicas, clients: AsyncExitStack) -> None:
        self.replicas = replicas
        self._clients = clients
        self.ticketed = False
        self.key_id = self.parent_id = self.token_id = ""
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
        token = await live.container.tokens.create("bob", parent_id=key["id"], expires_in_s=3600)
        self.parent_id, self.key_id, self.token_id = parent["id"], key["id"], token["id"]
        self.bob = await self._client(self.replicas.using, key["key"])
        self.by_token = await self._client(self.replicas.using, token["token"])

    async def _give(self, role: str, resource_type: str, resource_id: str) -> str:
        body = {"user_id": "bob", "role": role, "resource_type": resource_type, "resource_id": resource_id}
        return str((await self.alice.post("/roles", json=body)).json()["id"])

    async def _client(self, live: Live, key: str | None) -> httpx.AsyncClient:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        client = httpx.AsyncClient(
            base_url=live.server.address,
            headers=headers,
            timeout=TIMEOUT_S,
            verify=trusted_certificates(),
            trust_env=False,
        )
        return await self._clients.enter_async_context(client)

    async def make_tickets(self) -> None:
        """Let bob read the threads by tickets of bob's key, and of its token."""
        for name, client in (("silent", self.bob), ("busy", self.bob), ("token", self.by_token)):
            body = {"thread_id": self.threads["silent" if name == "token" else name]}
            self.tickets[name] = (await client.post("/tickets", json=body)).json()["ticket"]

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
        open_one("token, silent", self.by_token, "GET", f"{silent}/events")
        open_one("token, busy", self.by_token, "GET", f"{busy}/events")
        if self.tickets:
            query = f"events?ticket={self.tickets['busy']}"
            open_one("ticket, silent", browser, "GET", f"{silent}/events?ticket={self.tickets['silent']}")
            open_one("ticket, busy", browser, "GET", f"{busy}/{query}")
            open_one("token's ticket, silent", browser, "GET", f"{silent}/events?ticket={self.tickets['token']}")
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

    async def delete_token(self) -> None:
        assert (await (await self.replicas.taking.admin()).delete(f"/tokens/{self.token_id}")).status_code == 204

    async def delete_tokens(self) -> None:
        admin = await self.replicas.taking.admin()
        assert (await admin.delete("/tokens", params={"user_id": "bob"})).status_code == 204

    async def rotate_key(self) -> None:
        admin = await self.replicas.taking.admin()
        assert (await admin.post(f"/keys/{self.key_id}/rotate", json={})).status_code == 200

    async def nothing(self) -> None:
        """The key ends by itself."""

    async def take_roles_on_agent(self) -> None:
        assert (await self.alice.delete(f"/roles/{self.roles[0]}")).status_code == 204

    async def delete_agent(self) -> None:
        assert (await self.alice.delete(f"/agents/{self.agent['id']}")).status_code == 204

    async def let_both_end(self) -> None:
        """Key and token end by themselves, now; the token is swept where nothing waits that was sent by it."""
        ended = update(ApiKeyTable).where(ApiKeyTable.id.in_((self.key_id, self.token_id)))
        write = self.replicas.taking.container.conn.database.write
        await write(lambda c: c.execute(ended.values(expires_at=end_in(-1))))
        await write(tokens.sweep)

    # What waits.

    async def send(self, name: str, *, by_token: bool = False, **body: Any) -> str:
        """Send a message as bob; the id of its run, once it does not run (any more)."""
        path = f"/threads/{self.threads[name]}"
        client = self.by_token if by_token else self.bob
        sent = await client.post(f"{path}/messages", json=body, headers={"prefer": "respond-async"})
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


@asynccontextmanager
async def open_replicas(where: str, database_url: str, redis_url: str, directory: Path) -> AsyncIterator[Replicas]:
    """One service, or two on one PostgreSQL and one Redis; a deaf one does not hear what the other takes away."""
    changes: dict[str, Any] = {"echo_delay_s": 0.01, "shutdown_grace_s": 0, "outbound_allow": "127.0.0.1"}
    async with AsyncExitStack() as opened:
        if "other" not in where:
            live = await opened.enter_async_context(serve(settings_for(database_url, directory, **changes)))
            yield Replicas(live, live)
            return
        changes["redis_url"] = redis_url
        both = [
            await opened.enter_async_context(serve(settings_for(database_url, directory, **changes))) for _ in range(2)
        ]
        replicas = Replicas(both[0], both[1], hears="deaf" not in where)
        if not replicas.hears:
            replicas.using.container.conn.bus._revoked_listeners.clear()  # as if Redis had lost the messages
            replicas.using.container.conn.readers.rights.poll_s = POLL_S
        yield replicas
