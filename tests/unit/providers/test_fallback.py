"""One model after another is asked until one begins to answer."""

import asyncio
from collections.abc import Sequence

import pytest

from ai_agents.core.exceptions import (
    ContextOverflow,
    DatabaseUnavailable,
    ProviderError,
    ProviderNotConfigured,
    ProviderRejected,
    ProviderTruncated,
)
from ai_agents.core.types import ModelMessage, ModelRequest, PartDelta, TextPart
from ai_agents.providers.assembly import Assembly
from ai_agents.providers.breaker import THRESHOLD, Breakers
from ai_agents.providers.fallback import BegunStream, Candidate, FallbackChain, begin_stream
from ai_agents.testing import ScriptedProvider

DOWN = ProviderError("It is down.", retryable=True)


def said(text: str) -> ModelMessage:
    return ModelMessage("user", (TextPart(text),))


REQUEST = ModelRequest("model-0", (said("Hello"),))


def candidates(*asked: ScriptedProvider | Exception) -> list[Candidate]:
    """Candidates named by their number; an exception stands for one that cannot be opened."""

    return [ScriptedCandidate(number, provider) for number, provider in enumerate(asked)]


class ScriptedModel:
    """A scripted provider with its own form of the conversation."""

    def __init__(self, provider: ScriptedProvider, request: ModelRequest) -> None:
        self.provider = provider
        self.request = request

    async def begin(self, request: ModelRequest) -> BegunStream:
        return await begin_stream(self.provider, request)


class ScriptedCandidate(Candidate):
    """A scripted model, or an exception that is raised where it is opened."""

    def __init__(self, number: int, provider: ScriptedProvider | Exception) -> None:
        super().__init__("scripted", f"model-{number}")
        self.scripted = provider
        self.own = ModelRequest(f"model-{number}", (said(f"Hello, {number}"),))

    async def open(self) -> ScriptedModel:
        if isinstance(self.scripted, Exception):
            raise self.scripted
        return ScriptedModel(self.scripted, self.own)


def fallback(*asked: ScriptedProvider | Exception, breakers: Breakers | None = None) -> FallbackChain[Candidate]:
    return FallbackChain(candidates(*asked), breakers or Breakers())


async def ask(chain: FallbackChain[Candidate], request: ModelRequest = REQUEST) -> str:
    """The text of one answer."""
    assembly = Assembly()
    async with chain.begin(request) as answer:
        assembly.feed(answer.first)
        async for event in answer.rest:
            assembly.feed(event)
        return assembly.response().text


@pytest.mark.parametrize(
    "failure",
    [DOWN, ProviderRejected("no key"), ProviderTruncated("cut before its first word")],
    ids=["down", "refused", "cut"],
)
async def test_the_next_model_is_asked_where_the_first_does_not_begin(failure: ProviderError) -> None:
    first, second, third = ScriptedProvider(failure), ScriptedProvider("Hello."), ScriptedProvider()
    provider = fallback(first, second, third)

    assert await ask(provider) == "Hello."
    assert provider.current.model == "model-1"
    assert second.requests[0].messages == (said("Hello, 1"),)
    assert not third.requests


@pytest.mark.parametrize("error", [ProviderNotConfigured("no key"), ContextOverflow("too long")])
async def test_a_candidate_that_cannot_be_opened_is_skipped(error: Exception) -> None:
    assert await ask(fallback(error, ScriptedProvider("Hello."))) == "Hello."


async def test_an_error_that_is_not_the_models_is_raised() -> None:
    with pytest.raises(DatabaseUnavailable):
        await ask(fallback(DatabaseUnavailable(), ScriptedProvider("Hello.")))


async def test_where_no_model_answers_the_first_error_includes_the_others() -> None:
    provider = fallback(ScriptedProvider(DOWN), ScriptedProvider(ProviderRejected("No key.")))

    with pytest.raises(
        ProviderError, match=r"It is down\. Nor did the fallbacks.*scripted:model-1: No key\."
    ) as caught:
        await ask(provider)
    assert caught.value.retryable


async def test_a_cut_answer_is_not_continued_by_the_next_model() -> None:
    first, second = ScriptedProvider(["Half", DOWN]), ScriptedProvider("Whole")
    provider = fallback(first, second)
    seen: list[str] = []

    async def watch() -> None:
        async with provider.begin(REQUEST) as answer:
            async for event in answer.rest:
                seen.extend([event.text] if isinstance(event, PartDelta) else [])

    with pytest.raises(ProviderError):
        await watch()
    assert seen == ["Half"]
    assert not second.requests


async def test_a_model_whose_answers_were_cut_twice_is_not_asked_again() -> None:
    first, second = ScriptedProvider(["Half", DOWN], ["Half", DOWN]), ScriptedProvider("Whole")
    provider = fallback(first, second)

    for _ in range(2):
        with pytest.raises(ProviderError):
            await ask(provider)
    assert await ask(provider) == "Whole"
    assert len(first.requests) == 2


async def test_later_rounds_go_to_the_model_that_answered_with_the_new_messages() -> None:
    first, second = ScriptedProvider(DOWN), ScriptedProvider("one", "two")
    provider = fallback(first, second)
    longer = ModelRequest("model-0", (*REQUEST.messages, said("more")))

    await ask(provider)
    await ask(provider, longer)

    assert len(first.requests) == 1
    assert second.requests[1].messages == (said("Hello, 1"), said("more"))
    assert second.requests[1].model == "model-1"


async def test_a_model_opened_late_is_not_sent_the_same_messages_twice() -> None:
    first, second = ScriptedProvider("one", DOWN), ScriptedProvider("two", "three")
    provider = fallback(first, second)
    longer = ModelRequest("model-0", (*REQUEST.messages, said("more")))
    longest = ModelRequest("model-0", (*longer.messages, said("still more")))

    for request in (REQUEST, longer, longest):
        await ask(provider, request)

    assert [request.messages for request in second.requests] == [
        (said("Hello, 1"),),
        (said("Hello, 1"), said("still more")),
    ]


async def test_a_model_with_an_open_breaker_is_skipped() -> None:
    breakers = Breakers()
    first = ScriptedProvider(*[DOWN] * THRESHOLD)

    for _ in range(THRESHOLD + 2):
        assert await ask(fallback(first, ScriptedProvider("Hello."), breakers=breakers)) == "Hello."
    assert len(first.requests) == THRESHOLD


async def test_a_single_model_is_asked_although_its_breaker_is_open() -> None:
    breakers = Breakers()
    for _ in range(THRESHOLD):
        with pytest.raises(ProviderError):
            await ask(fallback(ScriptedProvider(DOWN), breakers=breakers))

    assert await ask(fallback(ScriptedProvider("Hello."), breakers=breakers)) == "Hello."
    assert not breakers.get("scripted", "model-0").is_open


async def test_a_cancelled_call_is_no_failure() -> None:
    breakers = Breakers()
    first = ScriptedProvider([asyncio.Event()])
    asking = asyncio.create_task(ask(fallback(first, breakers=breakers)))
    while not first.requests:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert first.closed == 1
    assert not breakers.get("scripted", "model-0").is_open


def shares(requests: Sequence[ModelRequest]) -> float | None:
    return requests[0].start_within_s


async def test_all_models_share_the_time_until_the_first_token() -> None:
    asked = [ScriptedProvider(DOWN), ScriptedProvider(DOWN), ScriptedProvider("Hello.")]

    await ask(FallbackChain(candidates(*asked), Breakers(), patience_s=40.0))

    assert [shares(each.requests) for each in asked] == pytest.approx([20.0, 20.0, 40.0], abs=1.0)
