"""Providers at the fake server, for the tests of providers and of the roles on them."""

from typing import Any

import httpx

from tests.fakes.provider_server import FakeProviderServer

SECRET = "sk-the-secret-of-the-tests"


def described(fake: FakeProviderServer, **fields: Any) -> dict[str, Any]:
    """A provider at the fake server."""
    usual = {"name": "house", "type": "openai", "base_url": fake.base_url("openai"), "api_key": SECRET}
    return usual | {"default_model": "small"} | fields


async def make_provider(admin: httpx.AsyncClient, fake: FakeProviderServer, **fields: Any) -> dict[str, Any]:
    """Make one as an admin."""
    response = await admin.post("/providers", json=described(fake, **fields))
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def names_seen_by(client: httpx.AsyncClient) -> set[str]:
    """The providers that a user may name."""
    return {each["name"] for each in (await client.get("/providers")).json()["data"]}


async def ask(client: httpx.AsyncClient, thread: dict[str, Any], content: str = "Hello!") -> httpx.Response:
    """Send a message and wait for what becomes of it."""
    return await client.post(f"/threads/{thread['id']}/messages", json={"content": content})


async def role_id(admin: httpx.AsyncClient, provider: str, user_id: str) -> str:
    """The id of a user's role on a provider."""
    page = await admin.get("/roles", params={"resource_type": "provider", "resource_id": provider})
    return next(str(role["id"]) for role in page.json()["data"] if role["user_id"] == user_id)


async def take_from_everybody(admin: httpx.AsyncClient, provider: str) -> None:
    """Remove the role of `*`."""
    response = await admin.delete(f"/roles/{await role_id(admin, provider, '*')}")
    assert response.status_code == 204, response.text
