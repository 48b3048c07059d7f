"""A committed run is executed by this process even if its caller leaves; otherwise it is taken over."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select, update

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, RunStore, ThreadStore
from ai_agents.core.exceptions import Conflict, DatabaseUnavailable, InvalidRequest
from ai_agents.core.rows import Run
from ai_agents.runner.outcomes import Started
from ai_agents.runner.process.periodic import Timing
from ai_agents.store.models import RunTable
from ai_agents.testing import ScriptedProvider, tool_call
from tests.unit.runner.conftest import USER, MakeTalk, Talk
from tests.unit.runner.desk import Desk, open_desk

# Less than a lease: what ends in this time was not taken over.
SOON_S = 5
# How often the event loop goes round before the caller goes away.
ROUNDS = (0, 1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 30, 50, 80, 130)

Call = Callable[[], Coroutine[Any, Any, Any]]


async def go_away(conn: DatabaseHandle, call: Call, after_rounds: int) -> None:
    """Call, and be cancelled after so many rounds of the event loop; what was begun then is done at the end."""
    caller = asyncio.create_task(call())
    for _ in range(after_rounds):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await conn.executor.commits.wait()


async def go_away_after_the_commit(conn: DatabaseHandle, call: Call) -> None:
    """Call, and be cancelled when the first write is committed, before its result is there."""
    original, committed = conn.database.write, asyncio.Event()

    async def write(*arguments: Any, **options: Any) -> Any:
        conn.database.write = original  # type: ignore[method-assign]  # once
        result = await original(*arguments, **options)
        committed.set()
        await asyncio.sleep(0)
        return result

    conn.database.write = write  # type: ignore[method-assign]  # the test comes in between
    caller = asyncio.create_task(call())
    await committed.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def lose_the_answer(conn: DatabaseHandle, call: Call) -> None:
    """Call, and let the answer to the first commit be lost."""
    original = conn.database.write

    async def write(*arguments: Any, **options: Any) -> Any:
        conn.database.write = original  # type: ignore[method-assign]  # once
        await original(*arguments, **options)
        raise DatabaseUnavailable

    conn.database.write = write  # type: ignore[method-assign]  # a commit whose answer is lost
    with pytest.raises(DatabaseUnavailable):
        await call()


async def all_ended(talk: Talk | Desk, *, within_s: float) -> list[Run]:
    """The thread's runs, once all of them have ended."""
    async with asyncio.timeout(within_s):
        while True:
            found = (await RunStore(talk.conn).list(talk.thread_id, limit=100))["data"]
            if all(run["finished_at"] for run in found):
                return found
            await asyncio.sleep(0.01)


async def another_run(conn: DatabaseHandle) -> Run:
    """A run that goes on for as long as the process does."""
    runner = AgentRunner(conn, provider=ScriptedProvider(["On and", asyncio.Event()]))
    agent = await AgentStore(conn).create(name="busy")
    thread = await ThreadStore(conn).create(agent_id=agent["id"], owner_id=USER)
    return (await runner.start(thread["id"], USER, "Go on.")).run


# Leases of a fraction of a second, so that a takeover does not take ten.
hasty = pytest.mark.parametrize("timing", [Timing(lease_s=0.4, renew_every_s=0.1, sweep_every_s=0.1)], ids=["hasty"])


async def test_an_admitted_message_is_answered_whenever_its_sender_leaves(make_talk: MakeTalk) -> None:
    talk = await make_talk(*("Hello." for _ in ROUNDS))

    def send() -> Coroutine[Any, Any, Started]:
        return talk.runner.start(talk.thread_id, USER, "Hello!", on_busy="queue")

    for rounds in ROUNDS:
        await go_away(talk.conn, send, rounds)
    ended = await all_ended(talk, within_s=SOON_S)
    assert len(ended) > len(ROUNDS) / 2
    assert {(run["status"], run["attempt"]) for run in ended} == {("completed", 1)}


async def test_a_message_is_answered_if_its_sender_leaves_during_the_commit(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello.")
    await talk.runner.open()
    await go_away_after_the_commit(talk.conn, lambda: talk.runner.start(talk.thread_id, USER, "Hello!", follow=True))
    [run] = await all_ended(talk, within_s=SOON_S)
    assert (run["status"], run["attempt"]) == ("completed", 1)


async def test_an_approved_run_goes_on_whenever_the_approver_leaves(conn: DatabaseHandle) -> None:
    calls = [tool_call("pay", to=str(rounds)) for rounds in ROUNDS]
    desk = await open_desk(conn, *(answer for call in calls for answer in ([call], "Paid.")))
    for rounds, call in zip(ROUNDS, calls, strict=True):
        run = await desk.ask()

        def say(run: Run = run, call: Any = call) -> Coroutine[Any, Any, Run]:
            return desk.say(run, call, approved=True)

        await go_away(conn, say, rounds)
        async with asyncio.timeout(SOON_S):
            run = (await desk.runner.wait(desk.thread_id, run["id"])).run
            if run["status"] == "waiting":
                with suppress(Conflict):
                    await say()
                run = (await desk.runner.wait(desk.thread_id, run["id"])).run
        assert (run["status"], run["attempt"]) == ("completed", 1)
    assert desk.pay.paid == {str(rounds): 1 for rounds in ROUNDS}


async def test_an_approved_run_goes_on_if_the_approver_leaves_during_the_commit(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Paid.")
    run = await desk.ask()
    await go_away_after_the_commit(conn, lambda: desk.say(run, call, approved=True))
    [run] = await all_ended(desk, within_s=SOON_S)
    assert (run["status"], run["attempt"], desk.pay.paid["Ada"]) == ("completed", 1, 1)


async def test_the_queue_goes_on_if_the_caller_of_cancel_leaves_during_the_commit(conn: DatabaseHandle) -> None:
    desk = await open_desk(conn, [tool_call("pay", to="Ada")], "Next.")
    run = await desk.ask()
    await desk.runner.start(desk.thread_id, USER, "Later.", on_busy="queue")
    await go_away_after_the_commit(conn, lambda: desk.runner.cancel(desk.thread_id, run["id"]))
    ended = await all_ended(desk, within_s=SOON_S)
    assert [each["status"] for each in ended] == ["completed", "cancelled"]


@hasty
async def test_a_message_whose_commit_was_not_acknowledged_is_answered(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello.")
    other = await another_run(talk.conn)
    await lose_the_answer(talk.conn, lambda: talk.runner.start(talk.thread_id, USER, "Hello!"))
    [run] = await all_ended(talk, within_s=10)
    assert run["status"] == "completed"
    assert talk.conn.executor.find_ended(other["id"]) is not None


@hasty
async def test_an_approval_whose_commit_was_not_acknowledged_counts(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call], "Paid.")
    other = await another_run(conn)
    run = await desk.ask()
    await lose_the_answer(conn, lambda: desk.say(run, call, approved=True))
    [run] = await all_ended(desk, within_s=10)
    assert (run["status"], desk.pay.paid["Ada"]) == ("completed", 1)
    assert conn.executor.find_ended(other["id"]) is not None


@hasty
async def test_a_run_whose_commit_was_not_acknowledged_can_be_cancelled(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="Ada")
    desk = await open_desk(conn, [call])
    await another_run(conn)
    run = await desk.ask()
    await lose_the_answer(conn, lambda: desk.say(run, call, approved=True))
    async with asyncio.timeout(60):
        assert (await desk.runner.cancel(desk.thread_id, run["id"]))["status"] == "cancelled"
    assert desk.pay.paid.total() == 0


async def test_a_run_that_the_sweep_takes_over_before_its_commit_returns_is_executed_once(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Hello", asyncio.Event()], "never asked")
    await talk.runner.open()
    executor, original = talk.conn.executor, talk.conn.database.write

    async def write(*arguments: Any, **options: Any) -> Any:
        talk.conn.database.write = original  # type: ignore[method-assign]  # once
        result = await original(*arguments, **options)
        await original(lambda c: c.execute(update(RunTable).values(lease_expires_at=0.0)))
        await executor.take_over_abandoned()
        return result

    talk.conn.database.write = write  # type: ignore[method-assign]  # the answer takes longer than a lease
    run = (await talk.runner.start(talk.thread_id, USER, "Hello!")).run
    assert executor.running == 1
    await executor.renew_leases()
    async with asyncio.timeout(SOON_S):
        cancelled = await talk.runner.cancel(talk.thread_id, run["id"])
    assert (cancelled["status"], cancelled["attempt"]) == ("cancelled", 2)
    assert len(talk.provider.requests) <= 1


async def test_a_run_that_is_committed_while_the_process_stops_is_handed_over(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Half", asyncio.Event()])
    await talk.runner.open()
    original, committed, go_on = talk.conn.database.write, asyncio.Event(), asyncio.Event()

    async def write(*arguments: Any, **options: Any) -> Any:
        talk.conn.database.write = original  # type: ignore[method-assign]  # once
        result = await original(*arguments, **options)
        committed.set()
        await go_on.wait()
        return result

    talk.conn.database.write = write  # type: ignore[method-assign]  # the process stops in between
    sender = asyncio.create_task(talk.runner.start(talk.thread_id, USER, "Hello!"))
    await committed.wait()
    closing = asyncio.create_task(talk.runner.drain(0))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(sender, closing)
    assert talk.conn.executor.running == 0
    expires_at = await talk.conn.database.read(lambda c: c.execute(select(RunTable.lease_expires_at)).scalar_one())
    assert expires_at == 0.0


async def test_opening_can_be_repeated_after_the_database_was_away(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello.")
    original = talk.conn.database.read

    async def read(*_: Any, **__: Any) -> Any:
        talk.conn.database.read = original  # type: ignore[method-assign]  # once
        raise DatabaseUnavailable

    talk.conn.database.read = read  # type: ignore[method-assign]  # the database is away
    with pytest.raises(DatabaseUnavailable):
        await talk.runner.open()
    assert (await talk.runner.run(talk.thread_id, USER, "Hello!"))["content"] == "Hello."


async def test_a_run_cannot_begin_within_another_transaction(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello.")
    async with talk.conn.transaction():
        with pytest.raises(InvalidRequest, match="transaction of its own"):
            await talk.runner.run(talk.thread_id, USER, "Hello!")
    assert (await talk.runner.run(talk.thread_id, USER, "Hello!"))["content"] == "Hello."
