"""Messages that join a run that is under way: in each state of a turn they are stored once, in order, and answered."""

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest

from ai_agents import MessageStore, RunStore, ToolRegistry
from ai_agents.core.exceptions import ProviderRejected, RunCancelled
from ai_agents.core.types import TextPart
from ai_agents.runner.outcomes import Started
from ai_agents.runner.recorder import TurnRecorder
from ai_agents.testing import tool_call
from tests.faults.support.stream import Told
from tests.present import present
from tests.support.examples import FUZZ
from tests.unit.runner.conftest import USER, MakeTalk, Talk
from tests.unit.runner.steering import LIMIT_S, Slow, ended, read, refusal, said, steer, until_text, until_waiting
from tests.unit.runner.test_runner import history, log_types, until_asked
from tests.wire.requests import check_sent

STATES = ("asked", "between deltas", "tools run", "last call", "after the last call")


async def all_messages(talk: Talk, ids: list[str]) -> list[Any]:
    return [await MessageStore(talk.conn).get(talk.thread_id, message_id) for message_id in ids]


@pytest.fixture
def at_the_end(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """What is done in the moment between a run's last model call and the transaction that would end it; once."""
    done: list[Any] = []
    end = TurnRecorder.end

    async def end_later(recorder: TurnRecorder, ending: Any) -> Any:
        if done:
            await done.pop()()
        return await end(recorder, ending)

    monkeypatch.setattr(TurnRecorder, "end", end_later)
    return done.append  # type: ignore[return-value]  # a fixture of a function


async def test_messages_join_a_run_in_any_state_each_once_and_in_order(make_talk: MakeTalk, at_the_end: Any) -> None:
    sample = zip(STATES, (1, 2, 10, 1, 2), strict=True)
    for state, times in product(STATES, (1, 2, 10)) if FUZZ else sample:
        await steer_in_state(make_talk, at_the_end, state, times)


async def steer_in_state(make_talk: MakeTalk, at_the_end: Any, state: str, times: int) -> None:
    """So many messages at once join a run in this state."""
    gates = {name: asyncio.Event() for name in ("asked", "between deltas", "last call")}
    tool = Slow()
    talk = await make_talk(
        [gates["asked"], "Let me ", gates["between deltas"], "see. ", tool_call("slow"), tool_call("slow")],
        ["That ", gates["last call"], "is it."],
        "And that.",
        tools=ToolRegistry([tool]),
    )
    sent: list[Started] = []

    async def send() -> None:
        texts = [f"more {number}" for number in range(times)]
        sent.extend(await asyncio.gather(*(steer(talk, text) for text in texts)))

    first = await talk.runner.start(talk.thread_id, USER, "go")
    run_id = first.run["id"]
    reading = asyncio.create_task(read(talk, run_id))
    if state == "after the last call":
        at_the_end(send)
    for reached in STATES:
        async with asyncio.timeout(LIMIT_S):
            match reached:
                case "asked":
                    await until_asked(talk)
                case "between deltas":
                    await until_text(talk, run_id, "Let me ")
                case "tools run":
                    await tool.begun.wait()
                case "last call":
                    await until_text(talk, run_id, "That ")
        if reached == state != "after the last call":
            await send()
            waiting = await all_messages(talk, [present(each.message_id) for each in sent])
            assert {(each["status"], each["seq"], each["run_id"]) for each in waiting} == {("queued", None, run_id)}
            assert {each.run["id"] for each in sent} == {run_id}
        (tool.may_end if reached == "tools run" else gates.get(reached, asyncio.Event())).set()
    told = await reading
    run = await ended(talk, run_id)
    assert run["status"] == "completed"
    joined = await all_messages(talk, [present(each.message_id) for each in sent])
    assert sorted(each["content"] for each in joined) == sorted(f"more {number}" for number in range(times))
    in_order = [each["content"] for each in sorted(joined, key=lambda each: each["seq"])]
    early = STATES.index(state) <= 2
    said_more = [("user", text) for text in in_order]
    calls = [("user", "go"), ("assistant", "Let me see. "), ("tool", "done"), ("tool", "done")]
    answers = [("assistant", "That is it.")]
    expected = [*calls, *said_more, *answers] if early else [*calls, *answers, *said_more, ("assistant", "And that.")]
    assert await said(talk) == expected
    assert [each["seq"] for each in await history(talk)] == sorted(told_seqs(told))
    assert (await RunStore(talk.conn).list(talk.thread_id))["data"] == [run], "no other run answers"
    await log_types(talk.conn, talk.thread_id)
    last = talk.provider.requests[-1]
    assert [
        part.text for message in last.messages[-times:] for part in message.parts if isinstance(part, TextPart)
    ] == in_order
    for wire in ("anthropic", "openai", "ollama"):
        for request in talk.provider.requests:
            check_sent(wire, request)


def told_seqs(told: Told) -> list[int]:
    """The numbers of the rows that tell of messages."""
    kinds = ("run.started", "message.completed", "tool.completed")
    return [event.seq for event in told.rows if event.type in kinds]


async def test_each_waits_for_the_first_answer_after_its_own_message(make_talk: MakeTalk) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    talk = await make_talk(["One", gates[0], "."], ["Two", gates[1], "."], "Three.")
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        first = group.create_task(talk.runner.run(talk.thread_id, USER, "1", idempotency_key="first"))
        await until_asked(talk)
        second = group.create_task(
            talk.runner.run(talk.thread_id, USER, "2", on_busy="steer", idempotency_key="second")
        )
        run_id = (await RunStore(talk.conn).list(talk.thread_id))["data"][0]["id"]
        await until_waiting(talk, run_id, 1)
        gates[0].set()
        assert (await first)["content"] == "One."
        await until_text(talk, run_id, "Two")
        third = group.create_task(talk.runner.run(talk.thread_id, USER, "3", on_busy="steer"))
        await until_waiting(talk, run_id, 1)
        assert not second.done()
        gates[1].set()
    assert [task.result()["content"] for task in (second, third)] == ["Two.", "Three."]
    again = [
        await talk.runner.run(talk.thread_id, USER, str(n), idempotency_key=key)
        for n, key in ((1, "first"), (2, "second"))
    ]
    assert [message["content"] for message in again] == ["One.", "Two."]
    run = await ended(talk, run_id)
    # Keys of before there was this say no message: theirs is the one with which the run began.
    old = await talk.runner.wait_for_answer(Started(run, None, replayed=True))
    assert present(old.message)["content"] == "One."
    assert present(run["usage"])["input_tokens"] == 30
    assert [message["run_id"] for message in await history(talk)] == [run_id] * 6


async def test_with_nothing_running_it_is_a_message_like_any_other(make_talk: MakeTalk, at_the_end: Any) -> None:
    talk = await make_talk("One.", "Two.")
    first = await steer(talk, "1")
    await ended(talk, first.run["id"])
    second = await steer(talk, "2")
    await ended(talk, second.run["id"])
    assert second.run["id"] != first.run["id"]
    assert await said(talk) == [("user", "1"), ("assistant", "One."), ("user", "2"), ("assistant", "Two.")]


async def test_twenty_equal_requests_with_one_key_join_once(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    talk = await make_talk(["One", gate, "."], "Two.")
    first = await talk.runner.start(talk.thread_id, USER, "1")
    sent = await asyncio.gather(*(steer(talk, "2", idempotency_key="k") for _ in range(20)))
    assert {(each.run["id"], each.message_id) for each in sent} == {(first.run["id"], sent[0].message_id)}
    assert sum(not each.replayed for each in sent) == 1
    gate.set()
    answers = await asyncio.gather(*(talk.runner.wait_for_answer(each) for each in sent))
    assert {present(answer.message)["content"] for answer in answers} == {"Two."}
    assert await said(talk) == [("user", "1"), ("assistant", "One."), ("user", "2"), ("assistant", "Two.")]


@pytest.mark.parametrize("how", ["cancelled", "failed", "refused"])
async def test_a_run_that_ends_before_leaves_them_unanswered_in_the_history(make_talk: MakeTalk, how: str) -> None:
    gate = asyncio.Event()
    rest = {"cancelled": " never", "failed": ProviderRejected("No.")}.get(how, refusal())
    talk = await make_talk(["So far", gate, rest], "Here.")
    first = await talk.runner.start(talk.thread_id, USER, "1")
    run_id = first.run["id"]
    reading = asyncio.create_task(read(talk, run_id))
    await until_text(talk, run_id, "So far")
    sent = [await steer(talk, text) for text in ("2", "3")]
    queued = await talk.runner.start(talk.thread_id, USER, "4", on_busy="queue")
    if how == "cancelled":
        await talk.runner.cancel(talk.thread_id, run_id)
    gate.set()
    run = await ended(talk, run_id)
    await ended(talk, queued.run["id"])
    status = "cancelled" if how == "cancelled" else "failed"
    assert run["status"] == status
    cut = [("assistant", "So far")] if how == "cancelled" else []
    asked = [("user", text) for text in "123"]
    assert await said(talk) == [asked[0], *cut, *asked[1:], ("user", "4"), ("assistant", "Here.")]
    told = await reading
    assert told.types()[-3:] == ["message.completed", "message.completed", f"run.{status}"]
    for each in sent:
        with pytest.raises(RunCancelled if how == "cancelled" else ProviderRejected):
            await answer_to(talk, each)
    # What the provider refused is left out of the next request, and what it was not sent is in it.
    texts = [
        part.text
        for message in talk.provider.requests[-1].messages
        for part in message.parts
        if isinstance(part, TextPart)
    ]
    assert texts == [*(["1"] if how != "refused" else []), *(["So far"] if cut else []), "2", "3", "4"]


async def answer_to(talk: Talk, sent: Started) -> Any:
    """The answer to a message, as `AgentRunner.run` gives it."""
    result = await talk.runner.wait_for_answer(sent)
    if (problem := result.failure) is not None:
        raise ProviderRejected(problem["detail"], provider="scripted")
    if result.message is None:
        raise RunCancelled
    return result.message


async def test_a_provider_that_refuses_what_joined_takes_nothing_from_answers_before(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    talk = await make_talk(["One", gate, "."], refusal(), "Three.")
    first = await talk.runner.start(talk.thread_id, USER, "1")
    await until_asked(talk)
    second = await steer(talk, "2")
    gate.set()
    assert present((await talk.runner.wait_for_answer(first)).message)["content"] == "One."
    assert (await ended(talk, first.run["id"]))["status"] == "failed"
    with pytest.raises(ProviderRejected):
        await answer_to(talk, second)
    await talk.runner.run(talk.thread_id, USER, "3")
    assert [message.get("refused", False) for message in await history(talk)] == [False, False, True, False, False]


async def test_an_interrupt_leaves_what_waited_to_join_in_the_history(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    talk = await make_talk(["One", gate], "Three.")
    first = await talk.runner.start(talk.thread_id, USER, "1")
    await until_text(talk, first.run["id"], "One")
    await steer(talk, "2")
    async with asyncio.timeout(LIMIT_S):
        await talk.runner.run(talk.thread_id, USER, "3", on_busy="interrupt")
    assert await said(talk) == [
        ("user", "1"),
        ("assistant", "One"),
        ("user", "2"),
        ("user", "3"),
        ("assistant", "Three."),
    ]


async def test_a_run_that_is_being_cancelled_takes_no_more(make_talk: MakeTalk, at_the_end: Any) -> None:
    talk = await make_talk(["One", asyncio.Event()], "Two.")
    first = await talk.runner.start(talk.thread_id, USER, "1")
    await until_text(talk, first.run["id"], "One")
    sent: list[Started] = []

    async def send() -> None:
        sent.append(await steer(talk, "2"))

    at_the_end(send)
    await talk.runner.cancel(talk.thread_id, first.run["id"])
    assert sent[0].run["id"] != first.run["id"]
    await ended(talk, sent[0].run["id"])
    assert await said(talk) == [("user", "1"), ("assistant", "One"), ("user", "2"), ("assistant", "Two.")]
