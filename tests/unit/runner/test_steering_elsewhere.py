"""Messages that join a run while it waits for a person, loses its process, or does not hear of its commits."""

import asyncio
from typing import Any

import pytest

from ai_agents import DatabaseHandle, ToolRegistry
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store import keys
from ai_agents.testing import tool_call
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk
from tests.unit.runner.desk import open_desk
from tests.unit.runner.steering import Slow, ended, said, steer, until_read, until_text, until_waiting
from tests.unit.runner.test_runner import history, log_types
from tests.unit.runner.test_takeover import Counter, StartProcess, start, until

__all__ = ["start"]  # a fixture


async def test_a_run_that_waits_for_a_person_goes_on_waiting_and_takes_them_afterwards(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="bob")
    desk = await open_desk(conn, [call], "Both done.")
    run = await desk.ask()
    sent = [
        await desk.runner.start(desk.thread_id, USER, text, on_busy="steer", idempotency_key=text)
        for text in ("2", "3")
    ]
    answer = await desk.runner.wait_for_answer(sent[0])
    assert (answer.run["id"], answer.run["status"], answer.message) == (run["id"], "waiting", None)
    await desk.say(run, call, approved=True)
    assert (await desk.wait(run["id"]))["status"] == "completed"
    messages = await desk.messages()
    assert [(each["role"], each["content"][:4]) for each in messages] == [
        ("user", "Pay "),
        ("assistant", ""),
        ("tool", "paid"),
        ("user", "2"),
        ("user", "3"),
        ("assistant", "Both"),
    ]
    again = await desk.runner.start(desk.thread_id, USER, "2", on_busy="steer", idempotency_key="2")
    assert present((await desk.runner.wait_for_answer(again)).message)["content"] == "Both done."


@pytest.mark.parametrize("how", ["cancel", "interrupt"])
async def test_a_waiting_run_that_is_ended_leaves_them_unanswered(conn: DatabaseHandle, how: str) -> None:
    call = tool_call("pay", to="bob")
    desk = await open_desk(conn, [call], "Later.")
    run = await desk.ask()
    await desk.runner.start(desk.thread_id, USER, "2", on_busy="steer")
    if how == "cancel":
        await desk.runner.cancel(desk.thread_id, run["id"])
    else:
        await desk.ask("3", on_busy="interrupt")
    messages = await desk.messages()
    rest = [] if how == "cancel" else ["3", "Later."]
    assert [each["content"] for each in messages if each["role"] != "tool"] == ["Pay them.", "", "2", *rest]
    assert [event for event, _ in await desk.events(run)][-2:] == ["message.completed", "run.cancelled"]


async def test_a_sender_whose_key_was_deleted_while_the_run_waited_does_not_end_it(conn: DatabaseHandle) -> None:
    call = tool_call("pay", to="bob")
    desk = await open_desk(conn, [call], "Paid.")
    run = await desk.ask()
    key = await keys.KeyStore(conn).create(USER, name="k")
    await desk.runner.start(desk.thread_id, USER, "2", on_busy="steer", key_id=key["id"])
    await keys.KeyStore(conn).delete(key["id"])
    # A refused call leaves no call to be made, and the run takes them first of all.
    await desk.say(run, call, approved=False)
    assert (await desk.wait(run["id"]))["status"] == "completed"
    assert [each.get("refused", False) for each in await desk.messages()] == [False, False, False, True, False]


@pytest.mark.parametrize("died", ["asked", "tools"])
async def test_a_process_that_takes_a_run_over_takes_them_too(start: StartProcess, died: str) -> None:
    tool = Counter(retry_safe=True)
    tools = ToolRegistry([tool])
    first: Any = ["Half an", asyncio.Event()] if died == "asked" else [tool_call("count")]
    one, two = start(first, tools=tools), start("All done.", tools=tools)
    thread_id = await one.thread(tools)
    run = (await one.runner.start(thread_id, USER, "1")).run

    async def reached() -> bool:
        return bool(tool.runs if died == "tools" else one.provider.requests)

    await until(reached)
    # Of the other process, which takes the run over a moment later.
    sent = [await two.runner.start(thread_id, USER, text, on_busy="steer") for text in ("2", "3")]
    await one.die()
    tool.go_on.set()
    assert (await two.ended(thread_id, run["id"]))["status"] == "completed"
    answers = [(await two.runner.wait_for_answer(each)).message for each in sent]
    assert [present(answer)["content"] for answer in answers] == ["All done."] * 2
    messages = await two.history(thread_id)
    calls = [] if died == "asked" else ["assistant", "tool"]
    assert [each["role"] for each in messages] == ["user", *calls, "user", "user", "assistant"]
    assert [each["content"] for each in messages if each["role"] == "user"] == ["1", "2", "3"]


async def test_stopping_after_an_answer_hands_the_run_over(start: StartProcess) -> None:
    gate = asyncio.Event()
    one, two = start(["One", gate, "."], ["Tw", asyncio.Event()]), start("Two.")
    thread_id = await one.thread()
    run = (await one.runner.start(thread_id, USER, "1")).run
    await until_read(one.runner, thread_id, run["id"], "One")
    await one.runner.start(thread_id, USER, "2", on_busy="steer")
    gate.set()
    await until_read(one.runner, thread_id, run["id"], "Tw")
    await two.runner.open()
    await one.conn.close(grace_s=0)
    assert (await two.ended(thread_id, run["id"]))["status"] == "completed"
    assert [each["content"] for each in await two.history(thread_id)] == ["1", "One.", "2", "Two."]


async def test_a_commit_of_which_the_run_does_not_hear_is_not_made_twice(
    make_talk: MakeTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = 0
    for number in range(1, 20):
        tool, gate = Slow(), asyncio.Event()
        answers: list[Any] = [[tool_call("slow")], ["On", gate, "e."], "Two."]
        talk = await make_talk(*answers, tools=ToolRegistry([tool]))
        first = await talk.runner.start(talk.thread_id, USER, "1")
        await tool.begun.wait()
        sent = [await steer(talk, "2")]
        write, writes = talk.conn.database.write, 0

        async def commit_and_fail(*arguments: Any, write: Any = write, number: int = number, **options: Any) -> Any:
            nonlocal writes, lost
            writes += 1
            found = await write(*arguments, **options)
            if writes == number:
                lost += 1
                raise DatabaseUnavailable
            return found

        with monkeypatch.context() as patch:
            tool.may_end.set()
            patch.setattr(talk.conn.database, "write", commit_and_fail)
            await until_text(talk, first.run["id"], "On")
            patch.setattr(talk.conn.database, "write", write)
            sent.append(await steer(talk, "3"))
            patch.setattr(talk.conn.database, "write", commit_and_fail)
            gate.set()
            assert (await ended(talk, first.run["id"]))["status"] == "completed"
        contents = [text for _, text in await said(talk)]
        assert contents == ["1", "", "done", "2", "One.", "3", "Two."], number
        await until_waiting(talk, first.run["id"], 0)
        assert [each["seq"] for each in await history(talk)] == sorted({each["seq"] for each in await history(talk)})
        await log_types(talk.conn, talk.thread_id)
        if lost < number:
            break
    assert lost >= 4
