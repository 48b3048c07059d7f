"""Agents as tools of MCP: the official SDK's client, in both kinds of revisions, and what it never sends."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from ai_agents.core.exceptions import ProviderError, ProviderRejected
from ai_agents.testing import ScriptedProvider
from app.doors.mcp.translator import WaitingCall, agent_of, is_approved, tool_name
from tests.api.live import Live, serve
from tests.api.service import Service, give_role, make_agent, make_thread, open_service, settings_for
from tests.doors.mcp_hosts import APPROVED, CALL, MODES, Mode, calling, code_of, host_of, rpc, session_of
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually


@pytest.mark.parametrize("mode", MODES)
async def test_an_agent_answers_as_a_tool_and_goes_on_in_its_thread(small_live: Live, mode: Mode) -> None:
    alice = await small_live.user("alice")
    small_live.container.providers.add(ScriptedProvider(["Hello, ", "Ada."], "Still here.", [*CALL], "It is 42."))
    agent = await make_agent(
        alice, name="Ada's helper", provider="scripted", tools=["calculator"], description="Helps."
    )
    async with host_of(small_live, alice, mode) as host:
        (tool,) = (await host.client.list_tools()).tools
        assert (tool.title, tool.description, tool.name[:13]) == (
            "Ada's helper",
            "Ada's helper: Helps.",
            "Ada_s_helper-",
        )
        assert agent_of(tool.name) == agent["id"]
        first = await host.call(tool.name, "Hi")
        assert first.content[0].type == "text"
        assert (first.content[0].text, first.is_error) == ("Hello, Ada.", False)
        assert "".join(message for _, message in host.progress) == "Hello, Ada."
        assert [count for count, _ in host.progress] == sorted({count for count, _ in host.progress})
        thread_id, run_id = first.structured_content["thread_id"], first.structured_content["run_id"]
        assert first.structured_content == {"text": "Hello, Ada.", "thread_id": thread_id, "run_id": run_id}
        second = await host.call(tool.name, "And now?", thread_id=thread_id)
        assert second.structured_content["thread_id"] == thread_id
        assert (await host.call(tool.name, "Six times seven?")).structured_content["text"] == "It is 42."
        assert (await host.call(tool.name, "Hi")).structured_content["text"] == "(no more answers)"

    history = (await alice.get(f"/threads/{thread_id}/messages")).json()["data"]
    assert [message["content"] for message in history] == ["Hi", "Hello, Ada.", "And now?", "Still here."]
    assert (await alice.get(f"/threads/{thread_id}/runs/{run_id}")).json()["status"] == "completed"


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_waits_is_asked_of_a_person(small_live: Live, mode: Mode) -> None:
    alice = await small_live.user("alice")
    yes, no = ElicitResult(action="accept", content={"approve": True}), ElicitResult(action="decline")
    dismissed, unsure = ElicitResult(action="cancel"), ElicitResult(action="accept", content={"approve": False})
    small_live.container.providers.add(ScriptedProvider(*[answer for _ in range(5) for answer in ([*CALL], "So.")]))
    await make_agent(alice, name="Helper", provider="scripted", tools=APPROVED)
    results = {}
    for name, answer in {"yes": yes, "no": no, "dismissed": dismissed, "unsure": unsure}.items():
        async with host_of(small_live, alice, mode, answer) as host:
            found = await host.call(await host.tool(), "Six times seven?")
        assert host.asked == ['The agent Helper wants to call calculator with {"expression":"6*7"}. May it?']
        assert found.structured_content["text"] == "So."
        history = (await alice.get(f"/threads/{found.structured_content['thread_id']}/messages")).json()["data"]
        (result,) = [part for each in history for part in each["parts"] if part["type"] == "tool_result"]
        results[name] = (result["result"], result["is_error"])
    refused = ("A person refused this call: not approved", True)
    assert results == {"yes": ("42", False), "no": refused, "dismissed": refused, "unsure": refused}

    # Without a person to ask, the caller is told; the run waits for one who decides elsewhere.
    async with host_of(small_live, alice, mode) as host:
        found = await host.call(await host.tool(), "Six times seven?")
    assert code_of(found) == "approval_required"
    place = f"/threads/{found.structured_content['thread_id']}/runs/{found.structured_content['run_id']}"
    assert (await alice.get(place)).json()["status"] == "waiting"


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_refused_or_fails_is_a_result_with_its_code(small_live: Live, mode: Mode) -> None:
    alice, bob = await small_live.user("alice"), await small_live.user("bob")
    hold = asyncio.Event()
    broken: ProviderError = ProviderRejected("no")
    small_live.container.providers.add(ScriptedProvider(broken, ["Slow.", hold]))
    rails = [{"type": "blocklist", "patterns": ["rosebud"], "stage": "input", "action": "block"}]
    await make_agent(alice, name="Helper", provider="scripted", guardrails=rails)
    other, foreign = await make_thread(alice), await make_thread(bob)
    threads = len((await alice.get("/threads")).json()["data"])
    async with host_of(small_live, alice, mode) as host:
        tool = await host.tool(1)
        assert code_of(await host.call(tool, "")) == "invalid_request"
        assert code_of(await host.client.call_tool(tool, {"message": "Hi", "more": 1})) == "invalid_request"
        assert code_of(await host.client.call_tool(tool, {})) == "invalid_request"
        assert code_of(await host.call(tool, "x" * 100_001)) == "invalid_request"
        assert code_of(await host.call(tool, "My word is rosebud.")) == "guardrail_blocked"
        for thread_id, code in ((other["id"], "conflict"), (foreign["id"], "not_found"), ("no-id", "not_found")):
            assert code_of(await host.call(tool, "Hi", thread_id=thread_id)) == code
        # What was refused has left no thread.
        assert len((await alice.get("/threads")).json()["data"]) == threads
        failed = await host.call(tool, "Hi")
        assert code_of(failed) == "provider_rejected"
        thread_id = failed.structured_content["thread_id"]
        slow = asyncio.create_task(host.call(tool, "Hi", thread_id=thread_id))
        await eventually(lambda: bool(host.progress))
        assert code_of(await host.call(tool, "Hi", thread_id=thread_id)) == "thread_busy"
        hold.set()
        assert (await slow).structured_content["text"] == "Slow."


@pytest.mark.parametrize("mode", MODES)
async def test_only_agents_that_one_may_talk_to_are_tools(small_live: Live, mode: Mode) -> None:
    alice, bob = await small_live.user("alice"), await small_live.user("bob")
    shared, own = await make_agent(alice, name="Shared"), await make_agent(alice, name="支持 🧵")
    await give_role(alice, "bob", "user", "agent", shared["id"])
    names = {each["id"]: tool_name(each["name"], each["id"]) for each in (shared, own)}
    async with host_of(small_live, alice, mode) as host:
        assert [tool.name for tool in (await host.client.list_tools()).tools] == [names[own["id"]], names[shared["id"]]]
    async with host_of(small_live, bob, mode) as host:
        assert [tool.title for tool in (await host.client.list_tools()).tools] == ["Shared"]
        assert (await host.call(names[shared["id"]], "Hi")).structured_content["text"].startswith("echo: Hi")
        told = []
        for name in (names[own["id"]], "nothing", names[own["id"]][:-1] + "!"):
            with pytest.raises(MCPError) as refused:
                await host.call(name, "Hi")
            told.append((refused.value.code, refused.value.message.replace(name, "…")))
        assert told == [(-32602, "Unknown tool: …")] * 3
    token = (await alice.post("/tokens", json={"agents": [own["id"]]})).json()["token"]
    narrow = httpx.AsyncClient(headers={"authorization": f"Bearer {token}"})
    async with narrow, host_of(small_live, narrow, mode) as host:
        assert [tool.title for tool in (await host.client.list_tools()).tools] == ["支持 🧵"]
        with pytest.raises(MCPError, match="Unknown tool"):
            await host.call(names[shared["id"]], "Hi")


async def test_a_list_of_tools_has_pages(small_live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.doors.mcp.exchanges._PAGE", 2)
    alice = await small_live.user("alice")
    for number in range(3):
        await make_agent(alice, name=f"{number}")
    async with host_of(small_live, alice, "2026-07-28") as host:
        first = await host.client.list_tools()
        second = await host.client.list_tools(cursor=first.next_cursor)
        assert [tool.title for tool in (*first.tools, *second.tools)] == ["2", "1", "0"]
        assert second.next_cursor is None
        with pytest.raises(MCPError) as refused:
            await host.client.list_tools(cursor="nonsense")
    assert refused.value.code == -32602


async def test_a_clients_cancellation_cancels_the_run_and_a_lost_connection_does_not(small_live: Live) -> None:
    alice, bob = await small_live.user("alice"), await small_live.user("bob")
    hold = asyncio.Event()
    small_live.container.providers.add(ScriptedProvider(*[["Slow.", hold] for _ in range(3)]))
    await make_agent(alice, name="Helper", provider="scripted")
    session = await session_of(alice)
    tool = (await alice.post("/mcp", json=rpc("tools/list"), headers=session)).json()["result"]["tools"][0]["name"]

    async def runs(status: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await alice.get("/runs", params={"status": status})).json()["data"]
        return found

    async with calling(alice, session, tool) as messages:
        await eventually(lambda: runs("running"))
        cancel = rpc("notifications/cancelled", None, requestId=7)
        assert (await bob.post("/mcp", json=cancel, headers=session)).status_code == 202
        other = rpc("notifications/cancelled", None, requestId=8)
        assert (await alice.post("/mcp", json=other, headers=session)).status_code == 202
        assert await runs("running")
        assert (await alice.post("/mcp", json=cancel, headers=session)).status_code == 202
        told = await anext(messages)
    assert told["result"]["structuredContent"]["code"] == "run_cancelled"
    assert len(await runs("cancelled")) == 1

    async with calling(alice, session, tool, 9):
        await eventually(lambda: runs("running"))
    await asyncio.sleep(0.05)
    assert await runs("running")
    # Asked for again, it is the same run.
    async with calling(alice, session, tool, 9) as messages:
        hold.set()
        told = await anext(messages)
    assert told["result"]["structuredContent"]["text"] == "Slow."
    assert len(await runs("completed")) == 1
    # Another message under the same id is another message.
    async with calling(alice, session, tool, 9, message="Else.") as messages:
        await anext(messages)
    assert len(await runs("completed")) == 2

    hold.clear()
    async with host_of(small_live, alice, "2026-07-28") as host:
        small_live.container.providers.add(ScriptedProvider(["Slow.", hold]))
        call = asyncio.create_task(host.call(tool, "Go."))
        await eventually(lambda: runs("running"))
        call.cancel()
        await asyncio.wait({call})

    async def both() -> bool:
        return len(await runs("cancelled")) == 2

    await eventually(both)


async def test_an_answer_to_a_question_needs_no_session_but_the_right_to_decide(small_live: Live) -> None:
    """As it arrives at another replica: its sender's right is checked, and the run tells its own stream."""
    alice, bob = await small_live.user("alice"), await small_live.user("bob")
    small_live.container.providers.add(ScriptedProvider([*CALL], "It is 42."))
    await make_agent(alice, name="Helper", provider="scripted", tools=APPROVED)
    session = await session_of(alice, elicitation={})
    tool = (await alice.post("/mcp", json=rpc("tools/list"), headers=session)).json()["result"]["tools"][0]["name"]
    async with calling(alice, session, tool) as messages:
        question = await anext(messages)
        assert question["method"] == "elicitation/create"
        waiting = WaitingCall.from_text(question["id"])
        assert waiting is not None
        yes = {"jsonrpc": "2.0", "result": {"action": "accept", "content": {"approve": True}}}
        place = f"/threads/{waiting.thread_id}/runs/{waiting.run_id}"
        for client, answered in ((bob, question["id"]), (alice, "approval x y z"), (alice, 3)):
            answer = await client.post("/mcp", json=yes | {"id": answered})
            assert (answer.status_code, answer.content) == (202, b"")
            assert (await alice.get(place)).json()["status"] == "waiting"
        for _ in range(2):
            assert (await alice.post("/mcp", json=yes | {"id": question["id"]})).status_code == 202
        told = [message async for message in messages]
    assert told[-1]["result"]["structuredContent"]["text"] == "It is 42."


async def test_each_request_of_a_client_may_come_to_another_replica(
    postgresql_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    settings = settings_for(postgresql_url, tmp_path, redis_url=redis_server.url)
    async with serve(settings) as one, serve(settings) as other, AsyncExitStack() as clients:
        here = await one.user("alice")
        headers = {"authorization": here.headers["authorization"]}
        there = await clients.enter_async_context(httpx.AsyncClient(base_url=other.server.address, headers=headers))
        hold = asyncio.Event()
        one.container.providers.add(ScriptedProvider([*CALL], ["Slow.", hold]))
        # The replica that takes the answer goes on with the run.
        other.container.providers.add(ScriptedProvider("It is 42."))
        agent = await make_agent(here, name="Helper", provider="scripted", tools=APPROVED)
        tool, session = tool_name("Helper", agent["id"]), await session_of(there, elicitation={})
        async with calling(here, session, tool) as messages:
            question = await anext(messages)
            yes = {"jsonrpc": "2.0", "result": {"action": "accept", "content": {"approve": True}}}
            assert (await there.post("/mcp", json=yes | {"id": question["id"]}, headers=session)).status_code == 202
            told = [message async for message in messages]
            assert told[-1]["result"]["structuredContent"]["text"] == "It is 42."
        async with calling(here, session, tool, 8) as messages:
            await eventually(lambda: other_sees_running(there))
            cancel = rpc("notifications/cancelled", None, requestId=8)
            assert (await there.post("/mcp", json=cancel, headers=session)).status_code == 202
            told = [message async for message in messages]
        assert told[-1]["result"]["structuredContent"]["code"] == "run_cancelled"


async def other_sees_running(client: httpx.AsyncClient) -> bool:
    return bool((await client.get("/runs", params={"status": "running"})).json()["data"])


async def test_a_state_that_a_client_sends_back_opens_nothing_of_others(small_live: Live) -> None:
    alice, bob = await small_live.user("alice"), await small_live.user("bob")
    small_live.container.providers.add(ScriptedProvider([*CALL], "It is 42."))
    agent = await make_agent(alice, name="Helper", provider="scripted", tools=APPROVED)
    mine = await make_agent(bob, name="Mine")
    thread = await make_thread(alice, agent["id"])
    run = (await alice.post(f"/threads/{thread['id']}/messages", json={"content": "Go."})).json()
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}

    async def resume(client: httpx.AsyncClient, named: dict[str, Any], state: str) -> dict[str, Any]:
        name = tool_name(named["name"], named["id"])
        headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": name}
        body = rpc("tools/call", 1, name=name, arguments={"message": "x"}, requestState=state, _meta=meta)
        answer = await client.post("/mcp", json=body, headers=headers)
        result: dict[str, Any] = answer.json()["result"]["structuredContent"]
        return result

    state = f"{thread['id']} {run['id']}"
    assert (await resume(bob, mine, state))["code"] == "not_found"
    own = await make_agent(alice, name="Own")
    assert (await resume(alice, own, state))["code"] == "conflict"
    assert (await resume(alice, agent, "nonsense"))["code"] == "not_found"
    assert (await resume(alice, agent, state))["code"] == "approval_required"


async def test_refusals_before_the_protocol_have_its_form(sqlite_url: str, tmp_path: Path) -> None:
    page = "https://chat.example.com"
    settings = settings_for(sqlite_url, tmp_path, max_requests_per_minute=12, cors_origins=page)
    async with open_service(settings) as service:
        anonymous, alice = await service.anonymous(), await service.user("alice")
        body = rpc("tools/list")
        answers = {
            "no key": await anonymous.post("/mcp", json=body),
            "get": await alice.get("/mcp"),
            "media type": await alice.post("/mcp", content=b"{}", headers={"content-type": "text/plain"}),
            "no json": await alice.post("/mcp", content=b"{", headers={"content-type": "application/json"}),
            "nul": await alice.post("/mcp", content=b'{"x": "\\u0000"}', headers={"content-type": "application/json"}),
            "batch": await alice.post("/mcp", json=[body]),
            "session": await alice.post("/mcp", json=body, headers={"mcp-session-id": "of-another-server"}),
            "origin": await alice.post("/mcp", json=body, headers={"origin": "https://evil.example.com"}),
            "version": await alice.post("/mcp", json=body, headers={"mcp-protocol-version": "1999-01-01"}),
        }
        for origin in (page, "http://service"):
            assert (await alice.post("/mcp", json=body, headers={"origin": origin})).status_code == 200
        limited = [await alice.post("/mcp", json=body) for _ in range(12)][-1]
    found = {name: answer.status_code for name, answer in (answers | {"limited": limited}).items()}
    assert found == {
        "no key": 401, "get": 405, "media type": 415, "no json": 400, "nul": 400, "batch": 400, "session": 404,
        "origin": 403, "version": 400, "limited": 429,
    }  # fmt: skip
    for answer in (*answers.values(), limited):
        told = answer.json()
        assert told["jsonrpc"] == "2.0"
        assert told["error"]["code"] < 0
    assert answers["no key"].headers["www-authenticate"] == "Bearer"
    assert answers["no json"].json()["error"]["code"] == -32700
    assert int(limited.headers["retry-after"]) > 0


async def test_a_call_ends_with_the_right_to_it_and_with_the_process(sqlite_url: str, tmp_path: Path) -> None:
    hold = asyncio.Event()
    async with serve(settings_for(sqlite_url, tmp_path, shutdown_grace_s=0)) as live:
        alice = await live.user("alice")
        live.container.providers.add(ScriptedProvider(["Slow.", hold], ["Slow.", hold]))
        agent = await make_agent(alice, name="Helper", provider="scripted")
        key = (await alice.post("/keys", json={"name": "short"})).json()
        short = httpx.AsyncClient(headers={"authorization": f"Bearer {key['key']}"})
        async with short, host_of(live, short, "legacy") as host:
            call = asyncio.create_task(host.call(tool_name("Helper", agent["id"]), "Go."))
            await eventually(lambda: bool(host.progress))
            assert (await alice.get("/me")).json()["limits"]["streams"]["used"] == 1
            await alice.delete(f"/keys/{key['id']}")
            assert code_of(await asyncio.wait_for(call, 15)) == "not_found"
        assert (await alice.get("/me")).json()["limits"]["streams"]["used"] == 0
        async with host_of(live, alice, "2026-07-28") as host:
            call = asyncio.create_task(host.call(tool_name("Helper", agent["id"]), "Go."))
            await eventually(lambda: bool(host.progress))
            live.server.stop()
            ended = await asyncio.wait_for(call, 15)
        # The next process runs it on; so it has not ended.
        assert code_of(ended) == "overloaded"
        hold.set()


async def test_without_the_sdk_the_door_says_what_to_install(
    small_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await small_service.user("alice")
    monkeypatch.setattr("ai_agents.core.extras.is_installed", lambda module: module != "mcp")
    answer = await alice.post("/mcp", json=rpc("tools/list"))
    assert answer.status_code == 422
    assert "pip install" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["Support", "支持", "", "a" * 200, "../x y!", "--", "x-", "_"])
def test_a_tools_name_is_one_and_means_its_agent(name: str) -> None:
    agent_id = "01890a5d-ac96-774b-bcce-b302099a8057"
    found = tool_name(name, agent_id)
    assert 1 <= len(found) <= 64
    assert found.replace("-", "").replace("_", "").isalnum()
    assert found.isascii()
    assert agent_of(found) == agent_id
    for wrong in (found[:-1], found[-22:], found[:-1] + "!", found + "=", found[:-1] + "_", "", "x", "é" * 40):
        assert agent_of(wrong) is None


@pytest.mark.parametrize(
    "answer", [None, 1, {}, {"action": "accept"}, {"action": "decline", "content": {"approve": True}},
    {"action": "accept", "content": {"approve": "true"}}, {"action": "accept", "content": [True]}],
)  # fmt: skip
def test_only_a_clear_yes_approves(answer: object) -> None:
    assert not is_approved(answer)
    assert is_approved({"action": "accept", "content": {"approve": True}})
