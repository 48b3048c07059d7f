"""A request that is longer than the model's window, refused in the way of each provider.

Sources of the bodies, read 2026-11-23: https://developers.openai.com/api/docs/guides/error-codes,
https://github.com/anthropics/claude-code/issues/59696, https://github.com/ollama/ollama/issues/17889.
"""

from collections.abc import Callable
from time import process_time
from typing import Any

import orjson
import pytest

from ai_agents.core.exceptions import ContextExceeded, ProviderError, ProviderRejected, ProviderTruncated
from ai_agents.providers import response_parser
from tests.fakes.answers import Answer, Call, Raw
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import MODELS, ask

BODIES = {
    "anthropic": b'{"type":"error","error":{"type":"invalid_request_error",'
    b'"message":"prompt is too long: 203284 tokens > 200000 maximum"}}',
    "openai": b'{"error":{"message":"This model\'s maximum context length is 128000 tokens.",'
    b'"type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}',
    "ollama": b'{"error":"prompt too long; exceeded max context length by 17 tokens"}',
}


@pytest.mark.parametrize("provider", BODIES)
async def test_a_refusal_for_length_is_final(provider: str, fake: FakeProviderServer, connect: Connect) -> None:
    refusal = Raw([BODIES[provider]], status=400, headers={"content-type": "application/json"})
    fake.script(provider, [refusal, refusal])

    with pytest.raises(ContextExceeded) as caught:
        await connect(provider, max_retries=2).complete(ask(provider))

    assert len(fake.requests) == 1
    assert "tokens" not in str(caught.value)
    assert "prompt" not in str(caught.value)


async def test_waiting_for_an_error_body_has_the_usual_limit(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script("ollama", [Raw([], status=400, headers={"content-type": "application/json"}, end="hang")])

    with pytest.raises(ProviderRejected):
        await connect("ollama").complete(ask("ollama", settings={"timeout_s": 0.2}))


@pytest.mark.parametrize("provider", MODELS)
async def test_an_answer_of_too_many_bytes_is_cut_whatever_is_in_them(
    provider: str, fake: FakeProviderServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_parser, "MAX_STREAM_BYTES", 150)

    with pytest.raises(ProviderTruncated, match="more than 150 bytes"):
        await connect(provider, max_retries=0).complete(ask(provider))


@pytest.mark.parametrize("provider", MODELS)
async def test_an_answer_with_too_many_calls_is_an_error_at_once(
    provider: str, fake: FakeProviderServer, connect: Connect
) -> None:
    fake.script(provider, [Answer([Call("calculator", {"expression": str(number)}) for number in range(5_000)])])
    began = process_time()

    with pytest.raises(ProviderError, match="more than 128 tools"):
        await connect(provider, max_retries=0).complete(ask(provider))
    assert process_time() - began < 3, "calls are compared with each other"


def _line(**event: Any) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"


def _delta(**delta: Any) -> bytes:
    return _line(choices=[{"index": 0, "delta": delta}])


def _block(number: int) -> bytes:
    kind = "thinking" if number % 2 else "text"
    begin = _line(type="content_block_start", index=number, content_block={"type": kind, kind: "x"})
    return begin + _line(type="content_block_stop", index=number)


def _item(number: int) -> bytes:
    item = {"type": "message", "id": f"m{number}", "role": "assistant", "content": []}
    return _line(type="response.output_item.added", output_index=number, item=item)


# One more piece of an answer that never ends, in the forms in which pieces are told apart.
PIECES: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "texts and reasoning": ("openai", lambda _: _delta(reasoning_content="r") + _delta(content="t")),
    "details of reasoning": (
        "openai",
        lambda number: _delta(reasoning_details=[{"type": "reasoning.text", "text": "r", "index": number}]),
    ),
    "blocks": ("anthropic", _block),
    "items": ("responses", _item),
    "thoughts": (
        "gemini",
        lambda _: _line(candidates=[{"content": {"parts": [{"text": "t"}, {"text": "r", "thought": True}]}}]),
    ),
}


@pytest.mark.parametrize("name", PIECES)
async def test_an_answer_in_too_many_parts_is_an_error_at_once(
    name: str, fake: FakeProviderServer, connect: Connect
) -> None:
    provider, piece = PIECES[name]
    begin = _line(type="message_start", message={"id": "m", "usage": {}}) if provider == "anthropic" else b""
    fake.script(provider, [Raw([begin, *map(piece, range(20_000))])])
    began = process_time()

    with pytest.raises(ProviderError, match="more than 1,000 parts"):
        await connect(provider, max_retries=0).complete(ask(provider, settings={"reasoning": "low"}))
    assert process_time() - began < 5, "parts are compared with each other"
