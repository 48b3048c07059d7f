"""Servers that speak Anthropic's wire: what they are sent and want back, and what is said of what is left out."""

from typing import Any

import orjson
import pytest

from ai_agents.core.exceptions import ProviderRejected
from ai_agents.core.types import (
    FilePart,
    ModelMessage,
    ModelRequest,
    ReasoningPart,
    ToolCallPart,
    ToolResultPart,
)
from ai_agents.providers.anthropic_models import anthropic_facts
from ai_agents.providers.http_provider import HTTPProvider
from ai_agents.providers.quirks import Endpoint, Quirks
from tests.fakes.answers import Raw, say
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, FORMATS, ask, assistant, check_sent, sent, user

NAME = "anthropic"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
MARK = {"cache_control": {"type": "ephemeral"}}


def refusal(message: str) -> Raw:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    return Raw([orjson.dumps(error)], status=400)


def left_out(request: ModelRequest, **quirks: Any) -> dict[str, str]:
    """The settings that are left out of this request, each with its reason."""
    notices = FORMATS[NAME].left_out(request, Endpoint(NAME, Quirks(**quirks)))
    return {notice["setting"]: notice["reason"] for notice in notices if notice["code"] == "setting_left_out"}


def turn_with_calls(number: int, thought: ReasoningPart | None = None) -> tuple[ModelMessage, ...]:
    calls = [ToolCallPart(f"call_{at}", "calculator", {}) for at in range(number)]
    results = [ToolResultPart(call.tool_call_id, call.name, "42") for call in calls]
    said = [thought] if thought else []
    return ModelMessage("assistant", (*said, *calls)), ModelMessage("tool", tuple(results))


@pytest.mark.parametrize("model", ["MiniMax-M3", "glm-5", "kimi-k2.6", "deepseek-v4-pro"])
@pytest.mark.parametrize(
    "origin, block",
    [
        ({"unsigned": True}, {"type": "thinking", "thinking": "Hm."}),
        ({"signature": ""}, {"type": "thinking", "thinking": "Hm.", "signature": ""}),
        ({"signature": "c2ln"}, {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}),
    ],
)
def test_thinking_goes_back_as_it_came(model: str, origin: dict[str, Any], block: dict[str, Any]) -> None:
    thought = ReasoningPart("Hm.", origin={"provider": NAME, "model": model} | origin)

    messages = sent(NAME, ask(NAME, user(), *turn_with_calls(1, thought), model=model, tools=(CALCULATOR,)))["messages"]

    assert messages[1]["content"][0] == block
    foreign = ask(NAME, user(), *turn_with_calls(1, thought), model="another-model", tools=(CALCULATOR,))
    assert sent(NAME, foreign)["messages"][1]["content"][0]["type"] == "tool_use"


def test_a_model_that_needs_its_thinking_does_not_think_where_calls_have_none() -> None:
    """While it thinks, DeepSeek refuses a call in the history without thinking: NousResearch/hermes-agent#22313."""

    def thinking(*messages: ModelMessage, **settings: Any) -> Any:
        request = ask(NAME, user(), *messages, model="deepseek-v4-pro", tools=(CALCULATOR,), settings=settings)
        return sent(NAME, request).get("thinking")

    own = ReasoningPart("Hm.", origin={"provider": NAME, "model": "deepseek-v4-pro", "unsigned": True})
    assert thinking() is None
    assert thinking(*turn_with_calls(1, own)) is None
    assert thinking(*turn_with_calls(1, own), reasoning="low")["type"] == "enabled"
    assert thinking(*turn_with_calls(1)) == {"type": "disabled"}
    assert thinking(*turn_with_calls(1), assistant("42"), user(), reasoning="low") == {"type": "disabled"}


@pytest.mark.parametrize(
    "model, same",
    [
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4-20250514"),
        ("bedrock/Claude-3.5-Sonnet", "claude-3-5-sonnet"),
        ("deepseek-ai/DeepSeek-V4", "deepseek-v4"),
        ("a-claude-like-model", "another-model"),
    ],
)
def test_a_gateways_name_of_a_model_is_understood(model: str, same: str) -> None:
    assert anthropic_facts(model) == anthropic_facts(same)


def test_what_an_unknown_model_does_not_take_is_said() -> None:
    picture = FilePart("id", "a.png", "image/png", 3)
    settings = {"temperature": 1.5, "top_p": 0.5, "reasoning": "high", "stop": ("END", "\n")}
    request = ask(NAME, ModelMessage("user", (picture,)), model="another-model", settings=settings)

    said = left_out(request)

    assert list(said) == ["reasoning", "temperature", "top_p", "stop"]
    assert "quirk sampling" in said["temperature"]
    assert "quirk reasoning" in said["reasoning"]
    assert "white space" in said["stop"]
    assert list(left_out(request, images=False)) == [*said, "images"]
    assert left_out(ask(NAME, settings={"max_tokens": 5})) == {}


def test_quirks_overrule_the_tables() -> None:
    settings = {"temperature": 1.5, "top_p": 0.5, "stop": ("END",), "max_tokens": 4000}
    request = ask(NAME, model="another-model", settings=settings, tools=(CALCULATOR,), output_schema=SCHEMA)
    plain = sent(NAME, request)
    taught = sent(NAME, request, sampling=True, stop=False, cache_control=True, schema="enforced")

    assert not plain.keys() & {"temperature", "top_p", "cache_control", "output_config"}
    assert plain["stop_sequences"] == ["END"]
    assert (taught["temperature"], taught["top_p"]) == (1.5, 0.5)
    assert "stop_sequences" not in taught
    assert taught["cache_control"] == taught["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert taught["output_config"]["format"]["schema"] == SCHEMA
    assert list(left_out(request, sampling=True, stop=False)) == ["stop"]
    claude = ask(NAME, settings={"reasoning": "high", "temperature": 0.5}, output_schema=SCHEMA)
    bare = sent(NAME, claude, reasoning=False, sampling=True, cache_control=False, schema="instructed")
    assert not bare.keys() & {"thinking", "output_config", "cache_control"}
    assert bare["temperature"] == 0.5
    assert "cache_control" not in str(bare)


def test_reasoning_is_asked_for_where_a_quirk_says_so() -> None:
    def thinking(effort: str, **quirks: Any) -> Any:
        request = ask(NAME, model="another-model", settings={"reasoning": effort})
        return sent(NAME, request, **quirks).get("thinking")

    assert thinking("low") is None
    assert thinking("low", reasoning=True) == {"type": "enabled", "budget_tokens": 2048}
    assert thinking("none", reasoning=True) == {"type": "disabled"}


@pytest.mark.parametrize(
    "model, settings, setting",
    [
        ("claude-haiku-4-5", {"temperature": 0.5, "reasoning": "low"}, "temperature"),
        ("claude-haiku-4-5", {"temperature": 0.5, "top_p": 0.5}, "top_p"),
        ("claude-haiku-4-5", {"reasoning": "low", "max_tokens": 500}, "reasoning"),
        ("claude-sonnet-5", {"temperature": 0.5}, "temperature"),
        ("claude-3-haiku-20240307", {"reasoning": "low"}, "reasoning"),
    ],
)
def test_what_claude_does_not_take_is_said(model: str, settings: dict[str, Any], setting: str) -> None:
    request = ask(NAME, model=model, settings=settings)

    assert list(left_out(request)) == [setting]
    assert "thinking" not in sent(NAME, request) or setting != "reasoning"
    assert setting not in sent(NAME, request)


@pytest.mark.parametrize(
    "message, quirks",
    [
        ("tools.0.cache_control: Extra inputs are not permitted", Quirks(cache_control=False)),
        ("cache_control: Extra inputs are not permitted", Quirks(cache_control=False)),
        ("output_config: Extra inputs are not permitted", Quirks(schema="instructed")),
        ("output_config.format: structured outputs are not supported", Quirks(schema="instructed")),
    ],
)
async def test_what_a_server_refuses_of_ours_is_left_out(
    message: str, quirks: Quirks, fake: FakeProviderServer, connect: Connect
) -> None:
    fake.script(NAME, [refusal(message), say("Hello")])
    provider = connect(NAME)
    assert isinstance(provider, HTTPProvider)
    request = ask(NAME, system="Be brief.", tools=(CALCULATOR,), output_schema=SCHEMA)

    for _ in range(2):
        await provider.complete(request)

    first, second, third = (received.body for received in fake.received(NAME))
    word = message.partition(":")[0].split(".")[-1].encode()
    assert word in first
    assert word not in second
    assert third == second
    assert provider.learned.all() == {"claude-sonnet-5": quirks}


@pytest.mark.parametrize(
    "message",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "messages.1.content.0.thinking.signature: Field required",
        "messages.1.content.0: Input tag 'thinking' found using 'type' does not match any of the expected tags",
    ],
)
async def test_thinking_that_a_server_refuses_is_not_sent_again(
    message: str, fake: FakeProviderServer, connect: Connect
) -> None:
    fake.script(NAME, [refusal(message), say("Hello")])
    provider = connect(NAME)
    thought = ReasoningPart("Hm.", origin={"provider": NAME, "model": "claude-haiku-4-5", "signature": "c2ln"})
    history = (user(), *turn_with_calls(1, thought))

    for _ in range(2):
        await provider.complete(
            ask(NAME, *history, model="claude-haiku-4-5", tools=(CALCULATOR,), settings={"reasoning": "low"})
        )

    first, *others = (received.json for received in fake.received(NAME))
    assert first["messages"][1]["content"][0]["type"] == "thinking"
    assert [received.refused for received in fake.received(NAME)] == [None] * 3
    for payload in others:
        assert payload["messages"][1]["content"][0]["type"] == "tool_use"
        assert "thinking" not in payload


@pytest.mark.parametrize(
    "message",
    [
        "The `content[].thinking` in the thinking mode must be passed back to the API.",
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1",
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
    ],
)
async def test_a_server_that_misses_thinking_is_asked_not_to_think(
    message: str, fake: FakeProviderServer, connect: Connect
) -> None:
    fake.script(NAME, [refusal(message), say("Hello")])
    provider = connect(NAME)
    request = ask(NAME, user(), *turn_with_calls(1), model="another-model", tools=(CALCULATOR,))

    assert (await provider.complete(request)).text == "Hello"

    first, second = (received.json for received in fake.received(NAME))
    assert "thinking" not in first
    assert second["thinking"] == {"type": "disabled"}


async def test_a_refusal_of_what_the_agent_asked_for_stays_one(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [refusal("temperature: only 1 is allowed"), refusal("output_config: Extra inputs")])
    provider = connect(NAME)

    for settings in ({"temperature": 0.5}, {"reasoning": "high"}):
        with pytest.raises(ProviderRejected):
            await provider.complete(ask(NAME, settings=settings))

    assert len(fake.requests) == 2


def marked(messages: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [
        (number, at)
        for number, message in enumerate(messages)
        for at, block in enumerate(message["content"])
        if "cache_control" in block
    ]


def test_the_end_of_the_last_request_is_marked_after_a_turn_with_many_calls() -> None:
    """A cache entry is searched for in the 20 blocks before a mark."""
    history = (user("one"), assistant("two"), user("three"), *turn_with_calls(12))

    def messages_of(*messages: ModelMessage, model: str = "claude-sonnet-5") -> list[dict[str, Any]]:
        request = ask(NAME, *messages, system="Be brief.", tools=(CALCULATOR,), model=model)
        found: list[dict[str, Any]] = check_sent(NAME, request)["messages"]
        return found

    last_request = messages_of(*history[:3])
    long_turn = messages_of(*history)
    assert marked(last_request) == []
    assert marked(long_turn) == [(2, 0)]
    assert long_turn[2]["content"] == [last_request[2]["content"][0] | MARK]
    assert marked(messages_of(*history, assistant("42"), user("and now?"))) == []
    assert marked(messages_of(*history[:3], *turn_with_calls(3))) == []
    assert marked(messages_of(*history, model="another-model")) == []
