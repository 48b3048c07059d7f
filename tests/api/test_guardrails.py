"""Guardrails as clients see them."""

from typing import Any

import httpx
import pytest

from ai_agents.core.types import FilePart
from ai_agents.guardrails.registry import find_guardrails
from ai_agents.testing import ScriptedProvider
from tests.api.live import Live, events_of, text_of
from tests.api.service import UNKNOWN_ID, Service, check_problem, make_agent, make_thread

R = "[redacted]"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Guardrails do not depend on the database."""
    return sqlite_url


def rule(stage: str = "both", action: str = "block") -> dict[str, Any]:
    return {"type": "blocklist", "patterns": ["secret"], "stage": stage, "action": action}


async def open_thread(
    service: Service, *answers: str, guardrails: list[dict[str, Any]]
) -> tuple[httpx.AsyncClient, str]:
    alice = await service.user("alice")
    service.container.providers.add(ScriptedProvider(*answers))
    agent = await make_agent(alice, provider="scripted", guardrails=guardrails)
    return alice, (await make_thread(alice, agent["id"]))["id"]


async def test_a_message_that_is_not_allowed_is_a_problem_and_nothing_is_stored(service: Service) -> None:
    alice, thread = await open_thread(service, guardrails=[rule("input")])
    path = f"/threads/{thread}/messages"
    headers = {"idempotency-key": "one"}
    for body in ({"content": "a secret"}, {"content": "a secret", "stream": True}):
        refused = await alice.post(path, json=body, headers=headers)
        problem = check_problem(refused, 422, "guardrail_blocked")
        assert (problem["guardrail"], problem["stage"]) == ("blocklist", "input")
        assert "secret" not in refused.text
    assert (await alice.get(path)).json()["data"] == []
    # The key is still unused.
    assert (await alice.post(path, json={"content": "fine"}, headers=headers)).status_code == 201


async def test_an_answer_that_is_not_allowed_is_a_problem_with_its_run(service: Service) -> None:
    alice, thread = await open_thread(service, "Here is the secret.", guardrails=[rule("output")])
    refused = await alice.post(f"/threads/{thread}/messages", json={"content": "Tell me."})
    problem = check_problem(refused, 422, "guardrail_blocked")
    assert (problem["guardrail"], problem["stage"]) == ("blocklist", "output")
    assert "secret" not in refused.text
    history = (await alice.get(f"/threads/{thread}/messages")).json()["data"]
    assert [(message["content"], message["status"]) for message in history] == [
        ("Tell me.", "completed"),
        ("Here is the ", "incomplete"),
    ]
    run = (await alice.get(f"/threads/{thread}/runs/{problem['run_id']}")).json()
    assert (run["status"], run["error"]["code"]) == ("failed", "guardrail_blocked")


async def test_who_may_not_see_a_thread_learns_nothing_of_its_rules(service: Service) -> None:
    _, thread = await open_thread(service, guardrails=[rule()])
    bob = await service.user("bob")
    unknown = await bob.post(f"/threads/{UNKNOWN_ID}/messages", json={"content": "a secret"})
    seen = await bob.post(f"/threads/{thread}/messages", json={"content": "a secret"})
    assert check_problem(seen, 404, "not_found") | {"request_id": ""} == unknown.json() | {"request_id": ""}


async def test_what_a_thread_begins_with_passes_the_input_guardrails(service: Service) -> None:
    alice = await service.user("alice")
    blocks = await make_agent(alice, guardrails=[rule("input")])
    redacts = await make_agent(alice, guardrails=[rule("input", "redact")])
    said = [
        {"role": "user", "content": "my secret"},
        {"role": "assistant", "content": [{"type": "text", "text": "fine"}]},
    ]
    for body in ({"messages": said}, {"summary": "They told a secret."}):
        check_problem(await alice.post("/threads", json={"agent_id": blocks["id"]} | body), 422, "guardrail_blocked")
    thread = await make_thread(alice, redacts["id"], messages=said, summary="They told a secret.")
    assert thread["summary"] == f"They told a {R}."
    history = (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"]
    assert [message["content"] for message in history] == [f"my {R}", "fine"]
    changed = await alice.patch(f"/threads/{thread['id']}", json={"summary": "Another secret."})
    assert changed.json()["summary"] == f"Another {R}."
    bob = await service.user("bob")
    check_problem(await bob.post("/threads", json={"agent_id": blocks["id"], "messages": said}), 404, "not_found")


async def test_files_that_a_thread_begins_with_pass_the_input_guardrails_too(service: Service) -> None:
    alice = await service.user("alice")
    provider = ScriptedProvider("Read.")
    service.container.providers.add(provider)
    blocks = await make_agent(alice, guardrails=[rule("input")])
    redacts = await make_agent(alice, provider="scripted", guardrails=[rule("input", "redact")])
    for name, text in (("notes.txt", b"a secret plan"), ("secret.txt", b"a plan")):
        file = (await alice.post("/files", files={"file": (name, text)})).json()
        said = [{"role": "user", "content": [{"type": "file", "file_id": file["id"]}]}]
        refused = await alice.post("/threads", json={"agent_id": blocks["id"], "messages": said})
        check_problem(refused, 422, "guardrail_blocked")
        thread = await make_thread(alice, redacts["id"], messages=said)
        path = f"/threads/{thread['id']}/messages"
        (part,) = (await alice.get(path)).json()["data"][0]["parts"]
        assert part["filename"] == name.replace("secret", R)
        assert (await alice.post(path, json={"content": "Read it."})).status_code == 201
        (sent,) = provider.requests[-1].messages[0].parts
        assert isinstance(sent, FilePart)
        assert sent.content is not None
        assert sent.content.text == text.decode().replace("secret", R)
    nobodys = [{"role": "user", "content": [{"type": "file", "file_id": UNKNOWN_ID}]}]
    refused = await alice.post("/threads", json={"agent_id": redacts["id"], "messages": nobodys})
    assert check_problem(refused, 422, "invalid_request")["errors"][0]["loc"] == [
        "body", "messages", 0, "content", 0, "file_id",
    ]  # fmt: skip


async def test_findings_in_what_a_user_writes_are_in_the_log(service: Service) -> None:
    alice = await service.user("alice")
    agent = await make_agent(alice, guardrails=[rule("input", "redact")])
    thread = await make_thread(alice, agent["id"], messages=[{"role": "user", "content": "my secret"}])
    await alice.patch(f"/threads/{thread['id']}", json={"summary": "Another secret."})
    log = (await alice.get(f"/threads/{thread['id']}/events", headers={"accept": "application/json"})).json()["data"]
    assert [row["type"] for row in log] == [
        "message.completed", "guardrail.triggered", "thread.updated", "guardrail.triggered",
    ]  # fmt: skip
    assert {key: log[1][key] for key in ("guardrail", "stage", "action")} == {
        "guardrail": "blocklist", "stage": "input", "action": "redact",
    }  # fmt: skip


@pytest.mark.parametrize("action", ["redact", "block"])
async def test_a_stream_and_its_replay_have_no_forbidden_word(live: Live, action: str) -> None:
    alice = await live.user("alice")
    live.container.providers.add(ScriptedProvider(list("The s\u00adecret is SECRET.")))
    agent = await make_agent(alice, provider="scripted", guardrails=[rule("output", action)])
    thread = (await make_thread(alice, agent["id"]))["id"]
    body = {"content": "Tell me.", "stream": True}
    async with alice.stream("POST", f"/threads/{thread}/messages", json=body) as response:
        events = [event async for event in events_of(response)]
    assert text_of(events) == (f"The {R} is {R}." if action == "redact" else "The ")
    kinds = [event.event for event in events if event.event != "message.delta"]
    ending = ["guardrail.triggered", "message.completed", "run.completed" if action == "redact" else "run.failed"]
    assert kinds[-3:] == ending
    for event in events:
        assert "ecret" not in str(event.data).lower()
    run_id = events[0].data["run_id"]
    for event in events[:-1]:
        replay = await alice.get(f"/threads/{thread}/runs/{run_id}/events", headers={"last-event-id": event.id})
        assert "ecret" not in replay.text.lower()


async def test_a_registered_type_may_be_named_and_an_unknown_one_not(service: Service) -> None:
    alice = await service.user("alice")
    agent = await make_agent(
        alice, guardrails=[{"type": "secrets"}, {"type": "pii"}, {"type": "max_length", "characters": 9}]
    )
    kinds = agent["guardrails"][1]["kinds"]
    assert kinds == ["email", "phone", "card", "iban", "ip"]
    response = await alice.post("/agents", json={"name": "a", "guardrails": [{"type": "vibes", "level": 3}]})
    problem = check_problem(response, 422, "invalid_request")
    assert problem["errors"][0]["loc"] == ["body", "guardrails", 0, "type"]


async def test_an_agent_has_two_thousand_patterns_at_most_and_one_that_has_more_goes_on(small_service: Service) -> None:
    alice = await small_service.user("alice")
    most = [{"type": "blocklist", "patterns": [f"w{n}x{number}" for n in range(500)]} for number in range(4)]
    more = [*most, {"type": "blocklist", "patterns": ["secret"], "stage": "input"}]
    refused = await alice.post("/agents", json={"name": "many", "guardrails": more})
    errors = check_problem(refused, 422, "invalid_request")["errors"]
    assert errors == [
        {"loc": ["body", "guardrails"], "msg": "The guardrails of an agent have at most 2000 patterns in all."}
    ]
    agent = await make_agent(alice, guardrails=most)
    stored = [{**each, "stage": each.get("stage", "both"), "action": "block"} for each in more]
    await small_service.container.agents.update(agent["id"], {"guardrails": stored})
    path = f"/agents/{agent['id']}"
    assert (await alice.patch(path, json={"name": "as before", "guardrails": more})).status_code == 200
    check_problem(await alice.patch(path, json={"guardrails": [*more, rule()]}), 422, "invalid_request")
    thread = (await make_thread(alice, agent["id"]))["id"]
    answered = await alice.post(f"/threads/{thread}/messages", json={"content": "fine"})
    assert answered.status_code == 201
    check_problem(await alice.post(f"/threads/{thread}/messages", json={"content": "secret"}), 422, "guardrail_blocked")


async def test_a_deleted_agent_leaves_nothing_in_memory(small_service: Service) -> None:
    alice = await small_service.user("alice")
    guardrails = [{"type": "blocklist", "patterns": ["only", "here"], "stage": "both", "action": "block"}]
    agent = await make_agent(alice, guardrails=guardrails)
    thread = (await make_thread(alice, agent["id"]))["id"]
    assert (await alice.post(f"/threads/{thread}/messages", json={"content": "fine"})).status_code == 201
    contexts = small_service.container.runner.contexts
    assert contexts.agents.find(agent["id"], 1) is not None
    assert find_guardrails(guardrails) is not None
    assert (await alice.delete(f"/agents/{agent['id']}")).status_code == 204
    assert contexts.agents.find(agent["id"], 1) is None
    assert find_guardrails(guardrails) is None
