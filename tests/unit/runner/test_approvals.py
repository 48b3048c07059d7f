"""Runs that wait for approvals: they have no owner meanwhile, and each call is made or refused as decided."""

import asyncio
from collections import Counter

import pytest

from ai_agents import AgentStore, DatabaseHandle, ThreadStore
from ai_agents.core.exceptions import Conflict, ContextExceeded, GuardrailBlocked, ThreadBusy, ToolCallNotFound
from ai_agents.core.ids import utc_now
from ai_agents.core.rows import Run
from ai_agents.core.types import ToolCallPart
from ai_agents.testing import tool_call
from tests.present import present
from tests.unit.runner.conftest import USER
from tests.unit.runner.desk import Desk, open_desk


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
