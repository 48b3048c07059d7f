"""Anthropic: the exact requests, and how its own bytes are parsed."""

from pathlib import Path

import pytest

from ai_agents.core.exceptions import ProviderError, ProviderRejected
from ai_agents.core.json import dumps
from ai_agents.core.types import PartDelta, PartEnd, ReasoningPart, ResponseEnd, TextPart, Usage
from ai_agents.providers.anthropic_stream import MAX_PAUSES
from ai_agents.providers.registry import get_provider
from tests.fakes.answers import Answer, Call, Raw, Reasoning, call, say
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, ask, events_until_error, user

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
