"""Tenants who do not trust each other on one service: what one says is in nothing that is another's."""

import asyncio
import json
import random
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.faults.conftest import amount
from tests.faults.support.cluster import Cluster, open_session
from tests.faults.support.model import MODELS

pytestmark = pytest.mark.soak
TENANTS = amount(sample=4, all_of_it=20)
CLIENTS = amount(sample=12, all_of_it=200)
LASTS_S = amount(sample=3, all_of_it=300)
CANARY = re.compile(r"canary-[0-9a-f]{12}")
PROVIDERS = ("openai", "anthropic", "ollama")
LISTS = ("/agents", "/threads", "/keys", "/roles", "/usage", "/tools", "/providers", "/me", "/agents?shared=true")


@dataclass
class Tenant:
    """A user with a word of their own, and the paths of what is theirs."""

    canary: str
    session: aiohttp.ClientSession
    agents: list[str] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """What others may not see."""
        agents = [f"/agents/{each}" for each in self.agents]
        threads = [f"/threads/{each}{more}" for each in self.threads for more in ("", "/messages", "/runs", "/context")]
        files = [f"/files/{each}{more}" for each in self.files for more in ("", "/content")]
        return [*agents, *threads, *files, *self.runs]


class Crowd:
    """The tenants, what they do, and where a word was found that is not theirs."""

    def __init__(self, cluster: Cluster, rng: random.Random) -> None:
        self.cluster = cluster
        self.rng = rng
        self.tenants: list[Tenant] = []
        self.leaks: list[str] = []
        self.done: dict[str, int] = {}
        self.statuses: dict[int, int] = {}

    async def open(self, stack: AsyncExitStack) -> None:
        """Make the tenants, each with an agent and a thread."""
        for _ in range(TENANTS):
            canary = f"canary-{self.rng.randbytes(6).hex()}"
            key = await self.cluster.call(self.cluster.replicas[0], "POST", "/keys", {"user_id": f"user-{canary}"})
            session = await stack.enter_async_context(open_session(key.ok(201)["key"]))
            self.tenants.append(Tenant(canary, session))
        for tenant in self.tenants:
            await self.make_an_agent(tenant)
            await self.make_a_thread(tenant)

    def look(self, tenant: Tenant, where: str, text: str) -> None:
        """Note the words of others in something that this tenant got."""
        self.leaks += [f"{where} of {tenant.canary}: {each}" for each in CANARY.findall(text) if each != tenant.canary]

    async def ask(self, tenant: Tenant, method: str, path: str, *, hidden: bool = False, **sent: Any) -> Any:
        """One request on either process, under the id that all tenants use; its JSON if it succeeds.

        Each tenant's clients together ask for more than one user may, so that some requests are refused.
        """
        headers = {"x-request-id": "the-same-one", **sent.pop("headers", {})}
        address = self.rng.choice(self.cluster.replicas).url
        try:
            async with tenant.session.request(method, address + path, headers=headers, **sent) as response:
                text = await response.text()
        except aiohttp.ClientOSError:
            return None  # refused before its body was read
        self.look(tenant, f"{method} {path}", text)
        assert response.status < 500 or response.status == 503, (method, path, response.status, text)
        if hidden and response.status not in {404, 429, 503}:
            self.leaks.append(f"{tenant.canary} gets {response.status} for {path}")
        self.statuses[response.status] = self.statuses.get(response.status, 0) + 1
        return json.loads(text) if response.status < 300 and text.startswith("{") else None

    async def make_an_agent(self, tenant: Tenant) -> None:
        provider = self.rng.choice(PROVIDERS)
        body = {
            "name": f"agent of {tenant.canary}",
            "provider": provider,
            "model": MODELS[provider],
            "system_prompt": f"You know {tenant.canary}.",
        }
        made = await self.ask(tenant, "POST", "/agents", json=body)
        tenant.agents += [] if made is None else [made["id"]]

    async def make_a_thread(self, tenant: Tenant) -> None:
        body = {"agent_id": self.rng.choice(tenant.agents), "title": tenant.canary, "metadata": {"word": tenant.canary}}
        # Every tenant uses the same keys, each of which is theirs alone.
        key = f"key-{self.rng.randrange(1_000)}"
        made = await self.ask(tenant, "POST", "/threads", json=body, headers={"idempotency-key": key})
        if made is not None and made["id"] not in tenant.threads:
            tenant.threads.append(made["id"])

    async def upload(self, tenant: Tenant) -> None:
        form = aiohttp.FormData()
        form.add_field("file", f"Notes on {tenant.canary}.", filename="notes.txt", content_type="text/plain")
        made = await self.ask(tenant, "POST", "/files", data=form)
        tenant.files += [] if made is None else [made["id"]]

    def message(self, tenant: Tenant) -> dict[str, Any]:
        pause = self.rng.choice(("0", "0.01", "0.05"))
        attached = [self.rng.choice(tenant.files)] if tenant.files and self.rng.random() < 0.3 else []
        busy = self.rng.choice(("reject", "queue", "interrupt"))
        text = f"say={tenant.canary} words={self.rng.randrange(40)} pause={pause}"
        return {"content": text, "attachments": attached, "on_busy": busy}

    async def send(self, tenant: Tenant) -> None:
        thread, key = self.rng.choice(tenant.threads), f"key-{self.rng.randrange(1_000)}"
        headers = {"prefer": "respond-async", "idempotency-key": key}
        path = f"/threads/{thread}/messages"
        run = await self.ask(tenant, "POST", path, json=self.message(tenant), headers=headers)
        if run is None:
            return
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        tenant.runs.append(path)
        if self.rng.random() < 0.3:
            await asyncio.sleep(self.rng.random() * 0.3)
            await self.ask(tenant, "POST", f"{path}/cancel")

    async def read(self, tenant: Tenant) -> None:
        """Send a message and read its stream, or a part of it, here or there."""
        address, thread = self.rng.choice(self.cluster.replicas).url, self.rng.choice(tenant.threads)
        body = self.message(tenant) | {"stream": True}
        leaves_after_s = self.rng.choice((0.05, 0.3, 5))
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(leaves_after_s),
                tenant.session.post(f"{address}/threads/{thread}/messages", json=body) as response,
            ):
                async for line in response.content:
                    self.look(tenant, "stream", line.decode())

    async def follow(self, tenant: Tenant) -> None:
        """Read a thread's events from the first for a while."""
        address, thread = self.rng.choice(self.cluster.replicas).url, self.rng.choice(tenant.threads)
        headers = {"accept": "text/event-stream", "last-event-id": "0-0"}
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(self.rng.random()),
                tenant.session.get(f"{address}/threads/{thread}/events", headers=headers) as response,
            ):
                async for line in response.content:
                    self.look(tenant, "events", line.decode())

    async def look_around(self, tenant: Tenant) -> None:
        """Read one's own lists and things."""
        await self.ask(tenant, "GET", self.rng.choice((*LISTS, *tenant.paths)))

    async def pry(self, tenant: Tenant) -> None:
        """Ask for what is another's, which does not exist."""
        other = self.rng.choice([each for each in self.tenants if each is not tenant])
        await self.ask(tenant, "GET", self.rng.choice(other.paths), hidden=True)

    async def fork(self, tenant: Tenant) -> None:
        thread = self.rng.choice(tenant.threads)
        page = await self.ask(tenant, "GET", f"/threads/{thread}/messages")
        if page is not None and page["data"]:
            message = self.rng.choice(page["data"])["id"]
            made = await self.ask(tenant, "POST", f"/threads/{thread}/fork", json={"message_id": message})
            tenant.threads += [] if made is None else [made["id"]]

    async def act(self, tenant: Tenant, until: float) -> None:
        """One client: whatever comes to mind, until the time is over."""
        choices: list[tuple[int, Callable[[Tenant], Awaitable[None]]]] = [
            (1, self.make_an_agent), (2, self.make_a_thread), (2, self.upload), (6, self.send), (6, self.read),
            (3, self.follow), (6, self.look_around), (6, self.pry), (1, self.fork),
        ]  # fmt: skip
        while time.monotonic() < until:
            (action,) = self.rng.choices([each for _, each in choices], [weight for weight, _ in choices])
            await action(tenant)
            self.done[action.__name__] = self.done.get(action.__name__, 0) + 1


async def rows_of(database_url: str) -> list[tuple[str, str]]:
    """Every row of every table, as text."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [
            (table["tablename"], row["text"])
            for table in tables
            for row in await connection.fetch(f'SELECT t::text AS text FROM "{table["tablename"]}" t')
        ]
    finally:
        await connection.close()


async def test_no_tenants_word_is_in_anything_of_another(
    pair: Cluster, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In no answer, stream, request to a provider or row."""
    crowd = Crowd(pair, rng)
    answer_to = pair.model.answer_to
    asked = 0

    def watching(provider: str, payload: Any) -> Any:
        nonlocal asked
        asked += 1
        words = set(CANARY.findall(json.dumps(payload)))
        crowd.leaks += [f"a request to {provider} has {words}"] if len(words) != 1 else []
        return answer_to(provider, payload)

    monkeypatch.setattr(pair.model, "answer_to", watching)
    async with AsyncExitStack() as stack:
        await crowd.open(stack)
        until = time.monotonic() + LASTS_S
        await asyncio.gather(*(crowd.act(crowd.tenants[each % TENANTS], until) for each in range(CLIENTS)))

    rows = await rows_of(pair.database_url)
    mixed = [(table, row[:500]) for table, row in rows if len(set(CANARY.findall(row))) > 1]
    print(crowd.done, crowd.statuses, f"{asked} calls of models, {len(rows)} rows")  # noqa: T201  # shown where it fails
    assert crowd.leaks == []
    assert mixed == []
    assert asked
    assert {table for table, row in rows if CANARY.search(row)} >= {"messages", "threads", "agents", "files", "runs"}
