"""Anthropic's wire as it really comes: interleaved, doubled, cut, retyped, in other forms, from compatible servers.

The forms are those of public reports, read 2026-11-30; each is named at its test.
"""

import re
from typing import Any

import orjson
import pytest

from ai_agents.core.exceptions import ProviderError, ProviderRejected, ProviderTruncated, UnknownFinishReason
from ai_agents.core.types import (
    JsonObject,
    ModelResponse,
    PartDelta,
    PartEnd,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    Usage,
)
from tests.wire.anthropic_events import (
    ENDPOINT,
    ORIGIN,
    PING,
    SAID,
    STOPPED,
    USAGE,
    begun,
    delta,
    done,
    event,
    events_of,
    json_of,
    read,
    start,
    stop,
    tool,
    whole,
    without_ids,
)
from tests.wire.requests import ask


def calls(response: ModelResponse) -> list[tuple[str, JsonObject, str | None]]:
    return [(call.name, call.arguments, call.malformed) for call in response.tool_calls]


def test_two_open_calls_keep_their_own_arguments() -> None:
    """A proxy that turns OpenAI's parallel calls into blocks leaves both open: letter D of issue 11."""
    response = read(
        whole(
            tool(0, "weather"),
            tool(1, "search"),
            json_of(0, '{"city":'),
            json_of(1, '{"query":"fj'),
            json_of(0, '"Oslo"}'),
            json_of(1, 'ord"}'),
            stop(1),
            stop(0),
            reason="tool_use",
        )
    )

    assert calls(response) == [("weather", {"city": "Oslo"}, None), ("search", {"query": "fjord"}, None)]


def test_text_streams_while_a_call_is_open() -> None:
    data = begun() + tool(0, "weather") + json_of(0, '{"city":') + start(1) + delta(1, value="I look.")

    events, _ = events_of(data, len(data), ENDPOINT, ask("anthropic"))

    assert events[-1] == PartDelta(0, "text", "I look.")
    response = read(data + json_of(0, '"Oslo"}') + stop(0) + stop(1) + done("tool_use") + STOPPED)
    assert response.text == "I look."
    assert calls(response) == [("weather", {"city": "Oslo"}, None)]


def test_interleaved_texts_come_one_after_the_other() -> None:
    response = read(
        whole(
            start(0, "thinking"),
            start(1),
            delta(0, "thinking", "Let me"),
            delta(1, value="It is "),
            delta(0, "thinking", " see."),
            delta(0, "signature", "c2ln"),
            delta(1, value="42."),
            stop(1),
            stop(0),
        )
    )

    assert response.parts == (
        ReasoningPart("Let me see.", origin=ORIGIN | {"signature": "c2ln"}),
        TextPart("It is 42."),
    )


def test_blocks_need_no_end() -> None:
    """`content_block_stop` is missing where a proxy flushes its last chunk: BerriAI/litellm#28868."""
    response = read(
        whole(
            start(0, "thinking"),
            delta(0, "thinking", "Hm."),
            start(1),
            delta(1, value="I look."),
            tool(2, "weather"),
            json_of(2, '{"city":"Oslo"}'),
            reason="tool_use",
        )
    )

    assert [part.text for part in response.parts if not isinstance(part, ToolCallPart)] == ["Hm.", "I look."]
    assert calls(response) == [("weather", {"city": "Oslo"}, None)]


@pytest.mark.parametrize("index", ["0", 0.0, None])
def test_an_index_may_have_another_type(index: Any) -> None:
    blocks = [start(index), delta(index, value="Good day"), stop(index)]
    later = [tool(index, "weather"), json_of(index, '{"city":', '"Oslo"}'), stop(index)]

    response = read(whole(*blocks, *later, reason="tool_use"))

    assert response.text == "Good day"
    assert calls(response) == [("weather", {"city": "Oslo"}, None)]


def test_text_is_read_whose_block_was_not_begun() -> None:
    assert read(whole(delta(0, value="Good"), delta(0, value=" day"), stop())).text == "Good day"
    assert read(whole(start(), delta(None, value="Good day"), stop())).text == "Good day"


@pytest.mark.parametrize(
    "blocks",
    [
        [json_of(0, '{"city":"Oslo"}')],
        [tool(0, "weather"), json_of(1, '{"city":"Oslo"}'), stop(0)],
        [tool(0, "weather"), tool(1, "search"), json_of(None, '{"city":"Oslo"}'), stop(0), stop(1)],
        [tool(0, "weather"), tool(0, "search"), json_of(0, "{}"), stop(0)],
        [tool(0, "weather"), stop(0), json_of(0, '{"city":"Oslo"}')],
        [tool(0, "weather"), stop(0), tool(0, "weather"), stop(0)],
        [start(0), json_of(0, '{"city":"Oslo"}'), tool(1, "weather"), stop(0), stop(1)],
        [tool(0, "weather"), delta(0, value="Oslo"), stop(0)],
        [start(0), start(1), delta(None, value="Good"), stop(0), stop(1)],
        [start(0, "tool_use", name=None, input={}), stop(0)],
        [start(0, "tool_use", name=7, input={}), stop(0)],
        [tool(0, "weather"), json_of(0, '{"n":', None, "1}"), stop(0)],
        [tool(0, "weather"), json_of(0, '{"n":', ["2"], "1}"), stop(0)],
        [tool(0, "weather"), event("content_block_delta", index=0, delta=["{}"]), stop(0)],
        [tool(0, "weather"), event("content_block_delta", index=0, delta={"partial_json": "{}"}), stop(0)],
        [event("content_block_start", index=0, content_block=None), json_of(0, "{}"), stop(0), tool(1, "weather")],
        [event("content_block_start", index=0, content_block={"type": ["tool_use"]}), stop(0), tool(1, "weather")],
        [start(), delta(value=["Good"]), stop(), tool(1, "weather")],
    ],
)
def test_what_belongs_to_no_block_for_certain_is_an_error(blocks: list[bytes]) -> None:
    with pytest.raises(ProviderTruncated) as caught:
        read(whole(*blocks, reason="tool_use"))

    assert caught.value.retryable


@pytest.mark.parametrize(
    "given, pieces, arguments",
    [
        ({"city": "Oslo"}, [], {"city": "Oslo"}),
        ({"city": "Oslo"}, ["{}"], {"city": "Oslo"}),
        ({"city": "Oslo"}, ['{"city":"Oslo"}'], {"city": "Oslo"}),
        ({}, ["{}", '{"city":"Oslo"}'], {"city": "Oslo"}),
        ({}, [{"city": "Oslo"}], {"city": "Oslo"}),
        ('{"city":"Oslo"}', [], {"city": "Oslo"}),
        ([], ['{"city":"Oslo"}'], {"city": "Oslo"}),
        ({}, ['{"n":12345678901234567890123}'], None),
        ({}, ['{"n":1234567890123456789}'], {"n": 1234567890123456789}),
        ({"n": 1234567890123456789}, [], {"n": 1234567890123456789}),
        ({"city": "Oslo"}, ['{"city":"Rome"}'], None),
        (None, [""], {}),
    ],
)
def test_arguments_are_read_where_they_mean_one_thing(given: Any, pieces: list[Any], arguments: Any) -> None:
    blocks = [tool(0, "weather", input=given), json_of(0, *pieces), stop()]

    ((_, found, malformed),) = calls(read(whole(*blocks, reason="tool_use")))

    assert (found, malformed is None) == (({}, False) if arguments is None else (arguments, True))


def test_an_answer_needs_no_message_stop() -> None:
    """esengine/DeepSeek-Reasonix#8756 (the bytes end), tombii/better-ccflare#307 (only pings follow)."""
    assert read(begun() + SAID + done()).text == "Good day"
    assert read(begun() + SAID + done() + PING + PING).text == "Good day"
    for cut in (begun() + SAID, begun() + SAID + done(None), begun() + SAID + STOPPED):
        with pytest.raises(ProviderTruncated):
            read(cut)


def test_a_message_may_begin_twice_under_one_id() -> None:
    response = read(begun() + begun() + SAID + begun() + done() + STOPPED)

    assert response.text == "Good day"
    assert response.usage == Usage(25, 15)


def test_a_second_answer_in_the_stream_is_a_cut() -> None:
    called = tool(1, "weather") + json_of(1, '{"city":"Os')
    again = begun("msg_2") + tool(0, "weather", "toolu_2") + json_of(0, '{"city":"Oslo"}') + stop()
    data = begun() + SAID + called + again + done("tool_use") + STOPPED

    events, error = events_of(data, len(data), ENDPOINT, ask("anthropic"))

    assert isinstance(error, ProviderTruncated)
    assert "another answer" in str(error)
    assert [event.part for event in events if isinstance(event, PartEnd)] == [TextPart("Good day")]


@pytest.mark.parametrize("word", ["weird", "network_error", "", 7, {"type": "end_turn"}, ["end_turn"]])
def test_a_reason_that_is_not_known_is_a_cut(word: Any) -> None:
    with pytest.raises(ProviderTruncated):
        read(begun() + SAID + done(word) + STOPPED)


def test_a_quirk_teaches_a_reason() -> None:
    with pytest.raises(UnknownFinishReason) as caught:
        read(begun() + SAID + done("EOS") + STOPPED)
    assert "finish_reasons" in str(caught.value)
    assert read(begun() + SAID + done("EOS") + STOPPED, finish_reasons={"eos": "stop"}).stop_reason == "end"
    assert read(begun() + SAID + done("END_TURN") + STOPPED).stop_reason == "end"


@pytest.mark.parametrize(
    "data",
    [
        whole(SAID, reason="tool_use"),
        whole(),
        whole(start() + stop()),
        whole(start(0, "thinking") + stop()),
        whole(reason="pause_turn"),
        whole(reason="max_tokens"),
        b"data: [DONE]\n\n",
    ],
)
def test_an_answer_with_less_than_its_reason_says_is_a_cut(data: bytes) -> None:
    with pytest.raises(ProviderTruncated):
        read(data)


def test_a_call_at_the_end_of_a_turn_is_a_call() -> None:
    """Gateways end an answer with calls by `end_turn`: BerriAI/litellm#34718, maximhq/bifrost#3638."""
    assert read(whole(tool(0, "weather"), stop(), reason="end_turn")).stop_reason == "tool_use"


@pytest.mark.parametrize(
    "failure, kind",
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, ProviderError),
        ({"type": "error", "error": "Overloaded"}, ProviderError),
        ({"type": "error", "message": "Overloaded"}, ProviderError),
        ({"type": "error", "error": None}, ProviderError),
        ({"error": {"code": "429", "message": "Overloaded"}}, ProviderError),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "Overloaded"}}, ProviderRejected),
    ],
)
def test_an_error_is_one_in_a_stream_and_as_a_body(failure: JsonObject, kind: type[ProviderError]) -> None:
    for data in (begun() + SAID + b"data: %b\n\n" % orjson.dumps(failure), orjson.dumps(failure)):
        with pytest.raises(kind):
            read(data)


def test_a_whole_body_is_read_where_a_stream_was_asked_for() -> None:
    body: JsonObject = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-20260301",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 25, "output_tokens": 9},
    }

    for data in (orjson.dumps(body), b"data: %b\n\n" % orjson.dumps(body)):
        response = read(data)
        assert without_ids(list(response.parts)) == [
            ReasoningPart("Hm.", origin=ORIGIN | {"signature": "c2ln"}),
            TextPart("I look."),
            ToolCallPart("", "weather", {"city": "Oslo"}),
        ]
        assert (response.usage, response.model) == (Usage(25, 9), "claude-sonnet-5-20260301")
    assert read(orjson.dumps(body | {"content": "Good day", "stop_reason": "end_turn"})).text == "Good day"
    odd: JsonObject
    for odd in ({"content": None}, {"content": 7}, {"content": [7]}, {"stop_reason": None}, {"choices": []}):
        with pytest.raises(ProviderTruncated):
            read(orjson.dumps(body | {"content": []} | odd))


@pytest.mark.parametrize(
    "first, last, expected",
    [
        ({"input_tokens": 25.0, "output_tokens": 1}, {"output_tokens": "15"}, Usage(25, 15)),
        ({"input_tokens": 25, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 15}, Usage(25, 15)),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 25, "output_tokens": 15}, Usage(25, 15)),
        ({"input_tokens": 25, "output_tokens": 1}, {"input_tokens": [4], "output_tokens": 15}, Usage(25, 15)),
        ({"input_tokens": True, "output_tokens": 1}, {"output_tokens": 15}, Usage(None, 15)),
        ({"input_tokens": 25, "output_tokens": 1}, {"output_tokens": None}, Usage(25, None)),
        ([USAGE], "many", Usage()),
        (None, {"input_tokens": 25, "output_tokens": 15, "output_tokens_details": [3]}, Usage(25, 15)),
    ],
)
def test_figures_are_read_or_unknown(first: Any, last: Any, expected: Usage) -> None:
    assert read(begun(usage=first) + SAID + done(usage=last) + STOPPED).usage == expected


@pytest.mark.parametrize(
    "odd",
    [
        event("message_start", message=["x"]),
        begun(model={"name": "x"}, usage=7),
        event("content_block_stop", index=["0"]),
        event("content_block_start", index=9, content_block={"type": "compaction", "content": None}),
        event("message_delta", delta=["x"], usage=[]),
        event("weather", delta="fine"),
        b"data: {}\n\n",
        b": ping\n\ndata: ping\n\n",
    ],
)
def test_odd_events_take_nothing_with_them(odd: bytes) -> None:
    for data in (odd + SAID + done() + STOPPED, SAID + odd + done() + STOPPED):
        assert read(data).text == "Good day"


def test_text_and_thinking_say_what_they_are_whatever_their_block() -> None:
    """Proxies that begin every answer as text send thinking in it."""
    response = read(whole(start(0), delta(0, "thinking", "Hm."), delta(0, value="Good day"), stop()))

    assert [type(part) for part in response.parts] == [ReasoningPart, TextPart]
    assert response.text == "Good day"


def test_broken_characters_are_cleaned() -> None:
    emoji = rb"\ud83d"
    data = begun() + start() + delta(value="a@b").replace(b"@", b"\xc3") + delta(value="@").replace(b"@", emoji)
    data += delta(value="@\t").replace(b"@", rb"\ude00") + stop() + done() + STOPPED

    assert read(data).text == "a\ufffdb😀\t"


@pytest.mark.parametrize(
    "block, signature, origin",
    [
        ({"type": "thinking", "thinking": ""}, None, {"unsigned": True}),
        ({"type": "thinking", "thinking": "", "signature": ""}, None, {"signature": ""}),
        ({"type": "thinking", "thinking": "", "signature": ""}, "c2ln", {"signature": "c2ln"}),
        ({"type": "thinking", "thinking": "", "signature": None}, "c2ln", {"signature": "c2ln"}),
    ],
)
def test_thinking_without_a_signature_is_kept_for_models_that_do_not_sign(
    block: JsonObject, signature: str | None, origin: JsonObject
) -> None:
    signed = delta(0, "signature", signature) if signature else b""
    begin = event("content_block_start", index=0, content_block=block)
    data = whole(begin, delta(0, "thinking", "Hm."), signed, stop(), tool(1, "weather"), stop(1), reason="tool_use")

    thought, _ = read(data, model="MiniMax-M3").parts
    claudes, _ = read(data).parts

    assert thought == ReasoningPart("Hm.", origin={"provider": "anthropic", "model": "MiniMax-M3"} | origin)
    assert claudes == ReasoningPart("Hm.", origin=ORIGIN | origin if signature else None)


def test_no_stream_of_bytes_ends_but_as_an_answer_or_an_error() -> None:
    data = whole(SAID, tool(1, "weather"), json_of(1, '{"city":', '"Oslo"}'), stop(1), reason="tool_use")
    for found in re.finditer(rb'"[^"]+":("[^"]*"|[0-9]+|null|\{\})', data):
        for odd in (b"null", b"[]", b'{"a":[1]}', b'"x"', b"7", b"-1.5", b"true"):
            changed = data[: found.start(1)] + odd + data[found.end(1) :]
            _, error = events_of(changed, len(changed), ENDPOINT, ask("anthropic"))
            assert error is None or isinstance(error, ProviderError)
