"""Tools of the client over HTTP: sent with a message, called by the model, answered by the client."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

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

PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
TOOLS = [{"name": "weather", "description": "Looks outside.", "parameters": PLACE}]


class Waiting:
    """A thread of alice with a run that waits for the result of one call."""

    def __init__(self, alice: httpx.AsyncClient, run: dict[str, Any], call_id: str) -> None:
        self.alice = alice
        self.run = run
        self.path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        self.results = f"{self.path}/tool_results"
        self.grey = {"results": [{"tool_call_id": call_id, "result": {"sky": "grey"}}]}

    async def ended(self) -> dict[str, Any]:
        """The run after it has gone on."""
        async with asyncio.timeout(TIMEOUT_S):
            while (run := (await self.alice.get(self.path)).json())["status"] == "running":
                await asyncio.sleep(0.01)
        found: dict[str, Any] = run
        return found


async def begin(service: Service, **message: Any) -> Waiting:
    alice = await service.user("alice")
    call = tool_call("weather", place="Oslo")
    service.container.providers.add(ScriptedProvider([call], "It is grey.", "Bye."))
    agent = await make_agent(alice, provider="scripted")
    thread = await make_thread(alice, agent["id"])
    body = {"content": "How is it in Oslo?", "tools": TOOLS, **message}
    response = await alice.post(f"/threads/{thread['id']}/messages", json=body)
    assert response.status_code == 202, response.text
    assert response.json()["status"] == "waiting"
    return Waiting(alice, response.json(), call.tool_call_id)


async def test_a_result_lets_the_run_go_on(small_service: Service) -> None:
    waiting = await begin(small_service)
    given = await waiting.alice.post(waiting.results, json=waiting.grey)
    assert (given.status_code, given.json()["status"]) == (200, "running")
    assert (await waiting.ended())["status"] == "completed"
    history = (await waiting.alice.get(f"/threads/{waiting.run['thread_id']}/messages")).json()["data"]
    assert [message["content"] for message in history] == ["How is it in Oslo?", "", '{"sky":"grey"}', "It is grey."]
    assert (history[2]["parts"][0]["result"], history[2]["user_id"]) == ({"sky": "grey"}, "alice")
    check_problem(await waiting.alice.post(waiting.results, json=waiting.grey), 409, "conflict")


async def test_who_may_send_gives_results(small_service: Service) -> None:
    waiting = await begin(small_service)
    users = {name: await small_service.user(name) for name in ("bob", "viewer", "editor")}
    check_problem(await (await small_service.anonymous()).post(waiting.results, json=waiting.grey), 401, "unauthorized")
    check_problem(await users["bob"].post(waiting.results, json=waiting.grey), 404, "not_found")
    for name in ("viewer", "editor"):
        await give_role(waiting.alice, name, name, "thread", waiting.run["thread_id"])
        check_problem(await users[name].post(waiting.results, json=waiting.grey), 403, "forbidden")
    await give_role(waiting.alice, "editor", "user", "agent", waiting.run["agent_id"])
    assert (await users["editor"].post(waiting.results, json=waiting.grey)).status_code == 200


async def test_unknown_runs_and_calls_are_not_found(small_service: Service) -> None:
    waiting = await begin(small_service)
    elsewhere = waiting.results.replace(waiting.run["id"], UNKNOWN_ID)
    check_problem(await waiting.alice.post(elsewhere, json=waiting.grey), 404, "not_found")
    unknown = {"results": [*waiting.grey["results"], {"tool_call_id": "call_of_none", "result": 1}]}
    check_problem(await waiting.alice.post(waiting.results, json=unknown), 404, "not_found")
    assert (await waiting.alice.get(waiting.path)).json()["status"] == "waiting"


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"results": []}, {"results": [{"tool_call_id": "x"}]}, {"results": [{"result": "x"}]},
        {"results": [{"tool_call_id": "", "result": 1}]}, {"results": [{"tool_call_id": "x", "result": 1, "n": 2}]},
        {"results": [{"tool_call_id": "x", "result": 1, "is_error": "no"}]},
        {"results": [{"tool_call_id": "x", "result": 1}, {"tool_call_id": "x", "result": 2}]},
        {"results": [{"tool_call_id": "x", "result": "a\0b"}]},
    ],
    ids=str,
)  # fmt: skip
async def test_wrong_results_are_refused(shared_service: Service, body: Any) -> None:
    waiting = await begin(shared_service)
    check_problem(await waiting.alice.post(waiting.results, json=body), 422, "invalid_request")


@pytest.mark.parametrize(
    "tools, place",
    [
        ([{"name": "calculator"}], ["body", "tools", 0, "name"]),
        ([{"name": "read_result"}], ["body", "tools", 0, "name"]),
        ([*TOOLS, *TOOLS], ["body", "tools", 1, "name"]),
        ([{"name": "a b"}], ["body", "tools", 0, "name"]),
        ([{"description": "Nameless."}], ["body", "tools", 0, "name"]),
        ([{"name": "far", "parameters": {"type": "string"}}], ["body", "tools", 0, "parameters"]),
        ([{"name": "far", "strict": True}], ["body", "tools", 0, "strict"]),
        ([{"name": f"tool{number}"} for number in range(129)], ["body", "tools"]),
    ],
    ids=str,
)
async def test_wrong_tools_are_refused(shared_service: Service, tools: Any, place: list[Any]) -> None:
    alice = await shared_service.user("alice")
    agent = await make_agent(alice, tools=["calculator"])
    thread = await make_thread(alice, agent["id"])
    response = await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Hello", "tools": tools})
    problem = check_problem(response, 422, "invalid_request")
    assert problem["errors"][0]["loc"] == place
    assert (await alice.get(f"/threads/{thread['id']}/messages")).json()["data"] == []


async def test_the_tools_count_for_the_idempotency_key(small_service: Service) -> None:
    waiting = await begin(small_service)
    path, key = f"/threads/{waiting.run['thread_id']}/messages", {"idempotency-key": "once"}
    body = {"content": "Bye.", "tools": TOOLS}
    first = await waiting.alice.post(path, json=body, headers=key)
    assert first.status_code == 201
    assert (await waiting.alice.post(path, json=body, headers=key)).json() == first.json()
    for other in ({"content": "Bye."}, {"content": "Bye.", "tools": [{"name": "weather"}]}):
        check_problem(await waiting.alice.post(path, json=other, headers=key), 422, "idempotency_key_reused")


async def test_a_waiting_run_is_answered_after_a_restart(database_url: str, tmp_path: Path) -> None:
    settings = settings_for(database_url, tmp_path)
    async with open_service(settings) as before:
        waiting = await begin(before)
    async with open_service(settings) as after:
        provider = ScriptedProvider("It is grey.")
        after.container.providers.add(provider)
        waiting.alice = await after.user("alice")
        assert (await waiting.alice.post(waiting.results, json=waiting.grey)).status_code == 200
        run = await waiting.ended()
        assert (run["status"], run["attempt"]) == ("completed", 1)
        assert [tool.name for tool in provider.requests[0].tools] == ["weather"]


async def test_a_stream_goes_on_through_the_call(sqlite_url: str, tmp_path: Path) -> None:
    async with serve(settings_for(sqlite_url, tmp_path)) as live:
        alice = await live.user("alice")
        call = tool_call("weather", place="Oslo")
        live.container.providers.add(ScriptedProvider([call], "It is grey."))
        agent = await make_agent(alice, provider="scripted")
        thread = await make_thread(alice, agent["id"])
        body = {"content": "How is it?", "stream": True, "tools": TOOLS}
        async with alice.stream("POST", f"/threads/{thread['id']}/messages", json=body) as response:
            events = events_of(response)
            event = await next_of(events, "run.waiting")
            assert event.data["client_calls"] == [
                {"tool_call_id": call.tool_call_id, "name": "weather", "arguments": {"place": "Oslo"}}
            ]
            path = f"/threads/{thread['id']}/runs/{event.data['run_id']}/tool_results"
            results = {"results": [{"tool_call_id": call.tool_call_id, "result": "no sky", "is_error": True}]}
            assert (await alice.post(path, json=results)).status_code == 200
            completed = (await next_of(events, "tool.completed")).data
            assert (completed["result"], completed["is_error"]) == ("no sky", True)
            assert (await next_of(events, "run.completed")).data["run"]["status"] == "completed"
