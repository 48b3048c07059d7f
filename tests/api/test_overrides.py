"""Overrides of one message over HTTP: who may give them, within what limits, and where they are shown."""

from typing import Any

from ai_agents.testing import ScriptedProvider
from tests.api.service import Service, check_problem, give_role, make_agent, make_thread

ALL = {
    "settings": {"temperature": 0.5},
    "output_schema": {"type": "object", "properties": {"a": {"default": None}}},
    "provider": "scripted",
    "model": "another",
    "instructions": "Be brief.",
}
FOR_SENDERS = {name: ALL[name] for name in ("settings", "output_schema")}


async def test_senders_and_editors_override_what_they_may(small_service: Service) -> None:
    alice, bob = await small_service.user("alice"), await small_service.user("bob")
    provider = ScriptedProvider("{}", "{}")
    small_service.container.providers.add(provider)
    agent = await make_agent(alice, provider="scripted", system_prompt="You help.")
    await give_role(alice, "bob", "user", "agent", agent["id"])
    thread = await make_thread(bob, agent["id"])
    path = f"/threads/{thread['id']}/messages"
    for name in ("provider", "model", "instructions"):
        refused = await bob.post(path, json={"content": "Hello", "overrides": {name: ALL[name]}})
        check_problem(refused, 403, "forbidden")
    assert (await bob.get(path)).json()["data"] == []
    assert (await bob.post(path, json={"content": "Hello", "overrides": FOR_SENDERS})).status_code == 201
    await give_role(bob, "alice", "editor", "thread", thread["id"])
    answer = await alice.post(path, json={"content": "Hello", "overrides": ALL})
    assert answer.status_code == 201, answer.text
    sent = provider.requests[1]
    assert (sent.model, sent.system, sent.settings.temperature) == ("another", "You help.\n\nBe brief.", 0.5)
    assert sent.output_schema == ALL["output_schema"]
    run = f"/threads/{thread['id']}/runs/{answer.json()['run_id']}"
    assert (await alice.get(run)).json()["overrides"] == ALL
    assert (await alice.get("/runs")).json()["data"][0]["overrides"] == ALL
    # To the others, and in events, what any sender may say.
    assert (await bob.get(run)).json()["overrides"] == FOR_SENDERS
    assert (await bob.get("/runs")).json()["data"][0]["overrides"] == FOR_SENDERS
    log = await bob.get(f"/threads/{thread['id']}/events", headers={"accept": "application/json"})
    assert log.json()["data"][-1]["run"]["overrides"] == FOR_SENDERS


WRONG: list[tuple[Any, list[Any]]] = [
    ({"settings": {"temperature": 3}}, ["settings", "temperature"]),
    ({"settings": {"max_token": 3}}, ["settings", "max_token"]),
    ({"output_schema": {"type": "array"}}, ["output_schema"]),
    ({"provider": "nowhere"}, ["provider"]),
    ({"provider": "echo", "model": "gpt-4o"}, ["model"]),
    ({"provider": "echo", "settings": {"api": "responses"}}, ["settings", "api"]),
    ({"system_prompt": "Be brief."}, ["system_prompt"]),
    ({"tools": []}, ["tools"]),
]


async def test_overrides_are_checked_as_the_agents_fields_are(small_service: Service) -> None:
    alice = await small_service.user("alice")
    thread = await make_thread(alice)
    path = f"/threads/{thread['id']}/messages"
    for overrides, place in WRONG:
        response = await alice.post(path, json={"content": "Hello", "overrides": overrides})
        problem = check_problem(response, 422, "invalid_request")
        assert problem["errors"][0]["loc"] == ["body", "overrides", *place]
    assert (await alice.get(path)).json()["data"] == []


async def test_overrides_count_for_the_idempotency_key(small_service: Service) -> None:
    alice = await small_service.user("alice")
    thread = await make_thread(alice)
    path, key = f"/threads/{thread['id']}/messages", {"idempotency-key": "once"}
    body = {"content": "Hello", "overrides": {"settings": {"temperature": 0.5}}}
    first = await alice.post(path, json=body, headers=key)
    assert (await alice.post(path, json=body, headers=key)).json() == first.json()
    for other in ({"content": "Hello"}, body | {"overrides": {"settings": {"temperature": 0.6}}}):
        check_problem(await alice.post(path, json=other, headers=key), 422, "idempotency_key_reused")
