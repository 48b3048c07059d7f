"""Turns that do not fit are left out, again if the provider finds a request too long; the run has a notice of it."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents import RunStore, ThreadStore, ToolRegistry
from ai_agents.context.builder import oldest_half
from ai_agents.context.catalogue import ModelCatalogue, ModelFacts, ModelPrice
from ai_agents.core.exceptions import ContextExceeded, ContextOverflow
from ai_agents.core.tokens import estimate_message
from ai_agents.core.types import ModelMessage, ModelRequest, TextPart
from ai_agents.testing import tool_call
from tests.present import present
from tests.unit.memory.histories import seq_of, threads
from tests.unit.runner.conftest import USER, MakeTalk, Talk


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Compaction does not depend on the database."""
    return sqlite_url


def too_long() -> ContextExceeded:
    return ContextExceeded("too long", provider="scripted")


async def with_history(talk: Talk, turns: int) -> None:
    """Give the talk another thread with this many turns."""
    said = [{"role": role, "content": f"{role} {turn}"} for turn in range(turns) for role in ("user", "assistant")]
    agent_id = (await ThreadStore(talk.conn).get(talk.thread_id))["agent_id"]
    talk.thread_id = (await ThreadStore(talk.conn).create(agent_id, messages=said, owner_id=USER))["id"]


async def newest_run(talk: Talk) -> Any:
    return (await RunStore(talk.conn).list(talk.thread_id))["data"][0]


def seqs(request: ModelRequest) -> list[int | None]:
    return [message.seq for message in request.messages]


async def test_a_request_that_the_provider_finds_too_long_is_sent_again_with_half_of_it(make_talk: MakeTalk) -> None:
    talk = await make_talk(too_long(), "Fine.")
    await with_history(talk, 10)

    answer = await talk.runner.run(talk.thread_id, USER, "And now?")

    whole, half = talk.provider.requests
    assert answer["content"] == "Fine."
    assert seqs(whole) == [*range(1, 21), 21]
    assert seqs(half) == seqs(whole)[-len(half.messages) :]
    assert half.messages[0].role == "user"
    assert sum(map(estimate_message, half.messages)) <= sum(map(estimate_message, whole.messages)) / 2
    left_out = len(whole.messages) - len(half.messages)
    assert (await newest_run(talk))["notices"] == [
        {"code": "context_left_out", "messages": left_out, "through_seq": left_out, "reason": "provider"}
    ]


async def test_a_second_refusal_fails_the_run_and_leaves_the_thread_usable(make_talk: MakeTalk) -> None:
    talk = await make_talk(too_long(), too_long(), "Fine.")
    await with_history(talk, 3)

    with pytest.raises(ContextOverflow):
        await talk.runner.run(talk.thread_id, USER, "And now?")

    run = await newest_run(talk)
    assert (run["status"], present(run["error"])["code"]) == ("failed", "context_overflow")
    assert [notice["reason"] for notice in run["notices"]] == ["provider"]
    assert (await talk.runner.run(talk.thread_id, USER, "Again?"))["content"] == "Fine."


async def test_the_newest_turn_is_never_left_out(make_talk: MakeTalk) -> None:
    talk = await make_talk(too_long(), "never asked")

    with pytest.raises(ContextOverflow):
        await talk.runner.run(talk.thread_id, USER, "Much too long.")

    assert len(talk.provider.requests) == 1
    assert (await newest_run(talk))["notices"] == []


async def test_omitted_turns_stay_out_of_the_runs_later_requests(make_talk: MakeTalk) -> None:
    talk = await make_talk(too_long(), [tool_call("calculator", expression="1+1")], "2", tools=ToolRegistry())
    await with_history(talk, 4)

    await talk.runner.run(talk.thread_id, USER, "1+1?")

    _, second, third = talk.provider.requests
    assert seqs(third)[: len(second.messages)] == seqs(second)
    assert [message.role for message in third.messages[-3:]] == ["user", "assistant", "tool"]
    assert len((await newest_run(talk))["notices"]) == 1


async def test_a_request_that_grows_too_long_in_a_later_round_is_shortened(make_talk: MakeTalk) -> None:
    talk = await make_talk([tool_call("calculator", expression="1+1")], too_long(), "2", tools=ToolRegistry())
    await with_history(talk, 4)

    assert (await talk.runner.run(talk.thread_id, USER, "1+1?"))["content"] == "2"

    _, whole, shortened = talk.provider.requests
    assert shortened.messages == whole.messages[-len(shortened.messages) :]
    assert [message.role for message in shortened.messages[-3:]] == ["user", "assistant", "tool"]


async def test_turns_that_do_not_fit_are_not_sent_and_the_run_has_a_notice(make_talk: MakeTalk) -> None:
    small = ModelCatalogue({"scripted:": ModelFacts(ModelPrice(Decimal(1), Decimal(1)), window=200)})
    talk = await make_talk("Fine.", models=small, memory={"strategy": "last_n", "n": 100})
    await with_history(talk, 30)

    await talk.runner.run(talk.thread_id, USER, "And now?")

    [request] = talk.provider.requests
    first = request.messages[0].seq or 0
    assert first > 1
    assert (await newest_run(talk))["notices"] == [
        {"code": "context_left_out", "messages": first - 1, "through_seq": first - 1, "reason": "window"}
    ]


async def test_the_notice_of_unread_messages_has_no_number(make_talk: MakeTalk) -> None:
    small = ModelCatalogue({"scripted:": ModelFacts(window=200)})
    talk = await make_talk("Fine.", models=small, memory={"strategy": "summarize", "recent": 1000})
    await with_history(talk, 300)

    await talk.runner.run(talk.thread_id, USER, "And now?")

    [notice] = (await newest_run(talk))["notices"]
    first = talk.provider.requests[0].messages[0].seq or 0
    assert (notice["messages"], notice["reason"]) == (None, "window")
    assert notice["through_seq"] == first - 1


async def test_messages_that_the_memory_does_not_choose_cause_no_notice(make_talk: MakeTalk) -> None:
    talk = await make_talk("Fine.", memory={"strategy": "last_n", "n": 3})
    await with_history(talk, 30)

    await talk.runner.run(talk.thread_id, USER, "And now?")

    assert (await newest_run(talk))["notices"] == []


@given(threads(max_turns=12), st.booleans())
def test_any_request_loses_whole_turns_oldest_first(messages: list[ModelMessage], summary: bool) -> None:
    first = [ModelMessage("user", (TextPart("The summary."),))] if summary else []
    users = [seq_of(message) for message in messages if message.role == "user"]
    messages = [message for message in messages if seq_of(message) >= users[0]]
    request = ModelRequest("model", (*first, *messages))

    found = oldest_half(request)

    if len(users) < 2:
        assert found is None
        return
    assert found is not None
    start, end = found
    kept = (*request.messages[:start], *request.messages[end:])
    assert list(request.messages[:start]) == first
    assert request.messages[end].role == "user"
    assert [message.seq for message in kept[len(first) :]] == [seq_of(m) for m in messages][end - start :]
    total = sum(map(estimate_message, request.messages))
    only_newest = request.messages[end].seq == users[-1]
    assert only_newest or sum(map(estimate_message, kept)) <= total / 2
