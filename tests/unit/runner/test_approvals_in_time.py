"""Calls that wait for an approval for a time: they expire, are cancelled, and outlive their process."""

import asyncio
import time

import pytest
from sqlalchemy import select, update

from ai_agents import AgentRunner, AgentStore, Approvals, DatabaseHandle, ThreadStore, ToolRegistry
from ai_agents.core.exceptions import Conflict
from ai_agents.core.types import JsonObject
from ai_agents.store import runs
from ai_agents.store.models import RunTable, ToolCallTable
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.testing import tool_call
from ai_agents.tools.base import Tool
from tests.unit.runner.conftest import USER
from tests.unit.runner.desk import Desk, open_desk


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
