"""The role `user` on providers: who may name one in an agent, and whose agents may run on it."""

import asyncio
from typing import Any

import pytest

from ai_agents.testing import ScriptedProvider
from tests.api.made_providers import ask, make_provider, names_seen_by, role_id, take_from_everybody
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread
from tests.fakes.provider_server import FakeProviderServer


async def test_everybody_may_use_a_provider_until_an_admin_takes_that_back(
    service: Service, fake: FakeProviderServer
) -> None:
    admin, alice, bob = await service.admin(), await service.user("alice"), await service.user("bob")
    await make_provider(admin, fake)
    for name in ("house", "echo"):
        page = (await admin.get("/roles", params={"resource_type": "provider", "resource_id": name})).json()
        assert [(role["user_id"], role["role"]) for role in page["data"]] == [("*", "user")]

    for name in ("house", "echo"):
        await take_from_everybody(admin, name)
        await give_role(admin, "alice", "user", "provider", name)

        assert name in await names_seen_by(alice)
        assert name not in await names_seen_by(bob)
        assert name in await names_seen_by(admin)
        await make_agent(alice, provider=name)
        check_problem(await bob.get(f"/providers/{name}/models"), 404, "not_found")
        hidden = check_problem(await bob.post("/agents", json={"name": "a", "provider": name}), 422, "invalid_request")
        unknown = check_problem(
            await bob.post("/agents", json={"name": "a", "provider": "none"}), 422, "invalid_request"
        )
        assert hidden["errors"] == unknown["errors"]
        assert name not in hidden["detail"]


@pytest.mark.parametrize(
    "fields",
    [
        {"provider": "house"},
        {"fallbacks": [{"provider": "house", "model": "m"}]},
        {"guardrails": [{"type": "judge", "provider": "house", "model": "m", "policy": "Be kind."}]},
    ],
)
async def test_a_right_is_asked_for_wherever_an_agent_names_a_provider_anew(
    service: Service, fake: FakeProviderServer, fields: dict[str, Any]
) -> None:
    admin, bob = await service.admin(), await service.user("bob")
    await make_provider(admin, fake)
    agent = await make_agent(bob, **fields)
    await take_from_everybody(admin, "house")

    check_problem(await bob.post("/agents", json={"name": "b"} | fields), 422, "invalid_request")
    other = await make_agent(bob)
    check_problem(await bob.patch(f"/agents/{other['id']}", json=fields), 422, "invalid_request")
    kept = await bob.patch(f"/agents/{agent['id']}", json={"name": "renamed"} | fields)
    assert kept.status_code == 200, kept.text
    assert (await admin.post("/agents", json={"name": "c"} | fields)).status_code == 201


async def test_a_run_needs_an_owner_who_may_use_the_provider(service: Service, fake: FakeProviderServer) -> None:
    admin, alice, bob = await service.admin(), await service.user("alice"), await service.user("bob")
    await make_provider(admin, fake)
    agent = await make_agent(alice, provider="house")
    await give_role(alice, "bob", "editor", "agent", agent["id"])
    thread = await make_thread(bob, agent["id"])
    assert (await ask(bob, thread)).status_code == 201

    await take_from_everybody(admin, "house")
    problem = check_problem(await ask(bob, thread), 403, "forbidden")
    assert "owners of this agent" in problem["detail"]
    run = (await bob.get(f"/threads/{thread['id']}/runs")).json()["data"][0]
    assert (run["status"], run["error"]["code"]) == ("failed", "forbidden")
    assert len(fake.received("openai")) == 1

    # A role of the sender is none of the owner.
    await give_role(admin, "bob", "user", "provider", "house")
    check_problem(await ask(bob, thread), 403, "forbidden")
    await give_role(admin, "alice", "user", "provider", "house")
    assert (await ask(bob, thread)).status_code == 201


async def test_a_message_that_names_a_provider_needs_its_sender_to_be_one_who_may_use_it(
    service: Service, fake: FakeProviderServer
) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    await make_provider(admin, fake)
    # The agent's owners may use every provider.
    gate = asyncio.Event()
    service.container.providers.add(ScriptedProvider([gate, "Done."], "Bye."))
    agent = await make_agent(admin, provider="scripted")
    await give_role(admin, "alice", "editor", "agent", agent["id"])
    thread = await make_thread(alice, agent["id"])
    path, body = f"/threads/{thread['id']}/messages", {"content": "Hello!", "overrides": {"provider": "house"}}
    assert (await alice.post(path, json=body)).status_code == 201
    slow = {"content": "Slowly."}
    assert (await alice.post(path, json=slow, headers={"prefer": "respond-async"})).status_code == 202
    queued = await alice.post(path, json=body | {"on_busy": "queue"}, headers={"prefer": "respond-async"})
    await take_from_everybody(admin, "house")
    check_problem(await alice.post(path, json=body | {"on_busy": "queue"}), 422, "invalid_request")
    gate.set()
    await alice.post(path, json={"content": "Last.", "on_busy": "queue"})
    run = (await alice.get(f"/threads/{thread['id']}/runs/{queued.json()['id']}")).json()
    assert (run["status"], run["error"]["code"]) == ("failed", "forbidden")
    assert len(fake.received("openai")) == 1


async def test_an_agent_of_an_admin_may_use_every_provider(service: Service, fake: FakeProviderServer) -> None:
    admin, carol = await service.admin(), await service.user("carol")
    await make_provider(admin, fake)
    of_admin = await make_thread(admin, (await make_agent(admin, provider="house"))["id"])
    of_carol = await make_thread(carol, (await make_agent(carol, provider="house"))["id"])
    await take_from_everybody(admin, "house")

    assert (await ask(admin, of_admin)).status_code == 201
    check_problem(await ask(carol, of_carol), 403, "forbidden")
    await service.container.keys.create("carol", "an admin's", admin=True)
    assert (await ask(carol, of_carol)).status_code == 201


async def test_a_fallback_answers_where_the_right_to_the_first_is_lost(
    service: Service, fake: FakeProviderServer
) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    await make_provider(admin, fake)
    fallbacks = [{"provider": "echo", "model": "echo"}]
    thread = await make_thread(alice, (await make_agent(alice, provider="house", fallbacks=fallbacks))["id"])
    await take_from_everybody(admin, "house")

    answer = await ask(alice, thread)

    assert answer.json()["content"].startswith("echo: Hello!")
    assert fake.requests == []


async def test_roles_on_a_provider_are_given_by_admins_and_are_only_user(
    service: Service, fake: FakeProviderServer
) -> None:
    admin, alice = await service.admin(), await service.user("alice")
    await make_provider(admin, fake)
    role = {"user_id": "bob", "role": "user", "resource_type": "provider", "resource_id": "house"}

    check_problem(await alice.post("/roles", json=role), 403, "forbidden")
    listing = {"resource_type": "provider", "resource_id": "house"}
    check_problem(await alice.get("/roles", params=listing), 403, "forbidden")
    check_problem(await alice.delete(f"/roles/{await role_id(admin, 'house', '*')}"), 403, "forbidden")
    check_problem(await admin.post("/roles", json=role | {"role": "viewer"}), 422, "invalid_request")
    check_problem(await admin.post("/roles", json=role | {"resource_id": "none"}), 404, "not_found")
    on_thread = role | {"resource_type": "thread", "resource_id": (await make_thread(alice))["id"]}
    check_problem(await alice.post("/roles", json=on_thread), 422, "invalid_request")
    await take_from_everybody(admin, "house")
    check_problem(await alice.post("/roles", json=role), 404, "not_found")


async def test_roles_do_not_outlive_their_provider(service: Service, fake: FakeProviderServer) -> None:
    admin, bob = await service.admin(), await service.user("bob")
    await make_provider(admin, fake)
    await take_from_everybody(admin, "house")
    await give_role(admin, "alice", "user", "provider", "house")

    await admin.delete("/providers/house")
    await make_provider(admin, fake)

    assert "house" in await names_seen_by(bob)
    page = (await admin.get("/roles", params={"resource_type": "provider", "resource_id": "house"})).json()
    assert [role["user_id"] for role in page["data"]] == ["*"]
