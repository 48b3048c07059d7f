"""A retry of the last run: a new run answers the same message, and later requests leave the earlier answer out."""

import asyncio
from typing import Any

import pytest

from ai_agents import DatabaseHandle, MessageStore, ThreadStore, ToolRegistry
from ai_agents.core.exceptions import (
    Conflict,
    IdempotencyKeyReused,
    PermissionDenied,
    ProviderError,
    ProviderRejected,
    RunNotFound,
    ThreadBusy,
)
from ai_agents.core.types import TextPart
from ai_agents.store import messages, summaries
from ai_agents.store.roles import RoleStore
from ai_agents.testing import tool_call
from tests.present import present
from tests.unit.runner.conftest import USER, MakeTalk, Talk
from tests.unit.runner.steering import ended, read, refusal, steer, until_read, until_text
from tests.unit.runner.test_runner import history, log_types
from tests.unit.runner.test_takeover import StartProcess, start
from tests.wire.requests import check_sent

__all__ = ["start"]  # a fixture


async def marked(talk: Talk) -> list[tuple[str, bool]]:
    """Each message's text, and whether it is superseded."""
    return [(message["content"], message.get("superseded", False)) for message in await history(talk)]


def sent(talk: Talk) -> list[str]:
    """The texts of the last request, which every provider accepts."""
    request = talk.provider.requests[-1]
    for wire in ("anthropic", "openai", "ollama"):
        check_sent(wire, request)
    return [part.text for message in request.messages for part in message.parts if isinstance(part, TextPart)]


async def newest_run(talk: Talk) -> str:
    found = await talk.conn.database.read(lambda c: messages.find_newest(c, talk.thread_id))
    return str(present(found)["run_id"])


async def test_a_new_run_answers_the_same_message_and_what_was_answered_is_left_out(make_talk: MakeTalk) -> None:
    calls = [tool_call("calculator", expression="6*7")]
    talk = await make_talk("Hi.", ["Let me see. ", *calls], "It is 41.", "It is 42.", "Bye.", tools=ToolRegistry())
    await talk.runner.run(talk.thread_id, USER, "Hello!")
    first = await talk.runner.run(talk.thread_id, USER, "6*7?")
    old_run = present(first["run_id"])
    answer = await talk.runner.retry(talk.thread_id, old_run, USER)
    assert answer["content"] == "It is 42."
    assert sent(talk) == ["Hello!", "Hi.", "6*7?"]
    expected = [("Hello!", False), ("Hi.", False), ("6*7?", False), ("Let me see. ", True), ("42", True)]
    assert await marked(talk) == [*expected, ("It is 41.", True), ("It is 42.", False)]
    run_id = present(answer["run_id"])
    told = await read(talk, run_id)
    assert told.types() == ["run.started", "message.completed", "run.completed"]
    facts = told.rows[0].data
    question, *superseded = (await history(talk))[2:6]
    assert facts["user_message"] == question
    assert question["run_id"] == run_id
    assert facts["superseded"] == [message["id"] for message in superseded]
    assert (await read(talk, old_run)).types()[-1] == "run.completed", "the old run's stream stays as it was"
    context = await talk.runner.context(talk.thread_id, USER)
    assert {each["reason"] for each in context["left_out"]} == {"superseded"}
    assert [each["seq"] for each in context["left_out"]] == [message["seq"] for message in superseded]
    found = [(await MessageStore(talk.conn).search(q, user_id=USER))["data"] for q in ("41", "it is")]
    assert [[each["message"]["content"] for each in page] for page in found] == [[], ["It is 42."]]
    await talk.runner.run(talk.thread_id, USER, "Thanks.")
    assert sent(talk) == ["Hello!", "Hi.", "6*7?", "It is 42.", "Thanks."]
    await log_types(talk.conn, talk.thread_id)


async def test_only_the_last_run_is_retried_and_only_when_it_has_ended(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    talk = await make_talk("One.", ["Two", gate, "."], "Two again.", "Two once more.")
    first = await talk.runner.run(talk.thread_id, USER, "1")
    second = await talk.runner.start(talk.thread_id, USER, "2")
    run_id = second.run["id"]
    await until_text(talk, run_id, "Two")
    for each in (run_id, present(first["run_id"])):
        with pytest.raises(ThreadBusy):
            await talk.runner.retry(talk.thread_id, each, USER)
    queued = await talk.runner.start(talk.thread_id, USER, "3", on_busy="queue")
    await talk.runner.cancel(talk.thread_id, queued.run["id"])
    gate.set()
    await ended(talk, run_id)
    for each in (present(first["run_id"]), queued.run["id"]):
        with pytest.raises(Conflict):
            await talk.runner.retry(talk.thread_id, each, USER)
    with pytest.raises(RunNotFound):
        await talk.runner.retry(talk.thread_id, talk.thread_id, USER)
    again = await talk.runner.retry(talk.thread_id, run_id, USER)
    with pytest.raises(Conflict):
        await talk.runner.retry(talk.thread_id, run_id, USER)
    await talk.runner.retry(talk.thread_id, present(again["run_id"]), USER)
    assert await marked(talk) == [
        ("1", False), ("One.", False), ("2", False), ("Two.", True), ("Two again.", True), ("Two once more.", False)
    ]  # fmt: skip


async def test_a_message_that_a_run_failed_on_or_was_cancelled_is_answered(make_talk: MakeTalk) -> None:
    refused: ProviderError = refusal()
    talk = await make_talk(ProviderRejected("No."), refused, ["So f", asyncio.Event()], "Here.", "More.")
    with pytest.raises(ProviderRejected):
        await talk.runner.run(talk.thread_id, USER, "1")
    with pytest.raises(ProviderRejected):
        await talk.runner.retry(talk.thread_id, await newest_run(talk), USER)
    assert [message.get("refused") for message in await history(talk)] == [True]
    cut = await talk.runner.start_retry(talk.thread_id, await newest_run(talk), USER)
    await until_text(talk, cut.run["id"], "So f")
    await talk.runner.cancel(talk.thread_id, cut.run["id"])
    answer = await talk.runner.retry(talk.thread_id, cut.run["id"], USER)
    assert answer["content"] == "Here."
    assert await marked(talk) == [("1", False), ("So f", True), ("Here.", False)]
    assert sent(talk) == ["1"]


async def test_a_retry_that_the_provider_refuses_leaves_its_message_out(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hi.", "One.", refusal(), "Three.")
    await talk.runner.run(talk.thread_id, USER, "0")
    first = await talk.runner.run(talk.thread_id, USER, "1")
    with pytest.raises(ProviderError):
        await talk.runner.retry(talk.thread_id, present(first["run_id"]), USER)
    await talk.runner.run(talk.thread_id, USER, "3")
    assert sent(talk) == ["0", "Hi.", "3"]
    left_out = (await talk.runner.context(talk.thread_id, USER))["left_out"]
    assert [(each["seq"], each["reason"]) for each in left_out] == [(4, "refused"), (5, "superseded")]


async def test_of_a_run_that_messages_joined_what_came_after_its_last_answer_is_retried(make_talk: MakeTalk) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    slow = [tool_call("calculator", expression="1")]
    talk = await make_talk(
        ["One", gates[0], "."], ["Two", gates[1], *slow], "Both.", "Again.", "Cut short", tools=ToolRegistry()
    )
    first = await talk.runner.start(talk.thread_id, USER, "1")
    run_id = first.run["id"]
    await until_text(talk, run_id, "One")
    await steer(talk, "2")
    gates[0].set()
    await until_text(talk, run_id, "Two")
    await steer(talk, "3")
    gates[1].set()
    await ended(talk, run_id)
    retried = await talk.runner.start_retry(talk.thread_id, run_id, USER)
    assert present((await talk.runner.wait_for_answer(retried)).message)["content"] == "Again."
    assert await marked(talk) == [
        ("1", False), ("One.", False), ("2", False), ("Two", True), ("1", True), ("3", False), ("Both.", True),
        ("Again.", False),
    ]  # fmt: skip
    assert sent(talk) == ["1", "One.", "2", "3"]
    runs = [message["run_id"] for message in await history(talk) if message["role"] == "user"]
    assert runs == [run_id, retried.run["id"], retried.run["id"]]
    # The answer that stands is still the answer of the first message.
    assert present((await talk.runner.wait_for_answer(first)).message)["content"] == "One."


async def test_a_retry_needs_what_sending_needs_and_is_its_users(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", "Two.")
    first = await talk.runner.run(talk.thread_id, USER, "1")
    run_id = present(first["run_id"])
    await RoleStore(talk.conn).assign("bob", "viewer", "thread", talk.thread_id)
    with pytest.raises(PermissionDenied):
        await talk.runner.retry(talk.thread_id, run_id, "bob")
    await RoleStore(talk.conn).assign("bob", "editor", "thread", talk.thread_id)
    started = await talk.runner.start_retry(talk.thread_id, run_id, "bob", idempotency_key="k", fingerprint="f")
    assert started.run["user_id"] == "bob"
    assert (await history(talk))[0]["user_id"] == USER
    await ended(talk, started.run["id"])
    again = await talk.runner.start_retry(talk.thread_id, run_id, "bob", idempotency_key="k", fingerprint="f")
    assert (again.run["id"], again.replayed) == (started.run["id"], True)
    assert present((await talk.runner.wait_for_answer(again)).message)["content"] == "Two."
    with pytest.raises(IdempotencyKeyReused):
        await talk.runner.start_retry(talk.thread_id, run_id, "bob", idempotency_key="k", fingerprint="g")


async def test_ten_retries_at_once_are_one(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    talk = await make_talk("One.", [gate, "Two."])
    first = await talk.runner.run(talk.thread_id, USER, "1")
    tries = (talk.runner.start_retry(talk.thread_id, present(first["run_id"]), USER) for _ in range(10))
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, ThreadBusy) for each in done) == 9
    gate.set()
    [started] = [each for each in done if not isinstance(each, BaseException)]
    await ended(talk, started.run["id"])
    assert await marked(talk) == [("1", False), ("One.", True), ("Two.", False)]


@pytest.mark.parametrize("fate", ["begins", "cancelled", "interrupted"])
async def test_a_retry_that_is_held_supersedes_when_it_begins(
    make_talk: MakeTalk, conn: DatabaseHandle, fate: str
) -> None:
    gate = asyncio.Event()
    talk = await make_talk("One.", ["Busy", gate, "."], "Two.")
    first = await talk.runner.run(talk.thread_id, USER, "1")
    conn.executor.slots.limit = 1
    other = await make_talk(scripted=talk.provider)
    busy = await talk.runner.start(other.thread_id, USER, "0")
    held = await talk.runner.start_retry(talk.thread_id, present(first["run_id"]), USER)
    assert held.run["status"] == "queued"
    assert await marked(talk) == [("1", False), ("One.", False)]
    later = None
    if fate == "cancelled":
        await talk.runner.cancel(talk.thread_id, held.run["id"])
    elif fate == "interrupted":
        later = await talk.runner.start(talk.thread_id, USER, "2", on_busy="interrupt")
    gate.set()
    await ended(other, busy.run["id"])
    await ended(talk, held.run["id"])
    rest = {"begins": [("Two.", False)], "cancelled": [], "interrupted": [("2", False), ("Two.", False)]}[fate]
    if later is not None:
        await ended(talk, later.run["id"])
    assert await marked(talk) == [("1", False), ("One.", fate == "begins"), *rest]
    await log_types(talk.conn, talk.thread_id)


async def test_a_retry_whose_process_died_is_answered_by_another(start: StartProcess) -> None:
    one, two = start("First.", ["Half an", asyncio.Event()]), start("A whole answer.")
    thread_id = await one.thread()
    first = await one.runner.run(thread_id, USER, "Hello!")
    run = (await one.runner.start_retry(thread_id, present(first["run_id"]), USER)).run
    await until_read(one.runner, thread_id, run["id"], "Half an")
    await one.die()
    await two.runner.open()
    assert (await two.ended(thread_id, run["id"]))["attempt"] == 2
    said = [(message["content"], message.get("superseded")) for message in await two.history(thread_id)]
    assert said == [("Hello!", None), ("First.", True), ("A whole answer.", None)]


async def test_a_fork_takes_the_answer_that_it_is_made_at(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", "Two.", "Three.", "Three.")
    first = await talk.runner.run(talk.thread_id, USER, "1")
    second = await talk.runner.retry(talk.thread_id, present(first["run_id"]), USER)
    for at, expected in ((first, ["1", "One.", "3"]), (second, ["1", "Two.", "3"])):
        fork = await ThreadStore(talk.conn).fork(talk.thread_id, at["id"], owner_id=USER)
        await talk.runner.run(fork["id"], USER, "3")
        assert sent(talk) == expected


async def test_a_summary_that_covers_what_is_answered_anew_is_forgotten(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", "Two.", "Two again.", memory={"strategy": "summarize", "recent": 10})
    await talk.runner.run(talk.thread_id, USER, "1")
    second = await talk.runner.run(talk.thread_id, USER, "2")

    def summarize(text: str, covers: int, expected: int) -> Any:
        return talk.conn.database.write(
            lambda c: summaries.add(c, talk.thread_id, text, covers_through_seq=covers, expected_covers=expected)
        )

    assert await summarize("They said 1.", 2, 0)
    assert await summarize("They said 1 and 2.", 5, 2)
    await talk.runner.retry(talk.thread_id, present(second["run_id"]), USER)
    request = talk.provider.requests[-1]
    assert "They said 1." in str(request.messages[0])
    assert sent(talk)[1:] == ["2"]


async def test_a_retry_cancelled_before_any_text_leaves_the_message_to_another(make_talk: MakeTalk) -> None:
    talk = await make_talk("One.", [asyncio.Event()], "Three.")
    first = await talk.runner.run(talk.thread_id, USER, "1")
    second = await talk.runner.start_retry(talk.thread_id, present(first["run_id"]), USER)
    await talk.runner.cancel(talk.thread_id, second.run["id"])
    result = await talk.runner.wait_for_answer(second)
    assert (result.run["status"], result.message) == ("cancelled", None)
    with pytest.raises(Conflict):
        await talk.runner.retry(talk.thread_id, present(first["run_id"]), USER)
    assert (await talk.runner.retry(talk.thread_id, second.run["id"], USER))["content"] == "Three."
