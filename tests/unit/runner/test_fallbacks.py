"""An agent's fallbacks: who is asked when the one before does not begin to answer, and with what."""

import pytest
from sqlalchemy import select

from ai_agents.providers.breaker import THRESHOLD
from ai_agents.store.provider_tables import ModelCallTable
from tests.fakes.answers import Answer, Call, Raw, Reasoning, Text, say
from tests.fakes.provider_server import FakeProviderServer
from tests.present import present
from tests.unit.runner.conftest import OpenThread
from tests.unit.runner.failing import begun, status
from tests.wire.requests import MODELS

TO_OPENAI = [{"provider": "openai", "model": MODELS["openai"]}]
TO_ALL = [*TO_OPENAI, {"provider": "ollama", "model": MODELS["ollama"]}]


async def test_a_fallback_gets_the_whole_conversation(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("anthropic", fallbacks=TO_OPENAI)
    fake.script("anthropic", [Answer([Reasoning(["hm"]), Text(["First."])]), status(401)])
    fake.script("openai", [say("Second.")])

    await thread.ask("one")
    outcome = await thread.ask("two")

    assert outcome.message is not None
    assert outcome.message["content"] == "Second."
    (sent,) = fake.received("openai")
    assert sent.refused is None
    assert [message["content"] for message in sent.json["messages"]] == ["one", "First.", "two"]


async def test_fallbacks_are_tried_in_order_and_recorded(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("anthropic", fallbacks=TO_ALL)
    fake.script("anthropic", [status(529)] * 3)
    fake.script("openai", [status(401)])
    fake.script("ollama", [status(404)])

    outcome = await thread.ask()

    assert [request.provider for request in fake.requests] == ["anthropic"] * 3 + ["openai", "ollama"]
    assert present(outcome.run["error"])["code"] == "provider_error"
    detail = present(outcome.run["error"])["detail"]
    assert detail.startswith("anthropic failed (529, some_error).")
    assert "openai:gpt-4o: openai refused the request (401, some_error)." in detail
    assert "ollama:llama3.1: ollama refused the request (404, some_error)." in detail
    assert (await thread.ask()).run["status"] == "completed"


async def test_a_provider_without_a_key_here_is_passed_over(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("openai", provider="nobody", model="m", fallbacks=TO_OPENAI)

    outcome = await thread.ask()

    assert outcome.run["status"] == "completed"
    assert [request.provider for request in fake.requests] == ["openai"]


async def test_rounds_with_tools_keep_their_model(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("anthropic", fallbacks=TO_OPENAI)
    fake.script("anthropic", [status(400)])
    fake.script("openai", [Answer([Call("counter", {"expression": "6*7"})]), say("It is 42.")])

    outcome = await thread.ask()

    assert outcome.message is not None
    assert outcome.message["content"] == "It is 42."
    assert [request.provider for request in fake.requests] == ["anthropic", "openai", "openai"]
    assert [request.refused for request in fake.requests] == [None] * 3
    assert [message["role"] for message in fake.requests[-1].json["messages"]] == ["user", "assistant", "tool"]
    assert thread.tool.ran == 1


async def test_a_fallback_between_rounds_is_recorded_once(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("anthropic", fallbacks=TO_OPENAI)
    fake.script("anthropic", [Answer([Reasoning(["hm"]), Call("counter", {"expression": "1"})]), status(400)])
    fake.script("openai", [Answer([Call("counter", {"expression": "2"})]), say("Done.")])

    outcome = await thread.ask()

    assert outcome.run["status"] == "completed"
    first, second = fake.received("openai")
    assert [message["role"] for message in first.json["messages"]] == ["user", "assistant", "tool"]
    rounds = ["assistant", "tool"] * 2
    assert [message["role"] for message in second.json["messages"]] == ["user", *rounds]
    assert [request.refused for request in fake.requests] == [None] * 4
    assert thread.tool.ran == 2


async def test_calls_are_counted_for_the_model_that_answered(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("anthropic", fallbacks=TO_OPENAI)
    fake.script("anthropic", [status(400)])

    await thread.ask()

    rows = await thread.conn.database.read(
        lambda c: [tuple(row) for row in c.execute(select(ModelCallTable.provider, ModelCallTable.model))]
    )
    assert rows == [("openai", "gpt-4o")]


async def test_after_two_broken_answers_a_fallback_answers(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("anthropic", fallbacks=TO_OPENAI)
    fake.script("anthropic", [Raw(begun("anthropic"), end="reset")] * 2)
    fake.script("openai", [say("Whole.")])

    outcome = await thread.ask()

    assert [message["content"] for message in await thread.history()] == ["Hello!", "Whole."]
    assert outcome.run["attempt"] == 3


async def test_a_model_that_keeps_failing_is_left_alone(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("anthropic", fallbacks=TO_OPENAI)
    fake.script("anthropic", [status(503)] * 3 * THRESHOLD)

    for _ in range(THRESHOLD + 2):
        assert (await thread.ask()).run["status"] == "completed"

    assert len(fake.received("anthropic")) == 3 * THRESHOLD
    assert len(fake.received("openai")) == THRESHOLD + 2


async def test_silence_leaves_time_for_the_fallback(fake: FakeProviderServer, open_thread: OpenThread) -> None:
    thread = await open_thread("anthropic", fallbacks=TO_OPENAI, settings={"timeout_s": 0.2})
    fake.script("anthropic", [Raw([], status=0, end="hang")] * 3)

    assert (await thread.ask()).run["status"] == "completed"


REFUSES = {"anthropic": "refusal", "openai": "content_filter", "responses": "content_filter"}


@pytest.mark.parametrize("shown", ["none", "low"])
@pytest.mark.parametrize("wire", REFUSES)
async def test_a_refusal_after_reasoning_is_left_to_the_fallback(
    wire: str, shown: str, fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    thread = await open_thread(wire, fallbacks=TO_ALL[1:], settings={"reasoning": shown})
    fake.script(wire, [Answer([Reasoning(["May I?"])], stop=REFUSES[wire])])
    fake.script("ollama", [say("You may.")])

    outcome = await thread.ask()

    assert [message["content"] for message in await thread.history()] == ["Hello!", "You may."]
    assert [request.provider for request in fake.requests] == [wire, "ollama"]
    assert await thread.events(outcome.run["id"]) == [
        *("run.started", "run.retrying", "message.completed", "run.completed")
    ]


async def test_a_model_that_refused_is_not_asked_again_when_its_fallback_fails(
    fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    thread = await open_thread("anthropic", fallbacks=TO_ALL[1:])
    fake.script("anthropic", [Answer([Reasoning(["May I?"])], stop="refusal")])
    fake.script("ollama", [Raw(begun("ollama"), end="reset"), status(401)])

    outcome = await thread.ask()

    assert [request.provider for request in fake.requests] == ["anthropic", "ollama", "ollama"]
    assert present(outcome.run["error"])["code"] == "provider_rejected"
    detail = present(outcome.run["error"])["detail"]
    assert detail.startswith("anthropic refused to answer, without a word. Nor did the fallbacks answer.")
    assert "ollama:llama3.1: ollama refused the request (401, some_error)." in detail


async def test_a_model_that_ends_twice_for_an_unknown_reason_is_left_to_the_fallback(
    fake: FakeProviderServer, open_thread: OpenThread
) -> None:
    thread = await open_thread("anthropic", fallbacks=TO_OPENAI)
    fake.script("anthropic", [say("Hi", stop="eos_token")] * 3)
    fake.script("openai", [say("Whole.")])

    await thread.ask()

    assert [message["content"] for message in await thread.history()] == ["Hello!", "Whole."]
    assert [request.provider for request in fake.requests] == ["anthropic", "anthropic", "openai"]
