"""Tool calls that wait for approval, as clients see them."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai_agents.core.types import ToolCallPart
from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.live import TIMEOUT_S, events_of, next_of, serve
from tests.api.service import (
    UNKNOWN_ID,
    Service,
    check_problem,
    give_role,
    make_agent,
    make_thread,
    open_service,
    settings_for,
)

TOOLS = [{"name": "calculator", "approval": "always"}]


class Waiting:
    """A thread of alice with a run that waits for approval of one call."""

    def __init__(
        self, alice: httpx.AsyncClient, thread: dict[str, Any], run: dict[str, Any], call: ToolCallPart
    ) -> None:
        self.alice = alice
        self.thread = thread
        self.run = run
        self.call = call
        self.path = f"/threads/{thread['id']}/runs/{run['id']}/approvals"
        self.yes = {"tool_call_id": call.tool_call_id, "approved": True}


async def begin(service: Service) -> Waiting:
    alice = await service.user("alice")
    call = tool_call("calculator", expression="6*7")
    service.container.providers.add(ScriptedProvider([call], "It is 42."))
    agent = await make_agent(alice, provider="scripted", tools=TOOLS)
    thread = await make_thread(alice, agent["id"])
    response = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "What is six times seven?"})
    assert response.status_code == 202, response.text
    run = response.json()
    assert response.headers["location"] == f"/threads/{thread['id']}/runs/{run['id']}"
    assert run["status"] == "waiting"
    return Waiting(alice, thread, run, call)


async def ended(waiting: Waiting) -> dict[str, Any]:
    """The run after its stream has ended."""
    path = f"/threads/{waiting.thread['id']}/runs/{waiting.run['id']}"
    async with asyncio.timeout(TIMEOUT_S):
        while (run := (await waiting.alice.get(path)).json())["status"] == "running":
            await asyncio.sleep(0.01)
    found: dict[str, Any] = run
    return found


async def test_an_approved_call_is_made_and_the_run_ends(small_service: Service) -> None:
    waiting = await begin(small_service)
    response = await waiting.alice.post(waiting.path, json=waiting.yes)
    assert (response.status_code, response.json()["id"]) == (200, waiting.run["id"])
    assert (await ended(waiting))["status"] == "completed"
    history = (await waiting.alice.get(f"/threads/{waiting.thread['id']}/messages")).json()["data"]
    assert [message["content"] for message in history] == ["What is six times seven?", "", "42", "It is 42."]
    check_problem(await waiting.alice.post(waiting.path, json=waiting.yes), 409, "conflict")


async def test_a_refused_call_is_not_made(small_service: Service) -> None:
    waiting = await begin(small_service)
    no = {"tool_call_id": waiting.call.tool_call_id, "approved": False, "reason": "do it in your head"}
    assert (await waiting.alice.post(waiting.path, json=no)).status_code == 200
    assert (await ended(waiting))["status"] == "completed"
    log = await waiting.alice.get(f"/threads/{waiting.thread['id']}/events", headers={"accept": "application/json"})
    events = log.json()["data"]
    completed = next(event for event in events if event["type"] == "tool.completed")
    assert (completed["result"], completed["is_error"]) == ("A person refused this call: do it in your head", True)


async def test_only_editors_of_the_thread_decide(small_service: Service) -> None:
    waiting = await begin(small_service)
    check_problem(await (await small_service.anonymous()).post(waiting.path, json=waiting.yes), 401, "unauthorized")
    bob, viewer = await small_service.user("bob"), await small_service.user("viewer")
    check_problem(await bob.post(waiting.path, json=waiting.yes), 404, "not_found")
    await give_role(waiting.alice, "viewer", "viewer", "thread", waiting.thread["id"])
    check_problem(await viewer.post(waiting.path, json=waiting.yes), 403, "forbidden")
    await give_role(waiting.alice, "bob", "editor", "thread", waiting.thread["id"])
    assert (await bob.post(waiting.path, json=waiting.yes)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {}, {"tool_call_id": "x"}, {"approved": True}, {"tool_call_id": "", "approved": True},
        {"tool_call_id": 7, "approved": True}, {"tool_call_id": "x", "approved": "yes"},
        {"tool_call_id": "x", "approved": True, "why": "unknown field"},
        {"tool_call_id": "x", "approved": False, "reason": "r" * 2001}, [],
    ],
    ids=str,
)  # fmt: skip
async def test_a_wrong_body_is_refused(shared_service: Service, body: Any) -> None:
    waiting = await begin(shared_service)
    check_problem(await waiting.alice.post(waiting.path, json=body), 422, "invalid_request")


async def test_unknown_runs_and_calls_are_not_found(small_service: Service) -> None:
    waiting = await begin(small_service)
    elsewhere = waiting.path.replace(waiting.run["id"], UNKNOWN_ID)
    check_problem(await waiting.alice.post(elsewhere, json=waiting.yes), 404, "not_found")
    unknown = waiting.yes | {"tool_call_id": "call_of_nobody"}
    check_problem(await waiting.alice.post(waiting.path, json=unknown), 404, "not_found")
    other = await make_thread(waiting.alice, waiting.thread["agent_id"])
    foreign = waiting.path.replace(waiting.thread["id"], other["id"])
    check_problem(await waiting.alice.post(foreign, json=waiting.yes), 404, "not_found")


async def test_a_waiting_run_survives_a_restart_and_is_approved_after_it(database_url: str, tmp_path: Path) -> None:
    settings = settings_for(database_url, tmp_path)
    async with open_service(settings) as before:
        waiting = await begin(before)
    async with open_service(settings) as after:
        after.container.providers.add(ScriptedProvider("It is 42."))
        waiting.alice = await after.user("alice")
        assert (await waiting.alice.post(waiting.path, json=waiting.yes)).status_code == 200
        run = await ended(waiting)
        assert (run["status"], run["attempt"]) == ("completed", 1)


async def test_a_stream_goes_on_through_the_wait(sqlite_url: str, tmp_path: Path) -> None:
    async with serve(settings_for(sqlite_url, tmp_path)) as live:
        alice = await live.user("alice")
        call = tool_call("calculator", expression="6*7")
        live.container.providers.add(ScriptedProvider([call], "It is 42."))
        agent = await make_agent(alice, provider="scripted", tools=TOOLS)
        thread = await make_thread(alice, agent["id"])
        body = {"content": "What is six times seven?", "stream": True}
        async with alice.stream("POST", f"/threads/{thread['id']}/messages", json=body) as response:
            events = events_of(response)
            event = await next_of(events, "run.waiting")
            assert [each["tool_call_id"] for each in event.data["approvals"]] == [call.tool_call_id]
            path = f"/threads/{thread['id']}/runs/{event.data['run_id']}/approvals"
            approved = await alice.post(path, json={"tool_call_id": call.tool_call_id, "approved": True})
            assert approved.status_code == 200
            assert (await next_of(events, "tool.completed")).data["result"] == "42"
            assert (await next_of(events, "run.completed")).data["run"]["status"] == "completed"
