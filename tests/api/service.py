"""A running service for tests, and its users."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from app.container import Container
from app.main import create_app
from app.settings import Settings
from tests.api.declared import check_answer
from tests.support.pooled import through_pooler

ADMIN_KEY = "admin-key-of-the-tests"
JSON = {"content-type": "application/json"}
# A valid id that belongs to nothing.
UNKNOWN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


class Service:
    """An open application without a server. Streams need a server: see `tests/api/live.py`.

    `suffix` ends the ids of its users.
    """

    def __init__(self, app: FastAPI, clients: AsyncExitStack, *, suffix: str = "") -> None:
        self.app = app
        self._suffix = suffix
        self._clients = clients
        self._users: dict[str, httpx.AsyncClient] = {}

    @property
    def container(self) -> Container:
        """The container of the application."""
        container: Container = self.app.state.container
        return container

    async def anonymous(self) -> httpx.AsyncClient:
        """A client without a key."""
        return await self._client({})

    async def admin(self) -> httpx.AsyncClient:
        """A client with the admin key."""
        return await self._client({"authorization": f"Bearer {ADMIN_KEY}"})

    async def user(self, name: str) -> httpx.AsyncClient:
        """A client with a key of this user."""
        if name not in self._users:
            key = await self.container.keys.create(name + self._suffix, "tests")
            self._users[name] = await self._client({"authorization": f"Bearer {key['key']}"})
        return self._users[name]

    async def _client(self, headers: Mapping[str, str]) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        hooks = {"response": [check_answer]}
        client = httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers, event_hooks=hooks)
        return await self._clients.enter_async_context(client)


def settings_for(database_url: str, directory: Path, **changes: Any) -> Settings:
    """Settings for one test. Threads get no automatic titles, which only the tests of titles need."""
    direct_url = None
    if "database_direct_url" not in changes:
        database_url, direct_url = through_pooler(database_url)
    usual: dict[str, Any] = {
        "database_url": database_url,
        "database_direct_url": direct_url,
        "var_dir": directory,
        "admin_key": ADMIN_KEY,
        "shutdown_grace_s": 2,
        "echo_delay_s": 0,
        "auto_title": False,
    }
    return Settings(**usual | changes)


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncGenerator[Service]:
    """The service of these settings."""
    app = create_app(settings)
    async with app.router.lifespan_context(app), AsyncExitStack() as clients:
        yield Service(app, clients)


async def make_agent(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A new agent of the client's user."""
    response = await client.post("/agents", json={"name": "assistant"} | fields)
    assert response.status_code == 201, response.text
    agent: dict[str, Any] = response.json()
    return agent


async def make_thread(client: httpx.AsyncClient, agent_id: str | None = None, **fields: Any) -> dict[str, Any]:
    """A new thread of the client's user, with a new agent unless one is given."""
    agent_id = agent_id or (await make_agent(client))["id"]
    response = await client.post("/threads", json={"agent_id": agent_id} | fields)
    assert response.status_code == 201, response.text
    thread: dict[str, Any] = response.json()
    return thread


async def give_role(client: httpx.AsyncClient, user_id: str, role: str, resource_type: str, resource_id: str) -> None:
    """Assign a role as the client's user."""
    body = {"user_id": user_id, "role": role, "resource_type": resource_type, "resource_id": resource_id}
    response = await client.post("/roles", json=body)
    assert response.status_code == 201, response.text


def raw_header(name: str, value: str) -> dict[bytes, bytes]:
    """A header with characters that HTTP clients refuse to send."""
    return {name.encode(): value.encode("latin-1")}


def check_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that the response is this problem, in the form of the contract; the problem."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["code"] == code, problem
    assert problem["status"] == status
    assert problem["type"]
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem
