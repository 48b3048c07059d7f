"""Tools of the client: their calls wait for its results, beside approvals, and no call is left without a result."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, MessageStore, RunLimits, RunStore, ThreadStore, connect
from ai_agents.attachments.storage import DiskStore
from ai_agents.core.exceptions import (
    Conflict,
    GuardrailBlocked,
    InvalidRequest,
    PermissionDenied,
    RunNotFound,
    ThreadBusy,
    ThreadNotFound,
    ToolCallNotFound,
)
from ai_agents.core.rows import Run
from ai_agents.core.types import JsonObject, ToolCallPart, ToolDefinition, ToolResultPart
from ai_agents.runner.client_calls import GivenResults
from ai_agents.runner.outcomes import RunResult
from ai_agents.store.models import RunTable, ToolCallTable
from ai_agents.testing import ScriptedProvider, tool_call
from tests.unit.runner.conftest import USER

TIMEOUT_S = 20
PLACE: JsonObject = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
WEATHER = ToolDefinition("weather", "Looks outside.", PLACE)
CLOCK = ToolDefinition("clock", "Reads the clock.")
PREVIEWS = ("message.started", "message.delta")


@pytest.fixture
async def on_sqlite(sqlite_url: str) -> AsyncIterator[DatabaseHandle]:
    """A handle for what is the same on every database."""
    async with await connect(sqlite_url) as handle:
        yield handle


class Client:
    """A user of a thread whose client has two tools; the agent may calculate, and has to ask before it does so."""

    def __init__(self, conn: DatabaseHandle, *answers: object, blobs: DiskStore | None = None) -> None:
        self.conn = conn
        self.provider = ScriptedProvider(*answers)  # type: ignore[arg-type]  # answers of any kind pass through
        self.blobs = blobs
        self.runner = self.new_runner()
        self.thread_id = ""

    def new_runner(self, **limits: Any) -> AgentRunner:
        """Another runner of the same provider, as after a restart."""
        return AgentRunner(self.conn, provider=self.provider, blobs=self.blobs, limits=RunLimits(**limits))

    async def ask(self, content: str = "How is it?", **options: Any) -> RunResult:
        """Send a message with the tools; the run once it waits or has ended."""
        options = {"client_tools": (WEATHER, CLOCK), **options}
        started = await self.runner.start(self.thread_id, USER, content, **options)
        return await self.wait(started.run["id"])

    async def wait(self, run_id: str) -> RunResult:
        """The run once it waits or has ended."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self.runner.wait(self.thread_id, run_id)

    async def give(self, run: Run, results: Mapping[str, Any], *, user: str = USER) -> GivenResults:
        """Give results by the ids of their calls."""
        given = [{"tool_call_id": call_id, "result": result} for call_id, result in results.items()]
        return await self.runner.give_results(self.thread_id, run["id"], user, given)  # type: ignore[arg-type]  # each is one

    async def events(self, run: Run, after: str | None = None) -> list[tuple[str, Any]]:
        """The run's lasting events."""
        reader = await self.runner.read_run(self.thread_id, run["id"], after=after)
        assert reader is not None
        async with asyncio.timeout(TIMEOUT_S):
            return [(event.type, event.data) async for event in reader.events() if event.type not in PREVIEWS]

    async def results(self) -> dict[str, tuple[Any, bool]]:
        """The result of each call in the thread."""
        history = (await MessageStore(self.conn).list(self.thread_id, limit=100))["data"]
        parts = [part for message in history for part in message["parts"]]
        calls = {part["tool_call_id"] for part in parts if part["type"] == "tool_call"}
        found = {
            part["tool_call_id"]: (part["result"], part["is_error"]) for part in parts if part["type"] == "tool_result"
        }
        run = (await RunStore(self.conn).list(self.thread_id))["data"][0]
        assert run["status"] == "waiting" or calls == found.keys()
        return found

    def sent_results(self) -> list[Any]:
        """The results at the end of the newest request."""
        parts = self.provider.requests[-1].messages[-1].parts
        return [part.result for part in parts if isinstance(part, ToolResultPart)]


async def open_client(conn: DatabaseHandle, *answers: object, blobs: DiskStore | None = None, **agent: Any) -> Client:
    client = Client(conn, *answers, blobs=blobs)
    made = await AgentStore(conn).create(name="helper", **({"tools": ["calculator"]} | agent))
    client.thread_id = (await ThreadStore(conn).create(agent_id=made["id"], owner_id=USER))["id"]
    return client


async def test_the_model_is_told_of_the_clients_tools_and_gets_the_result_of_its_call(conn: DatabaseHandle) -> None:
    call = tool_call("weather", place="Oslo")
    client = await open_client(conn, ["Let me see.", call], "It rains.")
    asked = await client.ask()
    assert (asked.run["status"], asked.client_calls, conn.executor.running) == ("waiting", (call,), 0)
    assert [tool.name for tool in client.provider.requests[0].tools] == ["calculator", "weather", "clock"]
    given = await client.give(asked.run, {call.tool_call_id: {"sky": "grey"}})
    assert given.run["status"] == "running"
    ended = await client.wait(asked.run["id"])
    assert (ended.run["status"], ended.run["attempt"]) == ("completed", 1)
    assert ended.message is not None
    assert ended.message["content"] == "It rains."
    assert client.sent_results() == [{"sky": "grey"}]
    assert client.provider.requests[1].tools == client.provider.requests[0].tools
    events = await client.events(asked.run)
    assert [kind for kind, _ in events] == [
        "run.started", "message.completed", "run.waiting", "tool.completed", "message.completed", "run.completed",
    ]  # fmt: skip
    waiting, answered = events[2][1], events[3][1]
    wanted = {"tool_call_id": call.tool_call_id, "name": "weather", "arguments": {"place": "Oslo"}}
    assert (waiting["approvals"], waiting["client_calls"]) == ([], [wanted])
    assert (answered["result"], answered["user_id"]) == ({"sky": "grey"}, USER)
    assert [kind for kind, _ in await client.events(asked.run, given.after)] == ["message.completed", "run.completed"]
    # They were for that message alone, and what was said with them stays.
    await client.ask("And now?", client_tools=())
    assert [tool.name for tool in client.provider.requests[2].tools] == ["calculator"]
    assert len(client.provider.requests[2].messages) == 5


async def test_calls_of_the_client_wait_beside_approvals_while_other_calls_are_made(conn: DatabaseHandle) -> None:
    ours = tool_call("calculator", expression="6*7")
    outside, time = tool_call("weather", place="Oslo"), tool_call("clock")
    client = await open_client(
        conn, [outside, ours, time], "Done.", tools=[{"name": "calculator", "approval": "always"}]
    )
    run = (await client.ask()).run
    (waiting,) = [data for kind, data in await _until_waiting(client, run) if kind == "run.waiting"]
    assert [each["name"] for each in waiting["approvals"]] == ["calculator"]
    assert [each["name"] for each in waiting["client_calls"]] == ["weather", "clock"]
    assert (await client.give(run, {time.tool_call_id: "noon"})).run["status"] == "waiting"
    # A call of the client is no approval, and an approval is no call of the client.
    with pytest.raises(Conflict):
        await client.runner.decide(client.thread_id, run["id"], outside.tool_call_id, approved=True)
    with pytest.raises(ToolCallNotFound):
        await client.give(run, {ours.tool_call_id: "43"})
    assert (await client.runner.decide(client.thread_id, run["id"], ours.tool_call_id, approved=True))[
        "status"
    ] == "waiting"
    assert (await client.give(run, {outside.tool_call_id: "grey"})).run["status"] == "running"
    assert (await client.wait(run["id"])).run["status"] == "completed"
    assert await client.results() == {
        outside.tool_call_id: ("grey", False),
        ours.tool_call_id: ("42", False),
        time.tool_call_id: ("noon", False),
    }


async def _until_waiting(client: Client, run: Run) -> list[tuple[str, Any]]:
    reader = await client.runner.read_run(client.thread_id, run["id"])
    assert reader is not None
    found: list[tuple[str, Any]] = []
    async with asyncio.timeout(TIMEOUT_S):
        async for event in reader.events():
            found.append((event.type, event.data))
            if event.type == "run.waiting":
                break
    return found


async def test_a_call_is_answered_once_and_only_while_it_waits(conn: DatabaseHandle) -> None:
    first, second = tool_call("weather", place="Oslo"), tool_call("weather", place="Rome")
    client = await open_client(conn, [first, second], "Done.")
    run = (await client.ask()).run
    for wrong in ([], [first, first]):
        given = [{"tool_call_id": each.tool_call_id, "result": "x"} for each in wrong]
        with pytest.raises(InvalidRequest):
            await client.runner.give_results(client.thread_id, run["id"], USER, given)  # type: ignore[arg-type]  # each is one
    with pytest.raises(ToolCallNotFound):
        await client.give(run, {first.tool_call_id: "grey", "call_of_no_run": "x"})
    with pytest.raises(RunNotFound):
        await client.runner.give_results(client.thread_id, "no run", USER, [{"tool_call_id": "x", "result": 1}])
    said = [client.give(run, {first.tool_call_id: f"answer {number}"}) for number in range(10)]
    outcomes = await asyncio.gather(*said, return_exceptions=True)
    assert Counter(type(each).__name__ for each in outcomes) == {"GivenResults": 1, "Conflict": 9}
    await client.give(run, {second.tool_call_id: "sunny"})
    assert (await client.wait(run["id"])).run["status"] == "completed"
    for again in (first, second):
        with pytest.raises(Conflict):
            await client.give(run, {again.tool_call_id: "again"})


async def test_only_those_who_may_send_give_results(on_sqlite: DatabaseHandle) -> None:
    call = tool_call("clock")
    client = await open_client(on_sqlite, [call], "Noon.")
    run = (await client.ask()).run
    with pytest.raises(ThreadNotFound):
        await client.give(run, {call.tool_call_id: "one"}, user="eve")
    await client.runner.auth.assign_role("eve", "viewer", "thread", client.thread_id)
    with pytest.raises(PermissionDenied):
        await client.give(run, {call.tool_call_id: "one"}, user="eve")
    await client.runner.auth.assign_role("eve", "editor", "thread", client.thread_id)
    assert (await client.give(run, {call.tool_call_id: "noon"}, user="eve")).run["status"] == "running"
    await client.wait(run["id"])


async def test_a_call_that_does_not_fit_its_schema_is_answered_here(on_sqlite: DatabaseHandle) -> None:
    wrong, malformed = tool_call("weather"), ToolCallPart("call_malformed", "clock", {}, malformed="{")
    right = tool_call("weather", place="Oslo")
    client = await open_client(on_sqlite, [wrong, malformed], [right], "Grey.")
    asked = await client.ask()
    assert asked.client_calls == (right,)
    results = await client.results()
    assert all(results[call.tool_call_id][1] for call in (wrong, malformed))
    with pytest.raises(Conflict):
        await client.give(asked.run, {wrong.tool_call_id: "grey"})


async def test_the_client_decides_how_often_its_tools_are_called(on_sqlite: DatabaseHandle) -> None:
    calls = [tool_call("clock") for _ in range(12)]
    client = await open_client(on_sqlite, *([call] for call in calls), "Enough.", settings={"tool_rounds": 1})
    asked = await client.ask()
    for call in calls:
        await client.give(asked.run, {call.tool_call_id: "noon"})
        asked = await client.wait(asked.run["id"])
    assert asked.run["status"] == "completed"


@pytest.mark.parametrize("on_busy", ["reject", "queue", "interrupt", "steer"])
async def test_a_new_message_goes_on_without_the_results(conn: DatabaseHandle, on_busy: str) -> None:
    call, other = tool_call("clock"), tool_call("weather", place="Oslo")
    client = await open_client(conn, [call, other], "Never mind.")
    asked = await client.ask()
    await client.give(asked.run, {call.tool_call_id: "noon"})
    ended = await client.ask("Forget it.", on_busy=on_busy)
    assert ended.run["status"] == "completed"
    assert (await client.wait(asked.run["id"])).run["status"] == "cancelled"
    text = "Not answered: the run was stopped before a result of this call was given."
    assert await client.results() == {call.tool_call_id: ("noon", False), other.tool_call_id: (text, True)}
    assert [message.role for message in client.provider.requests[-1].messages] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
    ]
    with pytest.raises(Conflict):
        await client.give(asked.run, {other.tool_call_id: "late"})


async def test_a_new_message_waits_as_ever_while_a_person_has_to_decide(on_sqlite: DatabaseHandle) -> None:
    calls = [tool_call("clock"), tool_call("calculator", expression="1")]
    client = await open_client(on_sqlite, calls, "Well.", tools=[{"name": "calculator", "approval": "always"}])
    asked = await client.ask()
    with pytest.raises(ThreadBusy):
        await client.ask("And?")
    await client.give(asked.run, {calls[0].tool_call_id: "noon"})
    with pytest.raises(ThreadBusy):
        await client.ask("And?")


async def test_messages_that_were_queued_come_before_one_that_goes_on(conn: DatabaseHandle) -> None:
    call, asks = tool_call("clock"), asyncio.Event()
    client = await open_client(conn, [asks, call], "To the second.", "To the third.")
    first = await client.runner.start(client.thread_id, USER, "One", client_tools=(CLOCK,))
    second = await client.runner.start(client.thread_id, USER, "Two", on_busy="queue")
    asks.set()
    assert (await client.wait(first.run["id"])).run["status"] == "waiting"
    with pytest.raises(ThreadBusy) as busy:
        await client.ask("Three")
    assert busy.value.run_id == second.run["id"]
    third = await client.ask("Three", on_busy="queue")
    assert third.message is not None
    assert third.message["content"] == "To the third."
    assert (await client.wait(first.run["id"])).run["status"] == "cancelled"
    history = (await MessageStore(conn).list(client.thread_id))["data"]
    assert [message["content"] for message in history if message["role"] != "tool"] == [
        "One", "", "Two", "To the second.", "Three", "To the third.",
    ]  # fmt: skip


async def test_a_cancelled_run_leaves_no_call_without_a_result(conn: DatabaseHandle) -> None:
    calls = [tool_call("clock"), tool_call("calculator", expression="6*7")]
    client = await open_client(conn, calls, "Hello.")
    asked = await client.ask()
    assert (await client.runner.cancel(client.thread_id, asked.run["id"]))["status"] == "cancelled"
    assert [is_error for _, is_error in (await client.results()).values()] == [False, True]
    assert (await client.ask("Hello", client_tools=())).run["status"] == "completed"


async def test_a_run_whose_client_is_gone_goes_on_in_the_end(conn: DatabaseHandle) -> None:
    call = tool_call("clock")
    client = await open_client(conn, [call], "I do not know.")
    asked = await client.ask()
    await conn.database.write(lambda c: c.execute(update(RunTable).values(lease_expires_at=1.0)))
    await conn.executor.expire_approvals()
    assert (await client.wait(asked.run["id"])).run["status"] == "waiting"
    await conn.database.write(lambda c: c.execute(update(RunTable).values(lease_expires_at=1.0)))
    await conn.database.write(lambda c: c.execute(update(ToolCallTable).values(expires_at=1.0)))
    await conn.executor.expire_approvals()
    assert (await client.wait(asked.run["id"])).run["status"] == "completed"
    assert await client.results() == {call.tool_call_id: ("Not answered: no result of this call came in time.", True)}


async def test_another_process_gives_the_tools_to_the_model_after_a_takeover(conn: DatabaseHandle) -> None:
    first, second = tool_call("weather", place="Oslo"), tool_call("clock")
    client = await open_client(conn, [first], [second], "It rains at noon.")
    run = (await client.ask()).run
    await client.give(run, {first.tool_call_id: "rain"})
    asked = await client.wait(run["id"])
    # As if the process had died between the step and the wait: it knows nothing but the rows.
    client.runner = client.new_runner()
    expired = {"status": "running", "lease_owner": "lost", "lease_expires_at": 0.0}
    await conn.database.write(lambda c: c.execute(update(RunTable).where(RunTable.id == run["id"]).values(expired)))
    await client.runner.open()
    await conn.executor.take_over_abandoned()
    asked = await client.wait(run["id"])
    assert (asked.run["status"], asked.client_calls) == ("waiting", (second,))
    await client.give(run, {second.tool_call_id: "noon"})
    assert (await client.wait(run["id"])).run["status"] == "completed"
    assert [tool.name for tool in client.provider.requests[-1].tools] == ["calculator", "weather", "clock"]


async def test_results_are_cleaned_and_long_ones_are_cut_and_kept(on_sqlite: DatabaseHandle, tmp_path: Path) -> None:
    long, odd = tool_call("clock"), tool_call("weather", place="Oslo")
    client = await open_client(on_sqlite, [long, odd], "Done.", blobs=DiskStore(tmp_path), tools=[])
    run = (await client.ask()).run
    given = await client.runner.give_results(
        client.thread_id,
        run["id"],
        USER,
        [
            {"tool_call_id": long.tool_call_id, "result": "tick " * 40_000},
            {"tool_call_id": odd.tool_call_id, "result": {"a\0b": [float("nan"), 2**70, "\ud800"]}, "is_error": True},
        ],
    )
    assert given.run["status"] == "running"
    assert (await client.wait(run["id"])).run["status"] == "completed"
    results = await client.results()
    cut, _ = results[long.tool_call_id]
    assert len(cut.encode()) <= 64 * 1024
    assert "all of it is kept as file" in cut
    assert results[odd.tool_call_id] == ({"a\ufffdb": ["NaN", str(2**70), "\ufffd"]}, True)
    # The model reads on in it, though the agent has no tools.
    assert [tool.name for tool in client.provider.requests[-1].tools] == ["read_result", "weather", "clock"]


RULES = [{"type": "blocklist", "patterns": ["secret"], "stage": "both", "action": "redact"}]


async def test_guardrails_judge_what_the_client_gives_and_gets(on_sqlite: DatabaseHandle) -> None:
    call = tool_call("weather", place="the secret garden")
    client = await open_client(on_sqlite, [call], "Done.", guardrails=RULES)
    told = ToolDefinition("weather", "Looks at a secret place.", PLACE)
    asked = await client.ask(client_tools=(told,))
    assert client.provider.requests[0].tools[-1].description == "Looks at a [redacted] place."
    (seen,) = asked.client_calls
    assert seen.arguments == {"place": "the [redacted] garden"}
    await client.give(asked.run, {call.tool_call_id: {"sky": "a secret"}})
    await client.wait(asked.run["id"])
    assert client.sent_results() == [{"sky": "a [redacted]"}]
    triggered = [data["stage"] for kind, data in await client.events(asked.run) if kind == "guardrail.triggered"]
    assert triggered == ["input", "output", "input"]


@pytest.mark.parametrize("place", ["name", "description", "parameters"])
async def test_tools_that_guardrails_do_not_allow_are_refused(on_sqlite: DatabaseHandle, place: str) -> None:
    rules = [RULES[0] | {"action": "block" if place == "description" else "redact"}]
    client = await open_client(on_sqlite, "Hello.", guardrails=rules)
    facts: dict[str, Any] = {"name": "clock", "description": "", "parameters": PLACE}
    facts[place] = {"type": "object", "properties": {"secret": {}}} if place == "parameters" else "secret"
    with pytest.raises(GuardrailBlocked):
        await client.ask(client_tools=(ToolDefinition(**facts),))
    assert (await MessageStore(on_sqlite).list(client.thread_id))["data"] == []


async def test_a_tool_with_the_name_of_one_of_the_agents_is_refused(on_sqlite: DatabaseHandle) -> None:
    client = await open_client(on_sqlite, "Hello.")
    with pytest.raises(InvalidRequest) as error:
        await client.ask(client_tools=(CLOCK, ToolDefinition("calculator", "")))
    assert error.value.loc == ("tools", 1, "name")
    assert (await MessageStore(on_sqlite).list(client.thread_id))["data"] == []
