"""Tokens: what a browser or a phone may hold in place of a key."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ai_agents.core.ids import TIME_FORMAT
from tests.api.service import UNKNOWN_ID, Service, check_problem, give_role, make_agent, make_thread


async def make_token(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A new token, by the client's key."""
    response = await client.post("/tokens", json=fields)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/tokens/{made['id']}"
    return made


async def holder(service: Service, token: dict[str, Any]) -> httpx.AsyncClient:
    """A client with the token."""
    client = await service.anonymous()
    client.headers["authorization"] = f"Bearer {token['token']}"
    return client


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime(TIME_FORMAT)


async def test_a_token_is_good_wherever_a_key_is_but_is_no_admin_and_makes_no_keys(small_service: Service) -> None:
    alice, admin = await small_service.user("alice"), await small_service.admin()
    thread = await make_thread(alice)
    by_token = await holder(small_service, await make_token(alice))
    assert (await by_token.get("/me")).json()["user_id"] == "alice"
    assert (await by_token.get(f"/threads/{thread['id']}")).json() == thread
    said = await by_token.post(f"/threads/{thread['id']}/messages", json={"content": "Hello"})
    assert said.json()["content"]
    await make_agent(by_token)

    of_admin = await holder(small_service, await make_token(admin))
    assert (await of_admin.get("/me")).json()["admin"] is False
    check_problem(await of_admin.get("/jobs"), 403, "forbidden")
    check_problem(await of_admin.get(f"/threads/{thread['id']}"), 404, "not_found")

    key = (await alice.get("/keys")).json()["data"][0]
    for path in ("/keys", "/tokens", f"/keys/{key['id']}/rotate"):
        check_problem(await by_token.post(path, json={}), 403, "forbidden")
        check_problem(await by_token.post(path, json={"nonsense": 1}), 422, "invalid_request")


async def test_only_an_admin_makes_and_deletes_tokens_for_others(small_service: Service) -> None:
    alice, admin = await small_service.user("alice"), await small_service.admin()
    of_bob = await holder(small_service, await make_token(admin, user_id="bob"))
    assert (await of_bob.get("/me")).json()["user_id"] == "bob"

    check_problem(await alice.post("/tokens", json={"user_id": "bob"}), 403, "forbidden")
    check_problem(await admin.post("/tokens", json={"user_id": "*"}), 422, "invalid_request")
    check_problem(await alice.delete("/tokens", params={"user_id": "bob"}), 403, "forbidden")
    check_problem(await alice.delete("/tokens"), 422, "invalid_request")
    assert (await admin.delete("/tokens", params={"user_id": "bob"})).status_code == 204
    check_problem(await of_bob.get("/me"), 401, "unauthorized")
    assert (await admin.delete("/tokens", params={"user_id": "bob"})).status_code == 204


async def test_a_token_lasts_an_hour_or_as_asked_and_never_longer_than_its_key(small_service: Service) -> None:
    alice = await small_service.user("alice")
    for sent, seconds in (({}, 3600), ({"expires_in_s": 60}, 60), ({"expires_in_s": 86_400}, 86_400)):
        left = datetime.fromisoformat((await make_token(alice, **sent))["expires_at"]) - datetime.now(UTC)
        assert seconds - 10 < left.total_seconds() <= seconds
    for wrong in (59, 86_401, "60", None, 60.5):
        check_problem(await alice.post("/tokens", json={"expires_in_s": wrong}), 422, "invalid_request")

    # An idempotency key shows no token twice.
    twice = [await alice.post("/tokens", json={}, headers={"idempotency-key": "same"}) for _ in range(2)]

    assert len({each.json()["token"] for each in twice}) == 2

    ends = _in(100)
    key = await small_service.container.keys.create("alice", expires_at=ends)
    alice.headers["authorization"] = f"Bearer {key['key']}"
    assert (await make_token(alice))["expires_at"] == ends


async def test_a_token_ends_with_the_key_that_made_it_and_stays_when_that_gets_a_new_secret(
    small_service: Service,
) -> None:
    alice, admin = await small_service.user("alice"), await small_service.admin()
    parent = (await admin.post("/keys", json={"user_id": "bob", "admin": True})).json()
    maker = await small_service.anonymous()
    maker.headers["authorization"] = f"Bearer {parent['key']}"
    child = (await maker.post("/keys", json={"admin": True})).json()
    maker.headers["authorization"] = f"Bearer {child['key']}"
    # A key that an admin makes for another user has no parent. A token always has one, the key that made it.
    for_alice = await holder(small_service, await make_token(maker, user_id="alice"))
    own = await holder(small_service, await make_token(maker))
    other = await holder(small_service, await make_token(alice))

    assert (await admin.post(f"/keys/{child['id']}/rotate", json={})).status_code == 200
    for client in (for_alice, own):
        assert (await client.get("/me")).status_code == 200
    assert (await admin.delete(f"/keys/{parent['id']}")).status_code == 204
    for client in (for_alice, own):
        check_problem(await client.get("/me"), 401, "unauthorized")
    assert (await other.get("/me")).status_code == 200


async def test_a_deleted_token_is_refused_at_once_and_tokens_are_no_keys(small_service: Service) -> None:
    alice, bob = await small_service.user("alice"), await small_service.user("bob")
    token = await make_token(alice)
    by_token = await holder(small_service, token)
    kept = await holder(small_service, await make_token(alice))

    assert token["id"] not in str((await alice.get("/keys")).json())
    check_problem(await alice.delete(f"/keys/{token['id']}"), 404, "not_found")
    check_problem(await alice.post(f"/keys/{token['id']}/rotate", json={}), 404, "not_found")
    # The secret of a token is no key under a key's name, nor the other way round.
    for secret in (token["token"].replace("ait_", "aia_"), token["token"][:-1], token["token"] + "x"):
        client = await small_service.anonymous()
        check_problem(await client.get("/me", headers={"authorization": f"Bearer {secret}"}), 401, "unauthorized")
    for client, token_id in ((bob, token["id"]), (alice, UNKNOWN_ID), (alice, "no-id")):
        check_problem(await client.delete(f"/tokens/{token_id}"), 404, "not_found")
    assert (await by_token.get("/me")).status_code == 200

    assert (await alice.delete(f"/tokens/{token['id']}")).status_code == 204
    check_problem(await by_token.get("/me"), 401, "unauthorized")
    check_problem(await alice.delete(f"/tokens/{token['id']}"), 404, "not_found")
    assert (await kept.get("/me")).status_code == 200


async def test_agents_that_a_user_does_not_see_are_not_found(small_service: Service) -> None:
    alice, admin = await small_service.user("alice"), await small_service.admin()
    bob = await small_service.user("bob")
    hidden, shared = await make_agent(bob), await make_agent(bob)
    await give_role(bob, "alice", "user", "agent", shared["id"])

    assert (await make_token(alice, agents=[shared["id"]]))["agents"] == [shared["id"]]
    for agents in ([hidden["id"]], [shared["id"], UNKNOWN_ID], ["no-id"]):
        check_problem(await alice.post("/tokens", json={"agents": agents}), 404, "not_found")
    wrong: list[Any] = [[], [shared["id"]] * 101, "all", [1]]
    for given in wrong:
        check_problem(await alice.post("/tokens", json={"agents": given}), 422, "invalid_request")
    # A token for a user who has no role on the agent (yet) is an admin's to make.
    await make_token(admin, user_id="alice", agents=[hidden["id"]])


@pytest.fixture
async def worlds(service: Service) -> dict[str, Any]:
    """Alice's two agents, each with a thread and a file in it, and a token for the first."""
    alice = await service.user("alice")
    found: dict[str, Any] = {"alice": alice}
    for name in ("inside", "outside"):
        agent = await make_agent(alice, name=name, system_prompt="Keep it to yourself.", provider="echo")
        thread = await make_thread(alice, agent["id"], title=name)
        file = (await alice.post("/files", files={"file": (f"{name}.txt", name.encode(), "text/plain")})).json()
        said = {"content": "Read.", "attachments": [file["id"]]}
        await alice.post(f"/threads/{thread['id']}/messages", json=said)
        found[name] = {"agent": agent, "thread": thread, "file": file}
    found["token"] = await holder(service, await make_token(alice, agents=[found["inside"]["agent"]["id"]]))
    return found


async def test_lists_of_a_token_that_names_agents_show_what_is_theirs(service: Service, worlds: dict[str, Any]) -> None:
    token, inside, outside, alice = (worlds[name] for name in ("token", "inside", "outside", "alice"))
    agents = (await token.get("/agents", params={"shared": True})).json()
    assert agents == {
        "data": [{"id": inside["agent"]["id"], "name": "inside", "description": None, "role": "user"}],
        "next": None,
    }
    for params in ({}, {"shared": True}, {"limit": 1}, {"agent_id": inside["agent"]["id"]}):
        assert [each["title"] for each in (await token.get("/threads", params=params)).json()["data"]] == ["inside"]
    assert (await token.get("/threads", params={"agent_id": outside["agent"]["id"]})).json()["data"] == []

    # Its holder talks to the agent, whatever its user may do: the prompt stays with the owner.
    card = (await token.get(f"/agents/{inside['agent']['id']}")).json()
    assert card == agents["data"][0]
    context = (await token.get(f"/threads/{inside['thread']['id']}/context")).json()
    assert (context["system"], context["tools"]) == (None, None)

    # It deletes itself and no other.
    agent_id = inside["agent"]["id"]
    first, second = [await make_token(alice, agents=[agent_id]) for _ in range(2)]
    client = await holder(service, first)
    check_problem(await client.delete(f"/tokens/{second['id']}"), 404, "not_found")
    check_problem(await client.delete("/tokens", params={"user_id": "alice"}), 403, "forbidden")

    assert (await client.delete(f"/tokens/{first['id']}")).status_code == 204
    check_problem(await client.get("/me"), 401, "unauthorized")


async def test_a_token_that_names_agents_reaches_files_of_their_threads_and_those_sent_with_it(
    service: Service, worlds: dict[str, Any]
) -> None:
    token, inside, outside, alice = (worlds[name] for name in ("token", "inside", "outside", "alice"))
    path = f"/threads/{inside['thread']['id']}/messages"
    assert (await token.get(f"/files/{inside['file']['id']}/content")).content == b"inside"
    check_problem(await token.get(f"/files/{outside['file']['id']}/content"), 404, "not_found")
    draft = (await alice.post("/files", files={"file": ("draft.txt", b"draft", "text/plain")})).json()
    for hidden in (outside["file"], draft):
        sent = await token.post(path, json={"content": "Read.", "attachments": [hidden["id"]]})
        check_problem(sent, 422, "invalid_request")
        body = {"content": [{"type": "file", "file_id": hidden["id"]}]}
        check_problem(await token.post(path, json=body), 422, "invalid_request")
        started = {"agent_id": inside["agent"]["id"], "messages": [{"role": "user", **body}]}
        check_problem(await token.post("/threads", json=started), 422, "invalid_request")

    own = (await token.post("/files", files={"file": ("own.txt", b"own", "text/plain")})).json()
    assert (await token.get(f"/files/{own['id']}/content")).content == b"own"
    assert (await token.post(path, json={"content": "Read.", "attachments": [own["id"]]})).status_code == 201
    again = (await token.post("/files", files={"file": ("again.txt", b"again", "text/plain")})).json()
    other = await holder(service, await make_token(alice, agents=[outside["agent"]["id"]]))
    check_problem(await other.get(f"/files/{again['id']}"), 404, "not_found")
    assert (await alice.get(f"/files/{again['id']}")).status_code == 200
    assert (await token.delete(f"/files/{again['id']}")).status_code == 204

    # A replay shows nothing outside of them.
    once = {"idempotency-key": "once"}
    path = f"/threads/{outside['thread']['id']}/messages"
    assert (await alice.post(path, json={"content": "Once."}, headers=once)).status_code == 201
    check_problem(await token.post(path, json={"content": "Once."}, headers=once), 404, "not_found")
    once = {"idempotency-key": "another"}
    started = {"agent_id": outside["agent"]["id"]}
    assert (await alice.post("/threads", json=started, headers=once)).status_code == 201
    check_problem(await token.post("/threads", json=started, headers=once), 404, "not_found")
    upload = {"files": {"file": ("same.txt", b"same", "text/plain")}, "headers": {"idempotency-key": "file"}}
    assert (await alice.post("/files", **upload)).status_code == 201
    check_problem(await token.post("/files", **upload), 404, "not_found")
