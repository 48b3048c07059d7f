"""Providers on several processes, from a file, and while streams are open."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from ai_agents.context.providers import StoredProviders
from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest
from ai_agents.providers.http_provider import HTTPProvider
from ai_agents.providers.quirks import Quirks
from ai_agents.store import in_step
from app.container import Container, open_container
from app.settings import Settings
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread, open_service, settings_for
from tests.fakes.answers import say
from tests.fakes.provider_server import FakeProviderServer
from tests.support.redis_server import RedisServer

TIMEOUT_S = 20


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes look at the database without a pause that a test would have to wait for."""
    monkeypatch.setattr(in_step, "REFRESH_S", 0.02)


@pytest.fixture
async def replicas(
    database_url: str, redis_server: RedisServer, tmp_path: Path, often: None
) -> AsyncIterator[tuple[Service, Service]]:
    """Two replicas of the service on one database."""
    settings = settings_for(database_url, tmp_path, redis_url=redis_server.url)
    async with open_service(settings) as first, open_service(settings) as second:
        yield first, second


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not holds():
            await asyncio.sleep(0.01)


def described(fake: FakeProviderServer, **fields: Any) -> dict[str, Any]:
    return {"name": "house", "type": "openai", "base_url": fake.base_url("openai"), "default_model": "small"} | fields


async def ask(client: httpx.AsyncClient, thread: dict[str, Any]) -> httpx.Response:
    return await client.post(f"/threads/{thread['id']}/messages", json={"content": "Hello!"})


async def test_a_change_on_one_replica_holds_on_the_others(
    replicas: tuple[Service, Service], fake: FakeProviderServer
) -> None:
    here, there = replicas
    admin, elsewhere = await here.admin(), await there.admin()

    await admin.post("/providers", json=described(fake, api_key="first"))
    # At once, since a name that is not known is looked for.
    agent = await make_agent(elsewhere, provider="house")
    thread = await make_thread(elsewhere, agent["id"])
    assert (await ask(elsewhere, thread)).status_code == 201

    pool = there.container.providers
    before = pool.find("house")
    await admin.patch("/providers/house", json={"api_key": "second"})
    await until(lambda: pool.find("house") != before)
    assert (await ask(elsewhere, thread)).status_code == 201
    keys = [request.headers["authorization"] for request in fake.received("openai")]
    assert keys == ["Bearer first", "Bearer second"]

    await admin.delete("/providers/house")
    await until(lambda: pool.find("house") is None)
    check_problem(await ask(elsewhere, thread), 503, "provider_not_configured")


async def test_a_role_that_is_taken_on_one_replica_is_lost_on_the_others(
    replicas: tuple[Service, Service], fake: FakeProviderServer
) -> None:
    here, there = replicas
    admin, alice = await here.admin(), await there.user("alice")
    await admin.post("/providers", json=described(fake))
    thread = await make_thread(alice, (await make_agent(alice, provider="house"))["id"])

    page = (await admin.get("/roles", params={"resource_type": "provider", "resource_id": "house"})).json()
    await admin.delete(f"/roles/{page['data'][0]['id']}")
    rights = there.container.use_rights
    await until(lambda: not rights.may_use("alice", "provider", "house"))
    check_problem(await ask(alice, thread), 403, "forbidden")

    await give_role(admin, "alice", "user", "provider", "house")
    await until(lambda: rights.may_use("alice", "provider", "house"))
    fake.script("openai", [say("Again.")])
    assert (await ask(alice, thread)).json()["content"] == "Again."


async def test_what_one_replica_learned_is_known_and_shown_on_the_others(
    replicas: tuple[Service, Service], fake: FakeProviderServer
) -> None:
    here, there = replicas
    admin, elsewhere = await here.admin(), await there.admin()
    await admin.post("/providers", json=described(fake))
    there_provider = await in_use(there.container, "house")
    provider = await in_use(here.container, "house")

    provider.learned.learn("small", Quirks(stream_options=False))

    await until(lambda: there_provider.learned.get("small") == Quirks(stream_options=False))
    shown = (await elsewhere.get("/providers/house")).json()
    assert shown["learned"] == {"small": {"stream_options": False}}


async def in_use(container: Container, name: str) -> HTTPProvider:
    await until(lambda: container.providers.find(name) is not None)
    provider = container.providers.get(name)
    assert isinstance(provider, HTTPProvider)
    return provider


async def test_what_was_learned_is_known_after_a_restart(database_url: str, tmp_path: Path) -> None:
    settings = settings_for(database_url, tmp_path, openai_api_key="made-up")
    async with open_container(settings) as container:
        provider = container.providers.get("openai")
        assert isinstance(provider, HTTPProvider)
        provider.learned.learn("gpt-x", Quirks(max_tokens_field="max_completion_tokens"))
        provider.learned.learn("n" * 201, Quirks(stop=False))

    async with open_container(settings) as container:
        provider = container.providers.get("openai")
        assert isinstance(provider, HTTPProvider)
        assert provider.learned.all() == {"gpt-x": Quirks(max_tokens_field="max_completion_tokens")}


async def test_a_worker_has_what_admins_made(
    database_url: str, tmp_path: Path, fake: FakeProviderServer, often: None
) -> None:
    settings = settings_for(database_url, tmp_path)
    async with open_service(settings) as service, open_container(settings) as of_worker:
        admin = await service.admin()
        await admin.post("/providers", json=described(fake))
        await until(lambda: of_worker.providers.find("house") is not None)

        await of_worker.providers.get("house").prepare()


async def test_an_open_stream_ends_as_it_began_when_its_provider_is_deleted(
    service: Service, fake: FakeProviderServer
) -> None:
    admin = await service.admin()
    await admin.post("/providers", json=described(fake))
    thread = await make_thread(admin, (await make_agent(admin, provider="house"))["id"])
    go_on = asyncio.Event()
    fake.script("openai", [say("The first half, ", go_on, "and the second.")])
    provider = service.container.providers.get("house")
    asking = asyncio.create_task(ask(admin, thread))
    await until(lambda: bool(fake.received("openai")))

    assert (await admin.delete("/providers/house")).status_code == 204
    assert provider._transport is not None  # type: ignore[attr-defined]  # what is open cannot be seen from outside
    go_on.set()

    assert (await asking).json()["content"] == "The first half, and the second."
    await until(lambda: provider._transport is None)  # type: ignore[attr-defined]


async def test_the_providers_of_a_file_are_used_and_cannot_be_changed(
    database_url: str, tmp_path: Path, fake: FakeProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSE_KEY", "sk-of-the-variable")
    file = tmp_path / "providers.toml"
    file.write_text(f"""
        [[providers]]
        name = "house"
        type = "openai"
        base_url = "{fake.base_url("openai")}"
        api_key = {{ env = "HOUSE_KEY" }}

        [[providers]]
        name = "groq"
        preset = "groq"
        api_key = {{ env = "KEY_THAT_IS_NOT_SET" }}
    """)
    settings = settings_for(database_url, tmp_path, providers=str(file), default_model="house:large")

    async with open_service(settings) as service:
        admin, alice = await service.admin(), await service.user("alice")
        assert (await ask(alice, await make_thread(alice))).status_code == 201
        [request] = fake.received("openai")
        assert request.headers["authorization"] == "Bearer sk-of-the-variable"
        assert request.json["model"] == "large"
        found = {each["name"]: each for each in (await admin.get("/providers")).json()["data"]}
        assert (found["house"]["source"], found["house"]["default"]) == ("file", True)
        assert found["groq"]["reason"] == "KEY_THAT_IS_NOT_SET is not set."
        for response in (
            await admin.post("/providers", json=described(fake)),
            await admin.patch("/providers/house", json={"default_model": "x"}),
            await admin.delete("/providers/house"),
        ):
            check_problem(response, 409, "conflict")


async def test_a_name_that_left_the_file_can_be_made_and_is_everybodys_again(
    database_url: str, tmp_path: Path, fake: FakeProviderServer
) -> None:
    entries = json.dumps([described(fake)])
    async with open_service(settings_for(database_url, tmp_path, providers=entries)) as service:
        await give_role(await service.admin(), "alice", "user", "provider", "house")

    async with open_service(settings_for(database_url, tmp_path)) as service:
        admin, bob = await service.admin(), await service.user("bob")
        check_problem(await admin.get("/providers/house"), 404, "not_found")
        assert (await admin.post("/providers", json=described(fake))).status_code == 201
        await make_agent(bob, provider="house")
        page = (await admin.get("/roles", params={"resource_type": "provider", "resource_id": "house"})).json()
        assert [role["user_id"] for role in page["data"]] == ["*"]


def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    for given, told in (
        (str(tmp_path / "none.json"), "there is no file"),
        ("[{", "the text is no JSON"),
        (json.dumps([{"name": "openai", "preset": "vllm"}]), "belongs to a built-in provider"),
        (json.dumps([{"name": "a", "preset": "b"}]), "preset: A preset is one of"),
    ):
        with pytest.raises(ValidationError, match=told):
            Settings(providers=given)


async def test_a_default_provider_that_there_is_not_stops_the_start(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="names an unknown provider"):
        async with open_container(settings_for(sqlite_url, tmp_path, default_model="house:small")):
            raise AssertionError("it started")


async def test_a_database_that_does_not_answer_at_the_start_is_read_later(
    database_url: str, tmp_path: Path, fake: FakeProviderServer, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service(settings_for(database_url, tmp_path)) as service:
        await (await service.admin()).post("/providers", json=described(fake))
    refresh = StoredProviders.refresh
    failures = iter([True, True])

    async def fail_twice(self: StoredProviders) -> None:
        if next(failures, False):
            raise DatabaseUnavailable
        await refresh(self)

    monkeypatch.setattr(StoredProviders, "refresh", fail_twice)

    async with open_container(settings_for(database_url, tmp_path, default_model="house:small")) as container:
        await until(lambda: container.providers.find("house") is not None)


async def test_the_erasure_of_a_user_takes_their_roles_on_providers_and_opens_none(
    service: Service, fake: FakeProviderServer
) -> None:
    admin, bob = await service.admin(), await service.user("bob")
    for name in ("echo", "house"):
        if name == "house":
            await admin.post("/providers", json=described(fake))
        page = (await admin.get("/roles", params={"resource_type": "provider", "resource_id": name})).json()
        await admin.delete(f"/roles/{page['data'][0]['id']}")
        await give_role(admin, "alice", "user", "provider", name)

    job = (await admin.delete("/users/alice")).json()
    async with asyncio.timeout(TIMEOUT_S):
        while (await admin.get("/jobs")).json()["data"][0]["status"] != "completed":
            await asyncio.sleep(0.02)

    assert job["kind"] == "erase_user"
    for name in ("echo", "house"):
        page = (await admin.get("/roles", params={"resource_type": "provider", "resource_id": name})).json()
        assert page["data"] == []
    assert {"echo", "house"}.isdisjoint(each["name"] for each in (await bob.get("/providers")).json()["data"])
