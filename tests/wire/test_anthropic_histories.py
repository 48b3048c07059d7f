"""Anthropic: how a history and an agent's settings become its request."""

import re
from typing import Any

import pytest

from ai_agents.core.types import FilePart, ModelMessage, ReasoningPart, ToolCallPart, ToolResultPart
from ai_agents.providers.anthropic_models import anthropic_facts
from tests.fakes.answers import Answer, Call, Reasoning
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, ask, assistant, sent, user

NAME = "anthropic"
ORIGIN = {"provider": "anthropic", "model": "claude-sonnet-5"}


def messages_of(*messages: ModelMessage, **facts: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sent(NAME, ask(NAME, *messages, **facts))["messages"]
    return found


def test_results_are_the_first_blocks_of_one_user_turn() -> None:
    calls = tuple(ToolCallPart(f"call_{n}", "calculator", {"n": n}) for n in range(2))
    results = [
        ModelMessage("tool", (ToolResultPart("call_0", "calculator", {"value": 1}),)),
        ModelMessage("tool", (ToolResultPart("call_1", "calculator", "too big", is_error=True),)),
    ]

    rendered = messages_of(user("go"), ModelMessage("assistant", calls), *results, user("and now?"))

    first, second = (block["id"] for block in rendered[1]["content"])
    assert rendered[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": first, "name": "calculator", "input": {"n": 0}},
                {"type": "tool_use", "id": second, "name": "calculator", "input": {"n": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": first, "content": '{"value":1}'},
                {"type": "tool_result", "tool_use_id": second, "content": "too big", "is_error": True},
                {"type": "text", "text": "and now?"},
            ],
        },
    ]


def test_a_model_behind_a_chat_template_has_short_ids_and_an_answer_between_a_result_and_the_next_question() -> None:
    call = ModelMessage("assistant", (ToolCallPart("call_0", "calculator", {}),))
    result = ModelMessage("tool", (ToolResultPart("call_0", "calculator", "1"),))

    rendered = messages_of(user("go"), call, result, user("and now?"), model="mistral-nemo")

    assert [message["role"] for message in rendered] == ["user", "assistant", "user", "assistant", "user"]
    assert rendered[3]["content"] == [{"type": "text", "text": "(There was no answer.)"}]
    assert re.fullmatch("[A-Za-z0-9]{9}", rendered[1]["content"][0]["id"])
    assert rendered[2]["content"][0]["tool_use_id"] == rendered[1]["content"][0]["id"]


def test_roles_alternate_even_where_messages_are_empty() -> None:
    file = FilePart("id", "plan.pdf", "application/pdf", 10)

    rendered = messages_of(user("one"), user("two"), assistant(" \n"), ModelMessage("user", (file,)))

    texts = [block["text"] for block in rendered[0]["content"]]
    assert texts == ["one", "two", "[file: plan.pdf (application/pdf)]"]
    assert len(rendered) == 1
    assert messages_of(user(""), assistant("Hi"))[0]["content"][0]["text"] == "(empty message)"


def test_a_request_never_ends_with_an_answer() -> None:
    assert [turn["role"] for turn in messages_of(user("one"), assistant("two"))] == ["user", "assistant", "user"]


def test_thinking_goes_back_to_its_own_model_only() -> None:
    def said(**origin: str) -> ModelMessage:
        thought = ReasoningPart("hm", origin={**ORIGIN, **origin} if origin else None)
        return ModelMessage("assistant", (thought, ToolCallPart("call_1", "calculator", {})))

    result = ModelMessage("tool", (ToolResultPart("call_1", "calculator", "42"),))

    def kinds(*messages: ModelMessage) -> list[str]:
        return [block["type"] for block in messages_of(*messages)[1]["content"]]

    assert kinds(user(), said(signature="c2ln"), result) == ["thinking", "tool_use"]
    assert kinds(user(), said(redacted="ZGF0"), result) == ["redacted_thinking", "tool_use"]
    assert kinds(user(), said(signature="c2ln"), result, user()) == ["thinking", "tool_use"]
    assert kinds(user(), said(signature="c2ln", model="claude-opus-5-5"), result) == ["tool_use"]
    assert kinds(user(), said(signature="c2ln", provider="openai"), result) == ["tool_use"]
    assert kinds(user(), said(), result) == ["tool_use"]


def test_a_malformed_call_goes_back_with_no_arguments() -> None:
    call_part = ToolCallPart("call_1", "calculator", {}, malformed='{"a":')
    result = ModelMessage("tool", (ToolResultPart("call_1", "calculator", "not JSON", is_error=True),))

    rendered = messages_of(user(), ModelMessage("assistant", (call_part,)), result)

    assert rendered[1]["content"][0]["input"] == {}


def test_tools_of_the_history_are_named_where_none_is_offered() -> None:
    wish = ModelMessage("assistant", (ToolCallPart("call_1", "files/read", {}),))
    result = ModelMessage("tool", (ToolResultPart("call_1", "files/read", "42"),))

    payload = sent(NAME, ask(NAME, user(), wish, result))

    assert [tool["name"] for tool in payload["tools"]] == ["files_read"]
    assert payload["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    "model, effort, expected",
    [
        ("claude-3-haiku-20240307", "high", {"max_tokens": 4096}),
        ("claude-haiku-4-5", None, {"max_tokens": 8192}),
        ("claude-haiku-4-5", "none", {"max_tokens": 8192}),
        ("claude-haiku-4-5", "low", {"max_tokens": 10240, "thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("claude-opus-4-7", "none", {"max_tokens": 32000}),
        ("claude-sonnet-5", "none", {"max_tokens": 32000, "thinking": {"type": "disabled"}}),
        ("claude-sonnet-5-5", "none", {"max_tokens": 32000, "thinking": {"type": "between_tools"}}),
        ("claude-opus-5-5", "none", {"max_tokens": 32000, "output_config": {"effort": "low"}}),
        (
            "claude-opus-5-5",
            "high",
            {
                "max_tokens": 32000,
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {"effort": "high"},
            },
        ),
    ],
)
def test_reasoning_is_asked_for_in_the_models_own_way(model: str, effort: str | None, expected: dict[str, Any]) -> None:
    payload = sent(NAME, ask(NAME, model=model, settings={"reasoning": effort}))

    assert {k: v for k, v in payload.items() if k in {"max_tokens", "thinking", "output_config"}} == expected


def test_a_budget_for_thinking_stays_within_the_limit_asked_for() -> None:
    def thinking(max_tokens: int) -> Any:
        settings = {"reasoning": "high", "max_tokens": max_tokens}
        return sent(NAME, ask(NAME, model="claude-haiku-4-5", settings=settings)).get("thinking")

    assert thinking(4000) == {"type": "enabled", "budget_tokens": 2000}
    assert thinking(2000) is None


async def test_sampling_is_sent_to_models_that_take_it(fake: FakeProviderServer, connect: Connect) -> None:
    provider = connect(NAME)
    both = {"temperature": 1.5, "top_p": 0.9}

    for model in ("claude-sonnet-4-20250514", "claude-sonnet-5", "another-model"):
        await provider.complete(ask(NAME, model=model, settings=both))
    await provider.complete(ask(NAME, model="claude-haiku-4-5", settings={"top_p": 0.9}))
    await provider.complete(ask(NAME, model="claude-opus-4-6", settings={"temperature": 0.3, "reasoning": "low"}))

    sent = [
        (r.headers["anthropic-version"], r.json.get("temperature"), r.json.get("top_p")) for r in fake.received(NAME)
    ]
    assert sent == [
        ("2023-06-01", 1.0, None),
        ("2026-10-21", None, None),
        ("2026-10-21", None, None),
        ("2023-06-01", None, 0.9),
        ("2026-10-21", None, None),
    ]
    assert anthropic_facts("claude-sonnet-4-20250514").sampling
    assert not anthropic_facts("claude-sonnet-5").sampling
    assert anthropic_facts("claude-3-haiku-20240307").thinking == "none"


async def test_the_signature_of_the_current_turn_goes_back(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Answer([Reasoning(["hm"], signature="c2ln"), Call("calculator", {"expression": "6*7"})])])
    provider = connect(NAME)
    settings = {"reasoning": "low"}

    asked = await provider.complete(ask(NAME, model="claude-haiku-4-5", tools=(CALCULATOR,), settings=settings))
    result = ModelMessage("tool", (ToolResultPart(asked.tool_calls[0].tool_call_id, "calculator", "42"),))
    turn = (user(), ModelMessage("assistant", asked.parts), result)
    await provider.complete(ask(NAME, *turn, model="claude-haiku-4-5", tools=(CALCULATOR,), settings=settings))

    second = fake.received(NAME)[1].json
    assert second["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    assert second["thinking"]["type"] == "enabled"


def test_requests_to_models_that_are_not_claude_have_no_cache_marks() -> None:
    payload = sent(NAME, ask(NAME, system="Be brief.", tools=(CALCULATOR,), model="another-model"))

    assert "cache_control" not in str(payload)
