"""What bounds and judges messages that join a run: numbers, rights, rounds, guardrails, versions, tools."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.engine import Engine

from ai_agents import AgentStore, DatabaseHandle, MessageStore, RunLimits, ThreadStore, ToolRegistry
from ai_agents.core.exceptions import MessageNotFound, QueueFull, RunNotFound, ThreadBusy, ToolLoopLimit
from ai_agents.core.types import TextPart, ToolDefinition
from ai_agents.runner.client_calls import GivenResult
from ai_agents.runner.message_placing import MAX_QUEUED
from ai_agents.store import keys
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.store.roles import RoleStore
from ai_agents.testing import tool_call
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk
from tests.unit.runner.steering import Slow, ended, said, steer, until_text
from tests.unit.runner.test_runner import history, log_types, until_asked


async def test_no_more_than_a_hundred_wait_queued_or_to_join(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    talk = await make_talk(["One", gate, "."], "All.", *["Next."] * 3)
    first = await talk.runner.start(talk.thread_id, USER, "1")
    for number in range(3):
        await talk.runner.start(talk.thread_id, USER, f"q{number}", on_busy="queue")
    for number in range(MAX_QUEUED - 3):
        await steer(talk, str(number))
    for on_busy in ("steer", "queue"):
        with pytest.raises(QueueFull):
            await talk.runner.start(talk.thread_id, USER, "x", on_busy=on_busy)
    with pytest.raises(ThreadBusy):
        await talk.runner.start(talk.thread_id, USER, "x")
    gate.set()
    await ended(talk, first.run["id"])
    asked = [message["content"] for message in await history(talk) if message["role"] == "user"]
    assert asked[: MAX_QUEUED - 2] == ["1", *map(str, range(MAX_QUEUED - 3))]


async def test_after_it_joined_tools_work_for_its_author_and_its_author_is_counted(make_talk: MakeTalk) -> None:
    tool = Slow()
    talk = await make_talk([tool_call("slow")], [tool_call("slow")], "Done.", tools=ToolRegistry([tool]))
    await RoleStore(talk.conn).assign("bob", "editor", "thread", talk.thread_id)
    first = await talk.runner.start(talk.thread_id, USER, "1")
    await tool.begun.wait()
    await steer(talk, "2", user_id="bob")
    tool.may_end.set()
    run = await ended(talk, first.run["id"])
    assert tool.users == [USER, "bob"]
    assert run["user_id"] == USER
    statement = select(ModelCallTable.user_id).order_by(ModelCallTable.created_at)
    counted = await talk.conn.database.read(lambda c: list(c.execute(statement).scalars()))
    assert counted == [USER, "bob", "bob"]


@pytest.mark.parametrize("boundary, lost", [("tools", "role"), ("end", "key")])
async def test_a_right_that_was_lost_before_the_boundary_keeps_a_message_from_the_model(
    make_talk: MakeTalk, boundary: str, lost: str
) -> None:
    tool = Slow()
    answers: list[Any] = [[tool_call("slow")]] if boundary == "tools" else []
    gate = asyncio.Event()
    talk = await make_talk(*answers, ["Do", gate, "ne."], "Again.", tools=ToolRegistry([tool]))
    role = await RoleStore(talk.conn).assign("bob", "editor", "thread", talk.thread_id)
    key = await keys.KeyStore(talk.conn).create("bob", name="k")
    first = await talk.runner.start(talk.thread_id, USER, "1")
    if boundary == "tools":
        await tool.begun.wait()
    else:
        await until_text(talk, first.run["id"], "Do")
    sent = await steer(talk, "2", user_id="bob", key_id=key["id"])
    if lost == "role":
        await RoleStore(talk.conn).remove(role["id"])
    else:
        await keys.KeyStore(talk.conn).delete(key["id"])
    tool.may_end.set()
    gate.set()
    run = await ended(talk, first.run["id"])
    assert run["status"] == "completed"
    assert (await MessageStore(talk.conn).get(talk.thread_id, present(sent.message_id)))["refused"]
    await talk.runner.run(talk.thread_id, USER, "3")
    texts = [
        part.text
        for request in talk.provider.requests
        for message in request.messages
        for part in message.parts
        if isinstance(part, TextPart)
    ]
    assert "2" not in texts
    assert "2" in [message["content"] for message in await history(talk)]


async def test_rounds_and_repeated_calls_count_from_the_newest_message(make_talk: MakeTalk) -> None:
    tool = Slow()
    tool.may_end.set()
    gate = asyncio.Event()
    call = [[tool_call("slow")]] * 2
    talk = await make_talk(
        *call,
        ["Well", gate, "."],
        *call,
        "Done.",
        *call,
        tool_call("slow"),
        tools=ToolRegistry([tool]),
        settings={"tool_rounds": 2},
    )
    first = await talk.runner.start(talk.thread_id, USER, "1")
    await until_text(talk, first.run["id"], "Well")
    await steer(talk, "2")
    gate.set()
    assert (await ended(talk, first.run["id"]))["status"] == "completed"
    assert len(tool.users) == 4
    talk.provider.answers = [[tool_call("slow")]] * 3
    with pytest.raises(ToolLoopLimit):
        await talk.runner.run(talk.thread_id, USER, "3")


async def test_an_input_guardrail_judges_what_joins_and_the_runs_own_version_counts(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    rule = {"type": "blocklist", "patterns": ["secret"], "stage": "input", "action": "redact"}
    talk = await make_talk(["One", gate, "."], "Two.", guardrails=[rule])
    first = await talk.runner.start(talk.thread_id, USER, "1")
    await until_asked(talk)
    agents = AgentStore(talk.conn)
    await agents.update(present(first.run["agent_id"]), {"guardrails": []})
    await steer(talk, "my secret")
    gate.set()
    await ended(talk, first.run["id"])
    assert "secret" not in str(await said(talk))
    assert "guardrail.triggered" in await log_types(talk.conn, talk.thread_id)


async def test_a_run_that_has_not_begun_is_followed_rather_than_joined(
    make_talk: MakeTalk, conn: DatabaseHandle
) -> None:
    gate = asyncio.Event()
    conn.executor.slots.limit = 1
    talk = await make_talk(["Busy", gate, "."], "One.", "Two.")
    other = await make_talk(scripted=talk.provider)
    await talk.runner.start(other.thread_id, USER, "0")
    held = await talk.runner.start(talk.thread_id, USER, "1")
    after = await steer(talk, "2")
    assert [each.run["status"] for each in (held, after)] == ["queued", "queued"]
    assert after.run["id"] != held.run["id"]
    gate.set()
    for each in (held, after):
        await ended(talk, each.run["id"])
    assert await said(talk) == [("user", "1"), ("assistant", "One."), ("user", "2"), ("assistant", "Two.")]


async def test_tools_of_the_client_come_with_the_message_that_joins(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    talk = await make_talk(["One", gate, "."], [tool_call("look_around")], "A tree.")
    first = await talk.runner.start(talk.thread_id, USER, "1")
    await until_text(talk, first.run["id"], "One")
    tool = ToolDefinition("look_around", "Looks.", {"type": "object", "properties": {}})
    sent = await steer(talk, "2", client_tools=[tool])
    gate.set()
    answer = await talk.runner.wait_for_answer(sent)
    assert [call.name for call in answer.client_calls] == ["look_around"]
    result: GivenResult = {
        "tool_call_id": answer.client_calls[0].tool_call_id,
        "result": "a tree",
        "is_error": False,
    }
    await talk.runner.give_results(talk.thread_id, first.run["id"], USER, [result])
    assert (await ended(talk, first.run["id"]))["status"] == "completed"
    offered = [[each.name for each in request.tools] for request in talk.provider.requests]
    assert offered == [[], ["look_around"], ["look_around"]]
    assert [role for role, _ in await said(talk)] == ["user", "assistant", "user", "assistant", "tool", "assistant"]


async def test_a_turn_makes_no_statement_for_messages_that_could_join_it(make_talk: MakeTalk) -> None:
    talk = await make_talk(*["Hello."] * 3, [tool_call("calculator", expression="1")], "One.", tools=ToolRegistry())
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    for _ in range(2):
        await talk.runner.run(talk.thread_id, USER, "Hi")
    counts = []
    event.listen(Engine, "before_cursor_execute", note)
    try:
        for _ in range(2):
            statements.clear()
            await talk.runner.run(talk.thread_id, USER, "Hi")
            counts.append(len(statements))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert counts == [12, 23], statements


async def test_a_limit_of_calls_without_progress_counts_for_each_answer(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    talk = await make_talk(["One", gate, "."], [asyncio.Event()], limits=RunLimits(run_time_s=0.3))
    first = await talk.runner.start(talk.thread_id, USER, "1")
    await until_text(talk, first.run["id"], "One")
    sent = await steer(talk, "2")
    gate.set()
    run = await ended(talk, first.run["id"])
    assert (run["status"], present(run["error"])["code"]) == ("failed", "provider_timeout")
    assert present((await talk.runner.wait_for_answer(first)).message)["content"] == "One."
    assert present((await talk.runner.wait_for_answer(sent)).failure)["code"] == "provider_timeout"
    assert await said(talk) == [("user", "1"), ("assistant", "One."), ("user", "2")]


async def test_deleting_the_thread_takes_what_waits_with_it(make_talk: MakeTalk) -> None:
    talk = await make_talk(["One", asyncio.Event()])
    first = await talk.runner.start(talk.thread_id, USER, "1")
    await until_text(talk, first.run["id"], "One")
    sent = await steer(talk, "2")
    waiting = asyncio.create_task(talk.runner.wait_for_answer(sent))
    await ThreadStore(talk.conn).delete(talk.thread_id)
    with pytest.raises(RunNotFound):
        await waiting
    with pytest.raises(MessageNotFound):
        await MessageStore(talk.conn).get(talk.thread_id, present(sent.message_id))
