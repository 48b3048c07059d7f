"""The bytes that providers send mean the same wherever the network splits them."""

from dataclasses import replace

import pytest

from ai_agents.core.types import ModelResponse, ToolCallPart
from tests.fakes.answers import Raw, split
from tests.fakes.provider_server import FakeProviderServer
from tests.wire import test_anthropic, test_ollama, test_openai, test_responses
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, ask

STREAMS = {
    "anthropic, plain": ("anthropic", test_anthropic.PLAIN),
    "anthropic, thinking": ("anthropic", test_anthropic.THINKING),
    "anthropic, CRLF": ("anthropic", test_anthropic.THINKING.replace(b"\n", b"\r\n")),
    "openai, plain": ("openai", test_openai.PLAIN),
    "responses, thinking and calling": ("responses", test_responses.THINKING_AND_CALLING),
    "ollama, thinking and calling": ("ollama", test_ollama.THINKING_AND_CALLING),
}


def without_ids(response: ModelResponse) -> ModelResponse:
    parts = (replace(p, tool_call_id="") if isinstance(p, ToolCallPart) else p for p in response.parts)
    return replace(response, parts=tuple(parts))


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_may_be_cut_at_every_byte(name: str, fake: FakeProviderServer, connect: Connect) -> None:
    wire, data = STREAMS[name]
    provider = connect(wire)
    fake.script(wire, [Raw([data]), Raw(list(split(data)))])

    whole = await provider.complete(ask(wire, tools=(CALCULATOR,)))
    in_bytes = await provider.complete(ask(wire, tools=(CALCULATOR,)))

    assert whole.parts
    assert without_ids(in_bytes) == without_ids(whole)


async def test_a_paused_answer_may_be_cut_at_every_byte(fake: FakeProviderServer, connect: Connect) -> None:
    plain, paused = test_anthropic.PLAIN, test_anthropic.PAUSED
    provider = connect("anthropic")
    fake.script("anthropic", [Raw([paused]), Raw([plain]), Raw(list(split(paused))), Raw(list(split(plain)))])

    assert await provider.complete(ask("anthropic")) == await provider.complete(ask("anthropic"))
