"""Runs that wait for approvals: they have no owner meanwhile, and each call is made or refused as decided."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from ai_agents import (
    AgentRunner,
    AgentStore,
    Approvals,
    DatabaseHandle,
    MessageStore,
    RunLimits,
    ThreadStore,
    ToolRegistry,
)
from ai_agents.core.exceptions import Conflict, ContextExceeded, GuardrailBlocked, ThreadBusy, ToolCallNotFound
from ai_agents.core.ids import utc_now
from ai_agents.core.rows import Run
from ai_agents.core.types import JsonObject, ToolCallPart, ToolDefinition
from ai_agents.store import runs
from ai_agents.store.models import RunTable, ToolCallTable
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.testing import ScriptedProvider, tool_call
from ai_agents.tools.base import Tool
from tests.present import present
from tests.unit.runner.conftest import USER

TIMEOUT_S = 20


class Pay(Tool):
    """Counts payments by recipient."""

    name = "pay"

    def __init__(self) -> None:
        self.paid: Counter[str] = Counter()

    async def execute(self, to: str) -> str:
        self.paid[to] += 1
        return f"paid {to}"

    def get_definition(self) -> ToolDefinition:
        parameters = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
        return ToolDefinition(self.name, "Pays.", parameters)


class Desk:
    """A thread whose agent has to ask before it pays, but not before it calculates."""

    def __init__(self, conn: DatabaseHandle, *answers: object) -> None:
        self.conn = conn
        self.pay = Pay()
        self.provider = ScriptedProvider(*answers)  # type: ignore[arg-type]  # answers of any kind pass through
        self.runner = self.new_runner()
        self.thread_id = ""

    def new_runner(self, **limits: Any) -> AgentRunner:
        """Another runner of the same tools and provider, as after a restart."""
        return AgentRunner(
            self.conn, provider=self.provider, tools=ToolRegistry([self.pay]), limits=RunLimits(**limits)
        )

    async def ask(self, content: str = "Pay them.", **options: Any) -> Run:
        """Send a message; the run once it waits or has ended."""
        started = await self.runner.start(self.thread_id, USER, content, **options)
        return await self.wait(started.run["id"])

    async def wait(self, run_id: str) -> Run:
        """The run once it waits or has ended."""
        async with asyncio.timeout(TIMEOUT_S):
            return (await self.runner.wait(self.thread_id, run_id)).run

    async def say(self, run: Run, call: ToolCallPart, *, approved: bool, reason: str | None = None) -> Run:
        """Decide on a call."""
        return await self.runner.decide(self.thread_id, run["id"], call.tool_call_id, approved=approved, reason=reason)

    async def let_pass(self, call: ToolCallPart, *, only_run: bool = False) -> None:
        """Let the deadline of a call be over, as the database's clock sees it."""

        def let(connection: Connection) -> None:
            if not only_run:
                this = ToolCallTable.tool_call_id == call.tool_call_id
                connection.execute(update(ToolCallTable).where(this).values(expires_at=1.0))
            connection.execute(update(RunTable).where(RunTable.status == "waiting").values(lease_expires_at=1.0))

        await self.conn.database.write(let)

    async def events(self, run: Run) -> list[tuple[str, Any]]:
        """The run's lasting events, from the first."""
        reader = await self.runner.read_run(self.thread_id, run["id"])
        assert reader is not None
        async with asyncio.timeout(TIMEOUT_S):
            return [(event.type, event.data) async for event in reader.events()]

    async def messages(self) -> list[Any]:
        """The thread's history."""
        return (await MessageStore(self.conn).list(self.thread_id, limit=100))["data"]

    async def results(self) -> dict[str, Any]:
        """The result of each call in the thread."""
        parts = [
            part for message in await self.messages() for part in message["parts"] if part["type"] == "tool_result"
        ]
        return {part["tool_call_id"]: (part["result"], part["is_error"]) for part in parts}


async def open_desk(conn: DatabaseHandle, *answers: object, guardrails: Sequence[JsonObject] = ()) -> Desk:
    desk = Desk(conn, *answers)
    tools = ["calculator", {"name": "pay", "approval": "always"}]
    agent = await AgentStore(conn).create(name="cashier", tools=tools, guardrails=guardrails)  # type: ignore[arg-type]  # mixed, as the contract has it
    desk.thread_id = (await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER))["id"]
    return desk


async def test_a_run_waits_until_its_call_is_approved_and_then_goes_on(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Paid.")
    run = await desk.ask()
    assert (run["status"], desk.pay.paid.total()) == ("waiting", 0)
    assert conn.executor.running == 0
    decided = await desk.say(run, call, approved=True)
    assert decided["status"] == "running"
    assert (await desk.wait(run["id"]))["status"] == "completed"
    assert desk.pay.paid == {"Ada": 1}
    assert [kind for kind, _ in await desk.events(run) if kind not in ("message.started", "message.delta")] == [
        "run.started", "message.completed", "run.waiting", "tool.started", "tool.completed", "message.completed",
        "run.completed",
    ]  # fmt: skip


async def test_the_event_lists_the_calls_to_be_decided(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Paid.")
    run = await desk.ask()
    reader = await desk.runner.read_run(desk.thread_id, run["id"])
    assert reader is not None
    async for event in reader.events():
        if event.type == "run.waiting":
            [asked] = event.data["approvals"]
            assert asked.pop("expires_at") > utc_now()
            assert asked == {"tool_call_id": call.tool_call_id, "name": "pay", "arguments": {"to": "Ada"}}
            break


async def test_a_refused_call_is_told_to_the_model_with_the_reason(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Bob")
    desk = await open_desk(conn, [call], "As you wish.")
    run = await desk.ask()
    await desk.say(run, call, approved=False, reason="not him")
    assert (await desk.wait(run["id"]))["status"] == "completed"
    assert desk.pay.paid.total() == 0
    assert await desk.results() == {call.tool_call_id: ("A person refused this call: not him", True)}
    assert desk.provider.requests[-1].messages[-1].parts[0].result == "A person refused this call: not him"  # type: ignore[union-attr]  # a tool's message


@pytest.mark.parametrize("action", ["redact", "block"])
async def test_a_reason_passes_the_input_guardrails(conn: DatabaseHandle, action: str) -> None:
    call = tool_call("pay", to="Bob")
    rule = {"type": "blocklist", "patterns": ["secret"], "stage": "input", "action": action}
    desk = await open_desk(conn, [call], "As you wish.", guardrails=[rule])
    run = await desk.ask()
    if action == "block":
        with pytest.raises(GuardrailBlocked):
            await desk.say(run, call, approved=False, reason="for a secret reason")
        assert (await desk.say(run, call, approved=False))["status"] == "running"
        return
    await desk.say(run, call, approved=False, reason="for a secret reason")
    assert (await desk.wait(run["id"]))["status"] == "completed"
    assert await desk.results() == {call.tool_call_id: ("A person refused this call: for a [redacted] reason", True)}
    assert "guardrail.triggered" in [kind for kind, _ in await desk.events(run)]


async def test_each_of_several_calls_is_decided_and_the_others_are_made_at_once(conn: DatabaseHandle) -> None:
    first, second, third = tool_call("pay", to="Ada"), tool_call("pay", to="Bob"), tool_call("pay", to="Cid")
    sum_up = tool_call("calculator", expression="6*7")
    desk = await open_desk(conn, [first, sum_up, second, third], "Done.")
    run = await desk.ask()
    assert await desk.results() == {sum_up.tool_call_id: ("42", False)}
    assert (await desk.say(run, second, approved=False))["status"] == "waiting"
    assert (await desk.say(run, third, approved=True))["status"] == "waiting"
    assert desk.pay.paid.total() == 0
    assert (await desk.say(run, first, approved=True))["status"] == "running"
    assert (await desk.wait(run["id"]))["status"] == "completed"
    assert desk.pay.paid == {"Ada": 1, "Cid": 1}
    assert (await desk.results())[second.tool_call_id] == ("A person refused this call.", True)


async def test_a_run_may_wait_several_times(conn: DatabaseHandle) -> None:
    first, second = tool_call("pay", to="Ada"), tool_call("pay", to="Bob")
    desk = await open_desk(conn, [first], [second], "Both paid.")
    run = await desk.ask()
    await desk.say(run, first, approved=True)
    assert (await desk.wait(run["id"]))["status"] == "waiting"
    await desk.say(run, second, approved=True)
    run = await desk.wait(run["id"])
    assert (run["status"], run["attempt"]) == ("completed", 1)
    assert desk.pay.paid == {"Ada": 1, "Bob": 1}


async def test_a_call_is_decided_once_and_only_one_that_waits(conn: DatabaseHandle) -> None:
    first, second, other = (
        tool_call("pay", to="Ada"),
        tool_call("pay", to="Bob"),
        tool_call("calculator", expression="1"),
    )
    desk = await open_desk(conn, [first, second, other], "Done.")
    run = await desk.ask()
    await desk.say(run, first, approved=False)
    for decided in (first, other):
        with pytest.raises(Conflict):
            await desk.say(run, decided, approved=True)
    with pytest.raises(ToolCallNotFound):
        await desk.say(run, tool_call("pay", to="Eve"), approved=True)
    await desk.say(run, second, approved=True)
    await desk.wait(run["id"])
    with pytest.raises(Conflict):
        await desk.say(run, second, approved=True)
    assert desk.pay.paid == {"Bob": 1}


async def test_decisions_at_the_same_moment_count_once(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Paid.")
    run = await desk.ask()
    decisions = [desk.say(run, call, approved=True) for _ in range(10)]
    said = await asyncio.gather(*decisions, return_exceptions=True)
    assert Counter(type(each).__name__ for each in said) == {"dict": 1, "Conflict": 9}
    assert (await desk.wait(run["id"]))["status"] == "completed"
    assert desk.pay.paid == {"Ada": 1}


async def test_a_call_that_cannot_be_made_needs_no_approval(conn: DatabaseHandle) -> None:
    wrong = tool_call("pay", whom="Ada")
    malformed = ToolCallPart("call_malformed", "pay", {}, malformed="{")
    desk = await open_desk(conn, [wrong, malformed, tool_call("steal")], "Sorry.")
    assert (await desk.ask())["status"] == "completed"
    assert all(is_error for _, is_error in (await desk.results()).values())


async def test_a_call_that_was_made_too_often_needs_no_approval(conn: DatabaseHandle) -> None:
    calls = [tool_call("pay", to="Ada") for _ in range(4)]
    desk = await open_desk(conn, *([call] for call in calls), "Enough.")
    run = await desk.ask()
    for call in calls[:3]:
        assert run["status"] == "waiting"
        await desk.say(run, call, approved=True)
        run = await desk.wait(run["id"])
    assert (run["status"], desk.pay.paid["Ada"]) == ("completed", 3)


async def test_repeated_calls_in_one_message_need_no_more_approvals_than_in_several(conn: DatabaseHandle) -> None:
    calls = [tool_call("pay", to="Ada") for _ in range(6)]
    desk = await open_desk(conn, calls, "Enough.")
    run = await desk.ask()
    for call in calls[:3]:
        await desk.say(run, call, approved=True)
    run = await desk.wait(run["id"])
    assert (run["status"], desk.pay.paid["Ada"]) == ("completed", 3)
    assert [is_error for _, is_error in (await desk.results()).values()].count(True) == 3
    for call in calls[3:]:
        with pytest.raises(Conflict):
            await desk.say(run, call, approved=True)


async def test_while_a_run_waits_the_thread_is_busy_and_an_interrupt_denies_what_waits(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Never mind.")
    run = await desk.ask()
    with pytest.raises(ThreadBusy) as busy:
        await desk.ask("And?")
    assert busy.value.run_id == run["id"]
    assert (await desk.ask("Stop.", on_busy="interrupt"))["status"] == "completed"
    assert (await desk.wait(run["id"]))["status"] == "cancelled"
    assert desk.pay.paid.total() == 0
    denied = "The call was not made: the run was stopped before a person had agreed to it."
    assert await desk.results() == {call.tool_call_id: (denied, True)}


@pytest.mark.parametrize("interrupted", [False, True])
async def test_a_call_that_was_not_made_says_it_was_approved(conn: DatabaseHandle, interrupted: bool) -> None:
    first, second = tool_call("pay", to="Ada"), tool_call("pay", to="Bob")
    desk = await open_desk(conn, [first, second], "Never mind.")
    run = await desk.ask()
    await desk.say(run, first, approved=True)
    if interrupted:
        await desk.ask("Stop.", on_busy="interrupt")
    else:
        await desk.runner.cancel(desk.thread_id, run["id"])
    assert desk.pay.paid.total() == 0
    assert await desk.results() == {
        first.tool_call_id: (
            "The call was not made: a person had agreed to it, but the run was stopped first.",
            True,
        ),
        second.tool_call_id: (
            "The call was not made: the run was stopped before a person had agreed to it.",
            True,
        ),
    }


async def test_a_waiting_run_can_be_cancelled_and_the_queue_goes_on(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Next.")
    run = await desk.ask()
    queued = await desk.runner.start(desk.thread_id, USER, "Later.", on_busy="queue")
    assert (await desk.runner.cancel(desk.thread_id, run["id"]))["status"] == "cancelled"
    assert (await desk.wait(queued.run["id"]))["status"] == "completed"
    assert desk.pay.paid.total() == 0


async def test_calls_without_a_decision_in_time_are_refused_and_the_run_goes_on(conn: DatabaseHandle) -> None:
    first, second = tool_call("pay", to="Ada"), tool_call("pay", to="Bob")
    desk = await open_desk(conn, [first, second], "Then not.")
    run = await desk.ask()
    await desk.say(run, second, approved=True)
    await desk.let_pass(first)
    await conn.executor.expire_approvals()
    assert (await desk.wait(run["id"]))["status"] == "completed"
    assert desk.pay.paid == {"Bob": 1}
    told = "This call was refused: expired. No person decided on it in time."
    assert (await desk.results())[first.tool_call_id] == (told, True)


async def test_each_call_expires_by_itself_and_the_run_goes_on_after_the_last_one(conn: DatabaseHandle) -> None:
    first, second, third = (tool_call("pay", to=name) for name in ("Ada", "Bob", "Cid"))
    desk = await open_desk(conn, [first, second, third], "Done.")
    run = await desk.ask()
    await desk.let_pass(second)
    with pytest.raises(Conflict):
        await desk.say(run, second, approved=True)
    for _ in range(2):
        await conn.executor.expire_approvals()
        assert (await desk.wait(run["id"]))["status"] == "waiting"
        assert set(await desk.results()) == {second.tool_call_id}
    await desk.say(run, first, approved=True)
    await desk.let_pass(third)
    await asyncio.gather(*(conn.executor.expire_approvals() for _ in range(5)))
    assert (await desk.wait(run["id"]))["status"] == "completed"
    assert desk.pay.paid == {"Ada": 1}
    completed = [data["tool_call_id"] for kind, data in await desk.events(run) if kind == "tool.completed"]
    assert sorted(completed) == sorted(call.tool_call_id for call in (first, second, third))


async def test_a_call_that_an_older_process_left_waiting_expires_with_its_run(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Then not.")
    run = await desk.ask()
    await desk.let_pass(call)
    older = update(ToolCallTable).values(waits_since=None, expires_at=None)
    await conn.database.write(lambda c: c.execute(older))
    await conn.executor.expire_approvals()
    assert (await desk.wait(run["id"]))["status"] == "completed"


@pytest.mark.parametrize("given, waits", [({}, 1000.0), ({"expires_in_s": 60}, 60), ({"expires_in_s": None}, None)])
async def test_an_agent_says_of_a_tool_how_long_its_calls_wait(
    conn: DatabaseHandle, given: JsonObject, waits: float | None
) -> None:
    desk = Desk(conn, [tool_call("pay", to="Ada")])
    desk.runner = desk.new_runner(approval_s=1000.0)
    tools = [{"name": "pay", "approval": "always", **given}]
    agent = await AgentStore(conn).create(name="cashier", tools=tools)
    desk.thread_id = (await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER))["id"]
    await desk.ask()
    asked = select(ToolCallTable.expires_at, RunTable.lease_expires_at).join(
        RunTable, RunTable.id == ToolCallTable.run_id
    )
    row = await conn.database.read(lambda c: c.execute(asked).one())
    assert row.expires_at == row.lease_expires_at
    assert (row.expires_at is None) == (waits is None)
    if waits is not None:
        assert waits - 60 < row.expires_at - time.time() < waits + 60
    await conn.executor.expire_approvals()
    [listed] = (await Approvals(conn).list(USER))["data"]
    assert (listed["expires_at"] is None) == (waits is None)


async def test_a_wait_that_begins_while_an_earlier_one_expires_is_left_alone(conn: DatabaseHandle) -> None:
    first, second = tool_call("pay", to="Ada"), tool_call("pay", to="Bob")
    desk = await open_desk(conn, [first], [second], "Paid.")
    run = await desk.ask()
    await desk.let_pass(first, only_run=True)
    [waited_out] = await conn.database.read(runs.list_waited_out)
    await desk.say(run, first, approved=True)
    assert (await desk.wait(run["id"]))["status"] == "waiting"
    await conn.executor.expire_approvals_of(waited_out["id"], waited_out["thread_id"])
    await desk.say(run, second, approved=True)
    assert (await desk.wait(run["id"]))["status"] == "completed"
    assert desk.pay.paid == {"Ada": 1, "Bob": 1}


async def test_a_run_waits_as_long_as_its_limit_says(conn: DatabaseHandle) -> None:
    desk = await open_desk(conn, [tool_call("pay", to="Ada")])
    desk.runner = desk.new_runner(approval_s=1000.0)
    run = await desk.ask()
    row = await conn.database.read(
        lambda c: c.execute(
            select(RunTable.lease_expires_at, RunTable.lease_owner).where(RunTable.id == run["id"])
        ).one()
    )
    assert row.lease_owner is None
    await conn.executor.expire_approvals()
    assert (await desk.runner.wait(desk.thread_id, run["id"])).run["status"] == "waiting"


async def test_a_cancellation_that_comes_as_the_run_begins_to_wait_wins(conn: DatabaseHandle) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    desk = await open_desk(conn, [tool_call("slow"), tool_call("pay", to="Ada")])

    class Slow(Tool):
        """Lets the test come in between."""

        name = "slow"

        async def execute(self) -> str:
            reached.set()
            await go_on.wait()
            return "done"

    tools = ToolRegistry([desk.pay, Slow()])
    wanted = ["slow", {"name": "pay", "approval": "always"}]
    agent = await AgentStore(conn).create(name="slow", tools=wanted)  # type: ignore[arg-type]  # mixed, as the contract has it
    desk.thread_id = (await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER))["id"]
    desk.runner = AgentRunner(conn, provider=desk.provider, tools=tools)
    started = await desk.runner.start(desk.thread_id, USER, "Go.")
    await reached.wait()
    # The flag alone, as another replica would set it.
    await conn.database.write(lambda c: c.execute(update(RunTable).values(cancel_requested=True)))
    go_on.set()
    assert (await desk.wait(started.run["id"]))["status"] == "cancelled"


async def test_an_approval_given_to_a_stopping_process_takes_effect_in_the_next_one(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Paid.")
    run = await desk.ask()
    owner = conn.executor.process_owner
    lease = owner.lease
    owner.refuse_runs()
    assert (await desk.say(run, call, approved=True))["status"] == "running"
    owner.lease = lease
    assert desk.pay.paid.total() == 0
    await conn.executor.take_over_abandoned()
    run = await desk.wait(run["id"])
    assert (run["status"], run["attempt"], desk.pay.paid["Ada"]) == ("completed", 1, 1)


async def test_no_call_is_recorded_as_lost_where_no_process_had_begun(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Then not.")
    run = await desk.ask()
    # Its first owner had died before it waited.
    await conn.database.write(lambda c: c.execute(update(RunTable).values(attempt=2)))
    owner = conn.executor.process_owner
    lease = owner.lease
    owner.refuse_runs()
    await desk.say(run, call, approved=False)
    owner.lease = lease
    await conn.executor.take_over_abandoned()
    run = await desk.wait(run["id"])
    assert (run["status"], run["attempt"]) == ("completed", 2)
    outcomes = await conn.database.read(lambda c: c.execute(select(ModelCallTable.outcome)).scalars().all())
    assert outcomes == ["completed", "completed"]


async def ask_without_a_tool(desk: Desk) -> Run:
    """A run that waits, and whose agent names a tool that is not there."""
    tools = ["gone", {"name": "pay", "approval": "always"}]
    agent = await AgentStore(desk.conn).create(name="cashier", tools=tools)  # type: ignore[arg-type]  # mixed, as the contract has it
    desk.thread_id = (await ThreadStore(desk.conn).create(agent_id=agent["id"], owner_id=USER))["id"]
    return await desk.ask()


async def test_a_waiting_run_has_a_notice_of_missing_tools_and_the_ended_run_has_it_once(conn: DatabaseHandle) -> None:
    first, second = tool_call("pay", to="Ada"), tool_call("pay", to="Bob")
    desk = await open_desk(conn, [first], [second], "Paid.")
    missing = [{"code": "tool_missing", "tool": "gone"}]
    run = await ask_without_a_tool(desk)
    for call in (first, second):
        assert (run["status"], run["notices"]) == ("waiting", missing)
        await desk.say(run, call, approved=True)
        run = await desk.wait(run["id"])
    assert (run["status"], run["notices"]) == ("completed", missing)


async def test_a_run_that_is_cancelled_while_it_waits_keeps_its_notices(conn: DatabaseHandle) -> None:
    desk = await open_desk(conn, [tool_call("pay", to="Ada")])
    run = await ask_without_a_tool(desk)
    cancelled = await desk.runner.cancel(desk.thread_id, run["id"])
    assert (cancelled["status"], cancelled["notices"]) == ("cancelled", [{"code": "tool_missing", "tool": "gone"}])


@pytest.mark.parametrize("again", [False, True])
async def test_notices_from_before_a_wait_are_in_the_ended_run(conn: DatabaseHandle, again: bool) -> None:
    too_long = ContextExceeded("too long", provider="scripted")
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, "One.", "Two.", "Three.", too_long, [call], *([too_long] if again else []), "Paid.")
    for _ in range(3):
        await desk.ask()
    run = await desk.ask()
    [told] = run["notices"]
    assert told["code"] == "context_left_out"
    assert (told["reason"], told["messages"]) == ("provider", 4)
    await desk.say(run, call, approved=True)
    run = await desk.wait(run["id"])
    assert run["status"] == "completed"
    # Of recurring notices only the last one is kept.
    assert [notice["messages"] for notice in run["notices"] if notice["code"] == "context_left_out"] == [
        6 if again else 4
    ]


async def test_the_usage_of_a_run_that_waited_sums_all_its_calls(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Paid.")
    run = await desk.ask()
    await desk.say(run, call, approved=True)
    run = await desk.wait(run["id"])
    assert (present(run["usage"])["input_tokens"], present(run["usage"])["output_tokens"]) == (20, 10)
