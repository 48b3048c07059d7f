"""What a provider said of its failure is shown with the run to those who may edit the agent, and nowhere else."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from tests.api.live import Live, read_all, serve
from tests.api.service import give_role, make_agent, make_thread, settings_for
from tests.fakes.answers import Raw, say
from tests.fakes.provider_server import FakeProviderServer

# "made-up" is the key with which the service asks this provider.
SAID = "Project proj_7 of account 42 may not use made-up here."
SHOWN = {"status": 403, "message": "Project proj_7 of account 42 may not use *** here."}
REFUSAL = Raw(
    [orjson.dumps({"error": {"message": SAID, "code": "forbidden"}})],
    status=403,
    headers={"content-type": "application/json"},
)
WORD = "proj_7"


@pytest.fixture
async def provided(fake: FakeProviderServer, one_database_url: str, tmp_path: Path) -> AsyncIterator[Live]:
    """A service whose providers all are the fake one."""
    async with serve(settings_for(one_database_url, tmp_path, **fake.settings())) as live:
        yield live


async def test_admins_and_editors_of_the_agent_see_it_and_others_do_not(
    provided: Live, fake: FakeProviderServer
) -> None:
    fake.script("openai", [REFUSAL])
    alice, admin = await provided.user("alice"), await provided.admin()
    others = {name: await provided.user(name) for name in ("edith", "vera", "thea")}
    agent = await make_agent(alice, provider="openai", model="gpt-4o")
    thread = await make_thread(alice, agent["id"])
    await give_role(alice, "edith", "editor", "agent", agent["id"])
    await give_role(alice, "vera", "viewer", "agent", agent["id"])
    for name in ("edith", "vera"):
        await give_role(alice, name, "viewer", "thread", thread["id"])
    # An editor of the thread who may not edit its agent.
    await give_role(alice, "thea", "editor", "thread", thread["id"])
    path = f"/threads/{thread['id']}/runs"

    problem = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})).json()

    one = f"{path}/{problem['run_id']}"
    for client in (alice, admin, others["edith"]):
        assert (await client.get(one)).json()["upstream"] == SHOWN
        assert (await client.get(path)).json()["data"][0]["upstream"] == SHOWN
    for client in (others["vera"], others["thea"]):
        assert "upstream" not in (await client.get(one)).json()
        assert "upstream" not in (await client.get(path)).json()["data"][0]


async def test_no_other_answer_has_it(provided: Live, fake: FakeProviderServer) -> None:
    fake.script("openai", [REFUSAL] * 4)
    alice = await provided.user("alice")
    agent = await make_agent(alice, provider="openai", model="gpt-4o")
    thread = await make_thread(alice, agent["id"])
    messages, runs = f"/threads/{thread['id']}/messages", f"/threads/{thread['id']}/runs"
    once = {"idempotency-key": "once"}

    waited = await alice.post(messages, json={"content": "Hi"}, headers=once)
    again = await alice.post(messages, json={"content": "Hi"}, headers=once)
    streamed = await alice.post(messages, json={"content": "Hi", "stream": True})
    accepted = await alice.post(
        messages, json={"content": "Hi"}, headers={"prefer": "respond-async", **once} | {"idempotency-key": "later"}
    )
    run = f"{runs}/{accepted.json()['id']}"
    events = await read_all(alice, f"{run}/events")
    replayed = await alice.post(
        messages, json={"content": "Hi"}, headers={"prefer": "respond-async", "idempotency-key": "later"}
    )
    cancelled = await alice.post(f"{run}/cancel")
    log = await alice.get(f"/threads/{thread['id']}/events", headers={"accept": "application/json"})
    history = await alice.get(messages)

    assert (waited.status_code, waited.json()["code"]) == (502, "provider_rejected")
    assert events[-1].event == "run.failed"
    answers = [waited, again, streamed, accepted, replayed, cancelled, log, history]
    for text in [*(answer.text for answer in answers), str(events)]:
        assert WORD not in text
        assert "upstream" not in text
    assert (await alice.get(run)).json()["upstream"] == SHOWN


async def test_a_run_that_a_fallback_answered_says_why(provided: Live, fake: FakeProviderServer) -> None:
    fake.script("openai", [REFUSAL])
    fake.script("ollama", [say("Hello.")])
    alice = await provided.user("alice")
    fallbacks = [{"provider": "ollama", "model": "llama3.1"}]
    agent = await make_agent(alice, provider="openai", model="gpt-4o", fallbacks=fallbacks)
    thread = await make_thread(alice, agent["id"])

    answer = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})).json()
    await alice.post(f"/threads/{thread['id']}/messages", json={"content": "And now?"})

    newest, oldest = (await alice.get(f"/threads/{thread['id']}/runs")).json()["data"]
    assert (oldest["id"], oldest["status"], oldest["upstream"]) == (answer["run_id"], "completed", SHOWN)
    assert newest["upstream"] is None


async def test_an_error_inside_a_stream_is_kept_without_the_key(provided: Live, fake: FakeProviderServer) -> None:
    error = orjson.dumps({"error": {"message": SAID, "code": 403}})
    fake.script("openai", [Raw([b"data: " + error + b"\n\n"])])
    alice = await provided.user("alice")
    agent = await make_agent(alice, provider="openai", model="gpt-4o")
    thread = await make_thread(alice, agent["id"])

    problem = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})).json()

    assert (await alice.get(f"/threads/{thread['id']}/runs/{problem['run_id']}")).json()["upstream"] == SHOWN


async def test_a_key_that_is_sent_as_the_code_is_shown_to_no_one(provided: Live, fake: FakeProviderServer) -> None:
    refusal = orjson.dumps({"error": {"message": "No.", "code": "made-up", "param": "made-up"}})
    fake.script("openai", [Raw([refusal], status=401, headers={"content-type": "application/json"})] * 2)
    alice, admin = await provided.user("alice"), await provided.admin()
    thread = await make_thread(alice, (await make_agent(alice, provider="openai", model="gpt-4o"))["id"])

    problem = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hi"})
    checked = await admin.post("/providers/openai/check?model=gpt-4o")
    events = await alice.get(f"/threads/{thread['id']}/events", headers={"accept": "application/json"})

    assert (problem.status_code, checked.json()["status"]) == (502, 401)
    assert "made-up" not in problem.text + checked.text + events.text
