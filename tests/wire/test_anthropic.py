"""Anthropic: the exact requests, and how its own bytes are parsed."""

import re
from pathlib import Path
from typing import Any

import pytest

from ai_agents.core.exceptions import ProviderError, ProviderRejected
from ai_agents.core.json import dumps
from ai_agents.core.types import (
    FilePart,
    ModelMessage,
    PartDelta,
    PartEnd,
    ReasoningPart,
    ResponseEnd,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from ai_agents.providers.anthropic_models import anthropic_facts
from ai_agents.providers.anthropic_stream import MAX_PAUSES
from ai_agents.providers.registry import get_provider
from tests.fakes.answers import Answer, Call, Raw, Reasoning, call, say
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, ask, assistant, events_until_error, sent, user

NAME = "anthropic"

# The streams of https://platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11-22: "Basic streaming
# request" and "Streaming request with extended thinking", with other words; events and fields are the same.
PLAIN = b"""event: message_start
data: {"type":"message_start","message":{"id":"msg_1nZ","type":"message","role":"assistant","content":[],"model":"claude-opus-5-5","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":3000,"output_tokens":1,"service_tier":"standard"}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Good"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" day"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15,"output_tokens_details":{"thinking_tokens":0}}}

event: message_stop
data: {"type":"message_stop"}

"""  # noqa: E501  # as it is sent
THINKING = b"""event: message_start
data: {"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","content":[],"model":"claude-sonnet-5-20260301","usage":{"input_tokens":9,"output_tokens":2}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"27 times 453:"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":" 12,231"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"EmwKAhgBEgy3va3pzix"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"12,231"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"char_location"}}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: an_event_that_was_added_later
data: {"type":"an_event_that_was_added_later","index":2,"weather":"fine"}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":40,"output_tokens_details":{"thinking_tokens":30}}}

event: message_stop
data: {"type":"message_stop"}

"""  # noqa: E501  # as it is sent
ORIGIN = {"provider": "anthropic", "model": "claude-sonnet-5"}


def delta(text: str) -> bytes:
    return (
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}}\n\n' % text.encode()
    )


async def test_the_request_is_exactly_this(fake: FakeProviderServer, connect: Connect) -> None:
    await connect(NAME).complete(
        ask(NAME, user("Hi"), system="Be brief.", tools=(CALCULATOR,), settings={"max_tokens": 100, "stop": ("END",)})
    )

    (request,) = fake.requests
    assert request.path == "/v1/messages"
    assert request.json == {
        "model": "claude-sonnet-5",
        "max_tokens": 100,
        "stream": True,
        "cache_control": {"type": "ephemeral"},
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "tools": [
            {
                "name": "calculator",
                "description": "Works out an expression.",
                "input_schema": {
                    "type": "object",
                    "properties": {"expression": {"type": "string"}},
                    "required": ["expression"],
                },
                "cache_control": {"type": "ephemeral"},
            }
        ],
        "stop_sequences": ["END"],
    }
    assert request.headers["authorization"] == "Bearer a-key"
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert request.headers["content-type"] == "application/json"
    assert "traceparent" not in request.headers


async def test_a_plain_stream_is_read(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([PLAIN])])

    response = await connect(NAME).complete(ask(NAME))

    assert response.parts == (TextPart("Good day"),)
    assert (response.stop_reason, response.model) == ("end", "claude-opus-5-5")
    assert response.usage == Usage(3125, 15, cached_input_tokens=3000, reasoning_tokens=0, cache_write_tokens=100)


async def test_thinking_is_read_with_its_signature(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([THINKING])])

    response = await connect(NAME).complete(ask(NAME))

    assert response.parts == (
        ReasoningPart("27 times 453: 12,231", origin=ORIGIN | {"signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}),
        ReasoningPart("", origin=ORIGIN | {"redacted": "EmwKAhgBEgy3va3pzix"}),
        TextPart("12,231"),
    )
    assert response.usage.reasoning_tokens == 30


async def test_thinking_that_is_not_shown_keeps_its_signature(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Answer([Reasoning([], signature="c2ln")])])

    response = await connect(NAME).complete(ask(NAME))

    assert response.parts == (ReasoningPart("", origin=ORIGIN | {"signature": "c2ln"}),)


@pytest.mark.parametrize(
    "word, stop_reason",
    [
        ("end_turn", "end"),
        ("max_tokens", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "context_exceeded"),
    ],
)
async def test_the_stop_reason_is_read(word: str, stop_reason: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [say("Hi", stop=word)])

    assert (await connect(NAME).complete(ask(NAME))).stop_reason == stop_reason


async def test_a_call_cut_by_the_limit_is_malformed(fake: FakeProviderServer, connect: Connect) -> None:
    cut = Answer([Call("calculator", '{"a": 1}'), Call("calculator", '{"expression": "6*')], stop="max_tokens")
    begun = Answer([Call("calculator", "")], stop="max_tokens")
    fake.script(NAME, [cut, begun, call("calculator", "")])
    provider = connect(NAME)

    whole, halved = (await provider.complete(ask(NAME))).tool_calls
    (unbegun,) = (await provider.complete(ask(NAME))).tool_calls
    (without,) = (await provider.complete(ask(NAME))).tool_calls

    assert (whole.arguments, whole.malformed) == ({"a": 1}, None)
    assert (halved.arguments, halved.malformed) == ({}, '{"expression": "6*')
    assert unbegun.malformed is not None
    assert (without.arguments, without.malformed) == ({}, None)


@pytest.mark.parametrize(
    "word, kind",
    [
        ("overloaded_error", ProviderError),
        ("api_error", ProviderError),
        ("invalid_request_error", ProviderRejected),
    ],
)
async def test_late_error(word: str, kind: type[ProviderError], fake: FakeProviderServer, connect: Connect) -> None:
    """An error inside the stream comes after the text before it."""
    failure = b'event: error\ndata: {"type": "error", "error": {"type": "%b", "message": "secret"}}\n\n' % word.encode()
    fake.script(NAME, [Raw([PLAIN[: PLAIN.index(b"event: content_block_stop")] + failure])])

    events, error = await events_until_error(connect(NAME), ask(NAME))

    assert "".join(event.text for event in events if isinstance(event, PartDelta)) == "Good day"
    assert (type(error), error.retryable) == (kind, kind is not ProviderRejected)
    assert "secret" not in str(error)


async def test_blocks_of_unknown_kinds_are_left_out(fake: FakeProviderServer, connect: Connect) -> None:
    block = (
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"weather","name":"fine"}}'
        b'\n\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}'
        b'\n\ndata: {"type":"content_block_stop","index":0}\n\n'
    )
    place = PLAIN.index(b"event: content_block_start")
    fake.script(NAME, [Raw([PLAIN[:place] + block + PLAIN[place:]])])

    events = [event async for event in connect(NAME).stream(ask(NAME))]

    assert events[-2] == PartEnd(0, TextPart("Good day"))
    assert isinstance(events[-1], ResponseEnd)


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


# A turn that pauses, as https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools shows, 2026-11-22.
PAUSED = b"""event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude-sonnet-5","usage":{"input_tokens":30,"output_tokens":3}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"I'll look. "}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"server_tool_use","id":"srvtoolu_01A","name":"web_search","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\\"query\\": \\"tides\\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"web_search_tool_result","tool_use_id":"srvtoolu_01A","content":[{"type":"web_search_result","url":"https://example.org","title":"Tides","encrypted_content":"EqgfCio"}]}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"pause_turn","stop_sequence":null},"usage":{"output_tokens":20}}

event: message_stop
data: {"type":"message_stop"}

"""  # noqa: E501  # as it is sent
SERVER_BLOCKS = [
    {"type": "server_tool_use", "id": "srvtoolu_01A", "name": "web_search", "input": {"query": "tides"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_01A",
        "content": [
            {
                "type": "web_search_result",
                "url": "https://example.org",
                "title": "Tides",
                "encrypted_content": "EqgfCio",
            }
        ],
    },
]


async def test_a_paused_answer_and_its_continuation_are_one_answer(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([PAUSED]), say("High tide is at noon.", input_tokens=60, output_tokens=9)])

    events = [event async for event in connect(NAME).stream(ask(NAME))]

    ends = [event.part for event in events if isinstance(event, PartEnd)]
    assert [part.text for part in ends if isinstance(part, TextPart)] == ["I'll look. ", "High tide is at noon."]
    assert [event.index for event in events if isinstance(event, PartEnd)] == [0, 1, 2, 3]
    assert [event for event in events if isinstance(event, ResponseEnd)] == [events[-1]]
    assert isinstance(events[-1], ResponseEnd)
    assert (events[-1].stop_reason, events[-1].usage.input_tokens, events[-1].usage.output_tokens) == ("end", 90, 29)
    first, second = fake.received(NAME)
    assert second.refused is None
    assert second.json["messages"] == [
        *first.json["messages"],
        {"role": "assistant", "content": [{"type": "text", "text": "I'll look. "}, *SERVER_BLOCKS]},
    ]


async def test_the_number_of_pauses_is_limited(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([PAUSED])] * (MAX_PAUSES + 1))

    response = await connect(NAME).complete(ask(NAME))

    assert response.stop_reason == "pause"
    assert response.text == "I'll look. " * (MAX_PAUSES + 1)
    sent = [len(request.json["messages"]) for request in fake.received(NAME)]
    assert sent == [1, *[2] * MAX_PAUSES]
    assert len(fake.received(NAME)[-1].json["messages"][1]["content"]) == 3 * MAX_PAUSES


async def test_a_pause_without_an_end_fails_after_its_text(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([PAUSED]), Raw([], status=529)])

    events, error = await events_until_error(connect(NAME), ask(NAME))

    assert PartDelta(0, "text", "I'll look. ") in events
    assert error.retryable
    assert not any(isinstance(event, ResponseEnd) for event in events)


async def test_overload_before_the_first_word_is_tried_again(fake: FakeProviderServer, connect: Connect) -> None:
    overloaded = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"secret"}}\n\n'
    fake.script(NAME, [Raw([overloaded]), Raw([PLAIN[: PLAIN.index(b"event: ping")], overloaded]), say("Hello")])

    response = await connect(NAME, max_retries=2).complete(ask(NAME))

    assert response.text == "Hello"
    assert len(fake.received(NAME)) == 3


async def test_the_usage_of_a_failed_call_comes_with_its_error(fake: FakeProviderServer, connect: Connect) -> None:
    broken = PLAIN[: PLAIN.rindex(b"event")].replace(b'"end_turn"', b"null")
    fake.script(NAME, [Raw([PLAIN[: PLAIN.index(b"event: content_block_stop")]]), Raw([broken])])
    provider = connect(NAME)

    _, begun = await events_until_error(provider, ask(NAME))
    _, nearly_done = await events_until_error(provider, ask(NAME))

    assert begun.usage is not None
    assert nearly_done.usage is not None
    assert (begun.usage.input_tokens, begun.usage.cached_input_tokens, begun.usage.output_tokens) == (3125, 3000, None)
    assert (nearly_done.usage.input_tokens, nearly_done.usage.output_tokens) == (3125, 15)


async def test_a_refusal_without_a_word_is_an_error(fake: FakeProviderServer, connect: Connect) -> None:
    refused = PLAIN[: PLAIN.index(b"event: content_block_start")] + (
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"refusal","stop_sequence":null,'
        b'"stop_details":{"type":"refusal","category":"cyber","explanation":"secret"}},"usage":{"output_tokens":1}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )
    fake.script(NAME, [Raw([refused])])

    with pytest.raises(ProviderRejected, match="without a word"):
        await connect(NAME).complete(ask(NAME))


def test_requests_to_models_that_are_not_claude_have_no_cache_marks() -> None:
    payload = sent(NAME, ask(NAME, system="Be brief.", tools=(CALCULATOR,), model="another-model"))

    assert "cache_control" not in str(payload)


async def test_a_profile_is_used(fake: FakeProviderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    for folder, content in (
        ("configs", {"authentication": {"type": "user_oauth"}}),
        ("credentials", {"type": "oauth_token", "access_token": "a-token", "expires_at": 4_102_444_800}),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "default.json").write_text(dumps(content))
        (tmp_path / folder / "default.json").chmod(0o600)
    provider = get_provider(NAME, base_url=fake.base_url(NAME), max_retries=0)
    fake.script(NAME, [say("Hello"), Raw([], status=401)])

    assert (await provider.complete(ask(NAME))).text == "Hello"
    with pytest.raises(ProviderRejected, match="401"):
        await provider.complete(ask(NAME))

    assert {request.headers["authorization"] for request in fake.requests} == {"Bearer a-token"}
    await provider.aclose()
