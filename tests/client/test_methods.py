"""Every method of the client once, against the service behind its server; with and without `async`."""

import asyncio
import inspect
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from ai_agents.client import Answer, Client, RunWaiting, ServiceProblem, SyncClient
from ai_agents.core.events import Event
from ai_agents.testing import ScriptedProvider, tool_call
from tests.api.live import Live
from tests.api.service import ADMIN_KEY
from tests.client.conftest import key_of

T = TypeVar("T")
_OPENAPI = Path(__file__).parents[2] / "openapi.yaml"
# What is no operation: a form of one, or several together.
_OWN = {"close", "list_thread_events", "request", "send", "start", "steer", "stream", "stream_run", "wait"}
WEATHER = {"name": "weather", "description": "Looks outside.", "parameters": {"type": "object", "properties": {}}}


def methods(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}


async def all_of(items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


async def read_into(answer: Answer, events: AsyncIterator[Event]) -> None:
    async for event in events:
        answer.add(event)


def test_methods_have_the_names_of_operations_and_both_clients_have_all() -> None:
    operations = set(re.findall(r"operationId: (\w+)", _OPENAPI.read_text()))

    assert methods(Client) - _OWN <= operations
    assert methods(SyncClient) == methods(Client)


async def test_agents_and_threads(client: Client) -> None:
    agent = await client.create_agent(name="tutor", tools=["calculator"])
    changed = await client.update_agent(agent["id"], if_version=1, description="Teaches.")
    assert (changed["version"], (await client.get_agent(agent["id"]))["description"]) == (2, "Teaches.")
    with pytest.raises(ServiceProblem) as stale:
        await client.update_agent(agent["id"], if_version=1, name="late")
    assert (stale.value.code, stale.value.status) == ("precondition_failed", 412)
    assert [each["version"] async for each in client.list_agent_versions(agent["id"])] == [2, 1]
    assert [each["id"] async for each in client.list_agents()] == [agent["id"]]

    thread = await client.create_thread(
        agent["id"], title="Sums", metadata={"class": 4}, messages=[{"role": "user", "content": "Hi"}]
    )
    await client.update_thread(thread["id"], title="Homework")
    found = client.list_threads(agent_id=agent["id"], q="WORK", metadata={"class": 4}, order="activity")
    assert [each["title"] async for each in found] == ["Homework"]
    assert await all_of(client.list_threads(metadata={"class": True})) == []
    [message] = await all_of(client.list_messages(thread["id"]))
    fork = await client.fork_thread(thread["id"], message["id"])
    assert (await client.get_thread(fork["id"]))["message_count"] == 1
    assert (await client.get_context(thread["id"], strategy="last_n"))["strategy"] == "last_n"

    await client.delete_thread(fork["id"])
    await client.delete_agent(agent["id"])
    with pytest.raises(ServiceProblem) as gone:
        await client.get_thread(fork["id"])
    assert (gone.value.code, str(gone.value)) == (
        "not_found",
        "There is no such thread, or the user has no role on it.",
    )


async def test_a_conversation(client: Client) -> None:
    agent = await client.create_agent(name="tutor", tools=["calculator"])
    thread = (await client.create_thread(agent["id"]))["id"]

    message = await client.send(thread, '/tool calculator {"expression": "6 * 7"}', metadata={"page": 3})
    assert message["content"].startswith("echo: calculator answered: 42")
    assert (await client.get_message(thread, message["id"])) == message
    answer, printed = Answer(), ""
    async for event in client.stream(thread, "Good \u2028 morning"):
        answer.add(event)
        printed += str(event)
    assert printed.startswith("echo: Good \u2028 morning")
    assert printed == answer.text == answer.message()["content"]

    run = await client.start(thread, "Later.", idempotency_key="order-17")
    assert (await client.start(thread, "Later.", idempotency_key="order-17"))["id"] == run["id"]
    assert (await client.wait(thread, run["id"]))["content"].startswith("echo: Later.")
    again = await client.retry_run(thread, run["id"])
    assert (await client.wait(thread, again["id"]))["content"].startswith("echo: Later.")
    assert (await client.cancel_run(thread, again["id"]))["status"] == "completed"
    assert (await client.get_run(thread, again["id"]))["id"] == again["id"]
    runs = [each["id"] async for each in client.list_runs(thread)]
    assert runs == [each["id"] async for each in client.list_runs(status="completed", agent_id=agent["id"])]
    assert [each["message"]["content"] async for each in client.search_messages("morning")][-1] == answer.text
    [newest, *_] = await all_of(client.list_messages(thread, order="desc"))
    assert newest["content"].startswith("echo: Later.")
    assert (await anext(client.list_thread_events(thread)))["type"] == "run.started"
    feedback = await client.put_feedback(thread, message["id"], rating=1, comment="Right.")
    assert feedback["rating"] == 1
    [usage] = await all_of(client.get_usage(start=f"{datetime.now(UTC):%Y-%m-%d}", group_by=["agent"]))
    assert (usage["agent_id"], usage["calls"]) == (agent["id"], 5)


async def test_files_tokens_and_whatever_else_there_is(client: Client, small_live: Live, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Notes\nSeven.\n")
    file = await client.create_file(tmp_path / "notes.md")
    assert (file["filename"], file["media_type"]) == ("notes.md", "text/markdown")
    assert await client.get_file_content(file["id"]) == b"# Notes\nSeven.\n"
    agent = await client.create_agent(name="reader")
    thread = (await client.create_thread(agent["id"]))["id"]
    assert "Seven." in (await client.send(thread, "Read this.", attachments=[file["id"]]))["content"]
    await client.delete_file(file["id"])
    assert (await client.get_file(file["id"]))["deleted"] is True

    token = await client.create_token(expires_in_s=60, agents=[agent["id"]])
    async with Client(small_live.server.address, token["token"]) as page:
        assert (await page.get_me())["user_id"] == "alice"
        assert (await page.create_ticket(thread))["ticket"].startswith("tkt_")
    assert (await client.get_me())["limits"]["runs"]["used"] == 0
    role = {"user_id": "bob", "role": "viewer", "resource_type": "agent", "resource_id": agent["id"]}
    assert (await client.request("POST", "/roles", role))["role"] == "viewer"
    roles = await client.request("GET", "/roles", params={"resource_type": "agent", "resource_id": agent["id"]})
    assert await client.request("DELETE", f"/roles/{roles['data'][0]['id']}") is None


async def test_problems_say_what_is_wrong(client: Client, small_live: Live) -> None:
    with pytest.raises(ServiceProblem) as refused:
        await client.create_agent(name="")
    problem = refused.value
    assert (problem.code, problem.status, problem.retry_after_s) == ("invalid_request", 422, None)
    assert problem.errors[0]["loc"] == ["body", "name"]
    assert problem.request_id == problem.problem["request_id"]
    async with Client(small_live.server.address, "aia_wrong") as stranger:
        with pytest.raises(ServiceProblem) as unknown:
            await anext(stranger.stream("01985a3e-0000-7000-8000-000000000000", "Hi"))
    assert unknown.value.code == "unauthorized"


async def test_a_failed_run_is_raised_after_its_event(client: Client, small_live: Live) -> None:
    small_live.container.providers.add(ScriptedProvider(*[[tool_call("calculator", expression="1")]] * 20))
    agent = await client.create_agent(name="looper", provider="scripted", tools=["calculator"])
    thread = (await client.create_thread(agent["id"]))["id"]

    answer = Answer()
    with pytest.raises(ServiceProblem) as streamed:
        await read_into(answer, client.stream(thread, "Go", overrides={"settings": {"tool_rounds": 1}}))
    assert answer.run is not None
    assert answer.run["status"] == "failed"
    assert streamed.value.code == "tool_loop_limit"
    with pytest.raises(ServiceProblem, match=re.escape(streamed.value.detail)):
        await client.send(thread, "Go", overrides={"settings": {"tool_rounds": 1}})


async def test_approvals_and_tools_of_the_client(client: Client, small_live: Live) -> None:
    calls = [tool_call("calculator", expression="1 + 1"), tool_call("weather")]
    small_live.container.providers.add(ScriptedProvider([calls[0]], "Two.", [calls[1]], "It rains."))
    agent = await client.create_agent(
        name="careful", provider="scripted", tools=[{"name": "calculator", "approval": "always"}]
    )
    thread = (await client.create_thread(agent["id"]))["id"]

    with pytest.raises(RunWaiting) as waiting:
        await client.send(thread, "Add.")
    [call] = waiting.value.approvals
    [listed] = await all_of(client.list_approvals())
    assert listed["tool_call_id"] == call["tool_call_id"]
    await client.decide_tool_call(thread, waiting.value.run_id, call["tool_call_id"], approved=True)
    assert (await client.wait(thread, waiting.value.run_id))["content"] == "Two."

    async for event in client.stream(thread, "Look outside.", tools=[WEATHER]):
        if event.type == "run.waiting":
            results = [{"tool_call_id": c["tool_call_id"], "result": "rain"} for c in event.data["client_calls"]]
            await client.give_tool_results(thread, str(event.run_id), results)
    newest = await anext(client.list_messages(thread, order="desc"))
    assert newest["content"] == "It rains."


async def test_steering_and_cancelling(client: Client, small_live: Live) -> None:
    go, never = asyncio.Event(), asyncio.Event()
    small_live.container.providers.add(ScriptedProvider(["Long", go, " story."], "Short.", ["Half", never]))
    agent = await client.create_agent(name="teller", provider="scripted")
    thread = (await client.create_thread(agent["id"]))["id"]

    run = await client.start(thread, "Tell.")
    joined = await client.steer(thread, "Briefly.")
    assert joined["id"] == run["id"]
    go.set()
    assert (await client.wait(thread, run["id"]))["content"] == "Short."

    events = client.stream(thread, "More.")
    async for event in events:
        if event.type == "message.delta":
            await client.cancel_run(thread, str(event.run_id))
    assert event.type == "run.cancelled"
    [cut] = [each async for each in client.list_messages(thread) if each["status"] == "incomplete"]
    assert cut["content"] == "Half"


async def test_threads_are_followed(client: Client) -> None:
    agent = await client.create_agent(name="tutor")
    thread = (await client.create_thread(agent["id"]))["id"]
    hints, events = client.follow_threads(), client.stream_thread_events(thread)
    assert await anext(hints) is None

    first = asyncio.create_task(anext(events))
    while not first.done():  # what happens before it follows the thread is not told
        await client.update_thread(thread, title=str(time.monotonic()))
    assert (await first).type == "thread.updated"
    await client.send(thread, "Hello")
    hint = await anext(hints)
    assert hint is not None
    assert (hint.type, hint.data["thread"]["id"]) == ("thread.activity", thread)
    await client.delete_thread(thread)
    types = [event.type for event in await asyncio.wait_for(all_of(events), 60)]
    assert [each for each in types if each.startswith("run.")] == ["run.started", "run.completed"]
    assert types[-1] == "thread.deleted"
    await hints.aclose()


async def test_without_async(small_live: Live) -> None:
    key = await key_of(small_live, "alice")

    def talk() -> list[str]:
        with SyncClient(small_live.server.address, key) as client:
            agent = client.create_agent(name="tutor")
            thread = client.create_thread(agent["id"])["id"]
            said = [client.send(thread, "Hello")["content"]]
            said.append("".join(str(event) for event in client.stream(thread, "Again")))
            for _event in client.stream(thread, "Left."):
                break
            said += [message["role"] for message in client.list_messages(thread)][:4]
            with pytest.raises(ServiceProblem, match="There is no such thread"):
                client.get_thread(agent["id"])
            return [line.partition("\n")[0] for line in said]

    said = await asyncio.wait_for(asyncio.to_thread(talk), 30)

    assert said == ["echo: Hello", "echo: Again", "user", "assistant", "user", "assistant"]


async def test_a_list_is_read_page_by_page(client: Client, small_live: Live) -> None:
    agent = await client.create_agent(name="tutor")
    history = [{"role": "user", "content": str(number)} for number in range(230)]
    thread = await client.create_thread(agent["id"], messages=history)

    texts = [message["content"] async for message in client.list_messages(thread["id"])]

    assert texts == [str(number) for number in range(230)]
    async with Client(small_live.server.address, ADMIN_KEY) as admin:
        assert [each["id"] async for each in admin.list_threads(user_id="alice")] == [thread["id"]]
