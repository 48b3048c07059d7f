"""The service behind its real server, for streams: without one, clients get answers only when they are complete."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import select

from ai_agents.core.certificates import trusted_certificates
from ai_agents.store.models import RunTable
from ai_agents.testing import ScriptedAnswer, ScriptedProvider
from app.container import Container
from app.main import create_app
from app.serving.server import Server, build_server
from app.settings import Settings
from tests.api.declared import check_answer, check_event, check_hint
from tests.api.service import ADMIN_KEY, make_agent, make_thread

TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One server-sent event as a client sees it."""

    id: str
    event: str
    data: dict[str, Any]


class Live:
    """An application behind a server, and its users."""

    def __init__(self, server: Server, clients: AsyncExitStack, serving: asyncio.Task[None]) -> None:
        self.server = server
        self.serving = serving
        self._clients = clients

    @property
    def app(self) -> Any:
        """The application."""
        return self.server.config.app

    @property
    def container(self) -> Container:
        """The container of the application."""
        container: Container = self.app.state.container
        return container

    async def admin(self) -> httpx.AsyncClient:
        """A client with the admin key."""
        return await self._client(ADMIN_KEY)

    async def user(self, name: str) -> httpx.AsyncClient:
        """A client with a new key of this user."""
        return await self._client((await self.container.keys.create(name, "tests"))["key"])

    async def _client(self, key: str) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {key}"}
        client = httpx.AsyncClient(
            base_url=self.server.address,
            headers=headers,
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=trusted_certificates(),
            event_hooks={"response": [check_answer]},
        )
        return await self._clients.enter_async_context(client)

    async def waiting_to_join(self, run_id: str) -> list[str]:
        """Ids of the messages that wait to join a run."""
        statement = select(RunTable.steered).where(RunTable.id == run_id)
        steered = await self.container.conn.database.read(lambda c: c.execute(statement).scalar_one())
        return [each["message_id"] for each in steered or ()]

    async def scripted_thread(
        self, client: httpx.AsyncClient, *answers: ScriptedAnswer | Sequence[object]
    ) -> dict[str, Any]:
        """A thread of the client's user whose agent gives these answers."""
        self.container.providers.add(ScriptedProvider(*answers))
        agent = await make_agent(client, provider="scripted", tools=["calculator"])
        return await make_thread(client, agent["id"])


@asynccontextmanager
async def serve(
    settings: Settings, app: FastAPI | None = None, *, limits: Mapping[str, float] | None = None
) -> AsyncGenerator[Live]:
    """The service of these settings, or another application, listening on a port of its own.

    `limits` are fields of `GateLimits`.
    """
    listening = asyncio.Event()
    server = build_server(app or create_app(settings), settings, port=0, limits=limits)
    server.announce = lambda _address: listening.set()
    serving = asyncio.create_task(server.serve())
    waiting = asyncio.create_task(listening.wait())
    await asyncio.wait([waiting, serving], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    assert server.started
    try:
        async with AsyncExitStack() as clients:
            yield Live(server, clients, serving)
    finally:
        server.stop()
        await asyncio.wait_for(serving, TIMEOUT_S)


async def events_of(response: httpx.Response) -> AsyncIterator[SentEvent]:
    """The events of a stream, as they arrive."""
    event_id = event = ""
    check = check_hint if response.url.path == "/events" else check_event
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            event_id = value
        elif name == "event":
            event = value
        elif name == "data":
            sent = SentEvent(event_id, event, json.loads(value))
            check(sent.data)
            yield sent


async def read_all(client: httpx.AsyncClient, path: str, **headers: str) -> list[SentEvent]:
    """All events of a stream that ends by itself."""
    async with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        return [event async for event in events_of(response)]


async def next_of(events: AsyncIterator[SentEvent], kind: str) -> SentEvent:
    """The next event of this type."""
    async with asyncio.timeout(TIMEOUT_S):
        async for event in events:
            if event.event == kind:
                return event
    raise AssertionError(f"the stream ended without {kind}")


def text_of(events: list[SentEvent]) -> str:
    """The text of all deltas."""
    return "".join(event.data["text"] for event in events if event.event == "message.delta")
