"""Whatever fails: every provider behind HTTP says so in the same way, and in time."""

import asyncio
from contextlib import aclosing

import pytest

from ai_agents.core.exceptions import (
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderTruncated,
)
from ai_agents.core.types import ModelEvent, PartDelta, ResponseEnd
from tests.fakes.answers import Raw, say
from tests.fakes.frames import frames
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.any_answers import bytes_of, first_word
from tests.wire.conftest import Connect
from tests.wire.requests import MODELS, WIRES, ask, events_until_error, provider_of

pytestmark = pytest.mark.parametrize("name", WIRES)


async def test_a_stream_without_its_end_is_an_error(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    pieces = frames(name, say("one ", "two"), MODELS[name])
    # In a chat and on Anthropic's wire the reason before the last event says that the answer is whole.
    terminal = len(pieces) - {"openai": 2, "anthropic": 1}.get(name, 0)
    provider = connect(name)
    events: list[ModelEvent] = []

    for count in range(terminal):
        fake.script(name, [Raw(pieces[:count])])
        events, error = await events_until_error(provider, ask(name))
        assert type(error) is ProviderTruncated
        assert error.retryable
        assert not any(isinstance(event, ResponseEnd) for event in events)
    assert "".join(event.text for event in events if isinstance(event, PartDelta)) == "one two"


async def test_a_cut_last_event_is_an_error(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    body = bytes_of(name, say("Hello")).rstrip(b"\r\n")
    if name == "openai":
        body = body.removesuffix(b"data: [DONE]").rstrip(b"\n")
        body = body[: body.rindex(b"data: ")].rstrip(b"\n")
    fake.script(name, [Raw([body[:-1]])])

    _, error = await events_until_error(connect(name), ask(name))

    assert type(error) is ProviderTruncated


async def test_a_reset_keeps_the_text_before_it(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    read = asyncio.Event()
    fake.script(name, [Raw([*first_word(name), read], end="reset")])

    events, error = await events_until_error(connect(name), ask(name), at_delta=read)

    assert type(error) is ProviderTruncated
    assert events[-1] == PartDelta(0, "text", "one ")


async def test_no_answer_at_all_is_tried_again(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [Raw([], status=0, end="reset"), say("Hello")])

    response = await connect(name, max_retries=1).complete(ask(name))

    assert response.text == "Hello"
    assert len(fake.received(name)) == 2


async def test_a_provider_that_cannot_be_reached_is_a_retryable_error(name: str, connect: Connect) -> None:
    async with FakeProviderServer() as gone:
        address = gone.base_url(name)

    _, error = await events_until_error(connect(name, base_url=address), ask(name))

    assert type(error) is ProviderError
    assert error.retryable
    assert error.__cause__ is not None


ERRORS: dict[int, type[ProviderError]] = {
    **dict.fromkeys((400, 401, 403, 404, 413), ProviderRejected),
    **dict.fromkeys((500, 503, 529), ProviderError),
    429: ProviderRateLimited,
    504: ProviderTimeout,
}


@pytest.mark.parametrize("status", ERRORS)
async def test_errors_hide_foreign_text(name: str, status: int, fake: FakeProviderServer, connect: Connect) -> None:
    kind = ERRORS[status]
    secret = b'{"error": {"type": "some_error", "code": null, "message": "secret sk-123"}, "type": "error"}'
    fake.script(name, [Raw([secret], status=status, headers={"content-type": "application/json", "retry-after": "7"})])

    _, error = await events_until_error(connect(name), ask(name))

    assert type(error) is kind
    assert (error.provider, error.retryable) == (provider_of(name), kind is not ProviderRejected)
    assert str(status) in str(error)
    assert "secret" not in str(error)
    if status == 429:
        assert error.retry_after_s == 7


async def test_an_html_error_page_is_understood(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [Raw([b"<html>\xff Bad Gateway"], status=502, headers={"content-type": "text/html"})])

    _, error = await events_until_error(connect(name), ask(name))

    assert type(error) is ProviderError


async def test_a_passing_error_does_not_reach_the_caller(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    now = {"retry-after": "0"}
    fake.script(name, [Raw([], status=529, headers=now), Raw([], status=429, headers=now), say("Hello")])

    response = await connect(name, max_retries=2).complete(ask(name))

    assert response.text == "Hello"
    assert len(fake.received(name)) == 3


async def test_a_long_wait_is_reported_and_skipped(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [Raw([], status=429, headers={"retry-after": "3600"})])

    _, error = await events_until_error(connect(name, max_retries=2), ask(name))

    assert error.retry_after_s == 3600
    assert len(fake.received(name)) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"<!doctype html><p>Please log in</p>",
        b"data: {not json}\n\n",
        b"[1, 2]\n",
        b"data: [1, 2]\n\n",
        b'data: {"choices": [1], "type": "content_block_delta", "delta": 2, "message": 3}\n\n',
        b'{"message": {"tool_calls": [{}]}}\n',
        b'data: {"type": "content_block_delta", "delta": {"type": "text_delta"}, "choices": [{"delta": "text"}]}\n\n',
        b"\x00\xff\xfe",
    ],
)
async def test_garbage_is_truncated(name: str, garbage: bytes, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [Raw([garbage])])

    _, error = await events_until_error(connect(name), ask(name))

    assert type(error) is ProviderTruncated


async def test_silence_before_the_first_byte_has_a_limit(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [Raw([], status=0, end="hang")])

    with pytest.raises(ProviderTimeout, match=r"silent for 0\.05 s"):
        await connect(name).complete(ask(name, settings={"timeout_s": 0.05}))


async def test_tries_before_an_answer_share_a_limit(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [Raw([], status=0, end="hang")])

    with pytest.raises(ProviderTimeout, match=r"did not begin to answer within 0\.1 s"):
        await connect(name, max_retries=2).complete(ask(name, start_within_s=0.1))

    assert len(fake.received(name)) == 1


async def test_an_answer_that_has_begun_may_take_longer(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    beginning, *rest = frames(name, say("one ", "two"), MODELS[name])
    fake.script(name, [Raw([beginning, 0.3, *rest])])

    response = await connect(name).complete(ask(name, start_within_s=0.15))

    assert response.text == "one two"


async def test_silence_inside_the_answer_has_a_limit(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [Raw(first_word(name), end="hang")])

    events, error = await events_until_error(connect(name), ask(name, settings={"timeout_s": 0.2}))

    assert type(error) is ProviderTimeout
    assert events[-1] == PartDelta(0, "text", "one ")


@pytest.mark.parametrize("said_so_far", [0, 1])
async def test_leaving_it_disconnects(name: str, said_so_far: int, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(name, [Raw(first_word(name), end="hang")])

    async with aclosing(connect(name).stream(ask(name))) as events:  # type: ignore[type-var]  # a generator
        async for event in events:
            if isinstance(event, PartDelta) or not said_so_far:
                break

    async with asyncio.timeout(1):
        await fake.received(name)[0].left.wait()


@pytest.mark.parametrize("answered", [True, False], ids=["in the midst", "before the first byte"])
async def test_cancelling_disconnects(name: str, answered: bool, fake: FakeProviderServer, connect: Connect) -> None:
    begun = asyncio.Event()
    pieces = first_word(name) if answered else []
    fake.script(name, [Raw(pieces, status=200 if answered else 0, end="hang")])
    provider = connect(name)

    async def consume() -> None:
        async for event in provider.stream(ask(name)):
            if isinstance(event, PartDelta):
                begun.set()

    task = asyncio.create_task(consume())
    if answered:
        await begun.wait()
    else:
        while not fake.received(name):
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with asyncio.timeout(1):
        await fake.received(name)[0].left.wait()
