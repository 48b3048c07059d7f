"""Responses as compatible servers send them: told once, twice or late, whole or failed, and with odd figures."""

import json
import re
from typing import Any

import pytest

from ai_agents.core.exceptions import ProviderError, ProviderRejected, ProviderTruncated, UnknownFinishReason
from ai_agents.core.types import ModelMessage, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, Usage
from ai_agents.providers.quirks import Quirks
from tests.wire.requests import ask, sent, user
from tests.wire.responses_events import (
    ARGUMENTS_DONE,
    CALL,
    NAME,
    OTHER,
    SAID,
    SUM,
    THOUGHT,
    USAGE,
    added,
    answer,
    arguments,
    calls_of,
    delta,
    done,
    end,
    event,
    failure,
)


@pytest.mark.parametrize(
    "frames",
    [
        [delta("Good "), delta("day."), end()],
        [
            delta("Good "),
            delta("day."),
            event("output_text.done", output_index=0, text="Good day."),
            done(SAID),
            end(SAID),
        ],
        [event("output_text.done", output_index=0, item_id="msg_1", text="Good day."), end()],
        [event("content_part.done", output_index=0, part=SAID["content"][0]), end()],
        [added(SAID, content=[]), done(SAID), end()],
        [end(SAID)],
        [end(SAID | {"content": "Good day."})],
        [event("completed", response={"status": "completed", "output": [], "output_text": "Good day."})],
        [delta("Good day."), event("completed", response={"status": "completed", "output_text": "Good day."})],
        [delta("Good"), done(SAID), end()],
        [delta("Good"), end(SAID)],
        [delta("Good "), delta("day."), done(SAID | {"id": "msg_another"}), end(SAID | {"id": "msg_a_third"})],
        [delta("Good day.", output_index=1), done(SAID, index=None), end(SAID)],
        [delta("Good day.", content_index=1), done(SAID), end(SAID)],
        [delta("Good day."), done(SAID), done(SAID), end(SAID)],
        [event("output_text.delta", delta="Good day."), event("output_text.done", text="Good day."), end(SAID)],
        [
            delta("Good day."),
            done(SAID),
            event("output_text.done", output_index=0, item_id="msg_1", text="Good day."),
            end(),
        ],
        [delta("Good day."), end(THOUGHT, SAID)],
        [delta("Good day."), done(SAID | {"content": [{"type": "output_text", "text": "Another."}]}), end()],
        [delta("Good day."), event("done", response={"status": "completed"})],
    ],
)
def test_text_is_read_once_wherever_it_is_told(frames: list[bytes]) -> None:
    assert answer(*frames).text == "Good day."


def test_texts_of_two_items_are_two_parts() -> None:
    second = SAID | {"id": "msg_2", "content": [{"type": "output_text", "text": "And you?"}]}

    response = answer(delta("Good day."), done(SAID), done(second, 1), end(SAID, second))

    assert response.parts == (TextPart("Good day."), TextPart("And you?"))


@pytest.mark.parametrize(
    "frames",
    [
        [added(SUM), arguments('{"expression":', output_index=0), arguments('"6*7"}', output_index=0), end()],
        [added(SUM), ARGUMENTS_DONE, end()],
        [added(SUM), arguments(SUM["arguments"], output_index=0, item_id="fc_1"), done(SUM), end(SUM)],
        [added(SUM), arguments(SUM["arguments"], output_index=0), done(CALL), end()],
        [added(SUM), arguments('{"expression":', output_index=0), done(SUM), end()],
        [added(SUM), arguments('{"expression": "6*7"}', output_index=0), done(SUM), end(SUM)],
        [added(SUM, None), arguments(SUM["arguments"], item_id="fc_1"), done(SUM, None), end(SUM)],
        [
            added(SUM),
            arguments(SUM["arguments"], output_index=0, item_id="x1"),
            done(SUM | {"id": "x2"}),
            end(SUM | {"id": "x3"}),
        ],
        [done(SUM), done(SUM), end(SUM)],
        [
            done(SUM),
            event("function_call_arguments.done", output_index=0, item_id="fc_1", arguments=SUM["arguments"]),
            end(),
        ],
        [added(SUM), end(SUM)],
        [end(SUM)],
        [added(SUM, arguments=SUM["arguments"]), end()],
        [done(CALL | {"arguments": {"expression": "6*7"}}), end()],
    ],
)
def test_a_call_is_read_once_wherever_it_is_told(frames: list[bytes]) -> None:
    response = answer(*frames)

    assert (calls_of(response), response.stop_reason) == ([{"expression": "6*7"}], "tool_use")


@pytest.mark.parametrize(
    "frames",
    [
        # Each in its place, with the ids of Bedrock's gateway, which are the same for all items.
        [
            added(SUM, 0, id="fc"),
            added(OTHER, 1, id="fc"),
            arguments('{"expression":"6', output_index=0, item_id="fc"),
            arguments('{"expression":"7', output_index=1, item_id="fc"),
            arguments('*8"}', output_index=1, item_id="fc"),
            arguments('*7"}', output_index=0, item_id="fc"),
            done(CALL | {"id": "fc"}, 0),
            done(CALL | {"id": "fc"}, 1),
            end(),
        ],
        # Without places, as llama.cpp's server sends them.
        [
            added(SUM, None),
            arguments('{"expression":', item_id="fc_1"),
            added(OTHER, None),
            arguments('{"expression":"7*8"}', item_id="fc_2"),
            arguments('"6*7"}', item_id="fc_1"),
            done(SUM, None),
            done(OTHER, None),
            end(SUM, OTHER),
        ],
        # All in one place.
        [
            added(SUM),
            added(OTHER),
            arguments('{"expression":"7*8"}', output_index=0, item_id="fc_2"),
            arguments('{"expression":"6*7"}', output_index=0, item_id="fc_1"),
            done(SUM),
            done(OTHER),
            end(),
        ],
        # With another id in each event, as Copilot sends them.
        [
            added(SUM, 0),
            added(OTHER, 1),
            arguments('{"expression":"6*7"}', output_index=0, item_id="a"),
            arguments('{"expression":"7*8"}', output_index=1, item_id="b"),
            done(SUM | {"id": "c"}, 0),
            done(OTHER | {"id": "d"}, 1),
            end(SUM | {"id": "e"}, OTHER | {"id": "f"}),
        ],
        # One after another, under one id and in one place.
        [done(SUM), done(OTHER | {"id": "fc_1"}), end()],
    ],
    ids=["places", "ids", "one place", "rotating ids", "one key"],
)
def test_the_pieces_of_two_calls_are_kept_apart(frames: list[bytes]) -> None:
    assert calls_of(answer(*frames)) == [{"expression": "6*7"}, {"expression": "7*8"}]


@pytest.mark.parametrize(
    "frames",
    [
        [added(SUM), added(OTHER), arguments('{"expression":"6*7"}', output_index=0), end()],
        [added(SUM, None), added(OTHER, None), arguments('{"expression":"6*7"}'), end()],
        [added(SUM, 0), added(OTHER, 1), arguments("{}", output_index=0, item_id="fc_2"), end()],
        [arguments('{"expression":"6*7"}', output_index=0), end()],
        [added(SUM), arguments(OTHER["arguments"], output_index=0), done(SUM), end()],
        [done(SUM), end(SUM | {"arguments": OTHER["arguments"]})],
        [added(SUM), done(SUM | {"name": "another"}), end()],
        [added(SUM), end()],
        [done(SUM | {"name": ""}), end()],
    ],
)
def test_a_call_that_is_not_told_for_certain_is_an_error(frames: list[bytes]) -> None:
    assert isinstance(failure(*frames), ProviderTruncated)


@pytest.mark.parametrize(
    "ending",
    [
        b"",
        b"data: [DONE]\n\n",
        event("incomplete", response={"status": "incomplete", "incomplete_details": None}),
        event("incomplete", response={}),
        event("incomplete", response={"status": "incomplete", "incomplete_details": {"reason": "a_new_reason"}}),
        event("completed", response={"status": "cancelled"}),
        event("cancelled", response={"status": "cancelled"}),
        event("done", response={"status": "a_new_status"}),
        end(status="failed", error={"code": "server_error", "message": "out of memory"}),
        end(error={"code": "server_error", "message": "out of memory"}),
        event("failed", response={"error": None}),
        b'data: {"type":"error","message":"out of memory"}\n\n',
        b'data: {"error":{"message":"out of memory"}}\n\n',
        b'data: {"error":"out of memory"}\n\n',
    ],
)
def test_an_answer_that_failed_is_not_taken_for_a_whole_one(ending: bytes) -> None:
    assert failure(delta("The first step is to"), ending).retryable


def test_an_answer_of_nothing_is_an_error() -> None:
    assert isinstance(failure(end()), ProviderTruncated)


def test_a_quirk_teaches_a_status() -> None:
    ending = event("done", response={"status": "Eos"})

    assert isinstance(failure(delta("Hi"), ending), UnknownFinishReason)
    assert answer(delta("Hi"), ending, quirks=Quirks(finish_reasons={"eos": "stop"})).stop_reason == "end"


def test_a_terminal_event_without_output_or_usage_ends_the_answer() -> None:
    response = answer(delta("Hi"), b'data: {"type":"response.completed"}\n\n')

    assert (response.text, response.stop_reason, response.usage) == ("Hi", "end", Usage())


def test_a_filtered_answer_without_words_is_refused() -> None:
    filtered = event("incomplete", response={"incomplete_details": {"reason": "content_filter"}})
    azure = event("failed", response={"status": "failed", "error": {"code": "content_filter", "message": "Filtered."}})

    assert answer(delta("I"), filtered).stop_reason == "refusal"
    assert [type(failure(ending)) for ending in (filtered, azure)] == [ProviderRejected, ProviderRejected]


@pytest.mark.parametrize(
    "frames",
    [
        [event("refusal.delta", output_index=0, delta="I will not."), end()],
        [event("refusal.done", output_index=0, refusal="I will not."), end()],
        [end(SAID | {"content": [{"type": "refusal", "refusal": "I will not."}]})],
    ],
)
def test_a_refusal_is_read_wherever_it_is_told(frames: list[bytes]) -> None:
    response = answer(*frames)

    assert (response.text, response.stop_reason) == ("I will not.", "refusal")


def test_an_answer_that_used_up_its_limit_is_not_whole_although_the_server_says_so() -> None:
    """As llama.cpp's server does."""
    assert answer(delta("Hi"), end(usage={"output_tokens": 20}), limit=20).stop_reason == "max_tokens"
    assert answer(delta("Hi"), end(usage={"output_tokens": 19}), limit=20).stop_reason == "end"


@pytest.mark.parametrize(
    "frames",
    [
        [
            event("reasoning_text.delta", output_index=0, item_id="rs_1", delta="Hm."),
            done(THOUGHT),
            delta("Hi", output_index=1),
        ],
        [event("reasoning.delta", output_index=0, item_id="rs_1", delta="Hm."), delta("Hi", output_index=1)],
        [event("reasoning_text.done", output_index=0, item_id="rs_1", text="Hm."), delta("Hi", output_index=1)],
        [done(THOUGHT), delta("Hi", output_index=1)],
        # Of two forms of the same reasoning only the first one is read.
        [
            event("reasoning_text.delta", output_index=0, item_id="rs_1", delta="Hm."),
            event("reasoning_summary_text.delta", output_index=0, item_id="rs_1", delta="A thought."),
            done(THOUGHT | {"summary": [{"type": "summary_text", "text": "A thought."}]}),
            delta("Hi", output_index=1),
        ],
        # llama.cpp's server ends the reasoning after the text.
        [
            added(THOUGHT, None, content=[]),
            event("reasoning_text.delta", item_id="rs_1", delta="Hm."),
            event("output_text.delta", item_id="msg_1", delta="Hi"),
            done(THOUGHT | {"encrypted_content": ""}, None),
        ],
    ],
)
def test_plain_reasoning_is_read_and_goes_back_within_its_turn(frames: list[bytes]) -> None:
    response = answer(*frames, end())

    origin = {"provider": "openai", "model": "gpt-5.6-terra", "raw": "rs_1"}
    assert response.parts == (ReasoningPart("Hm.", origin=origin), TextPart("Hi"))
    calling = (*response.parts, ToolCallPart("call_0", "calculator", {}))
    said, gave = ModelMessage("assistant", calling), ModelMessage("tool", (ToolResultPart("call_0", "calculator", 42),))
    under_way, over = (sent(NAME, ask(NAME, user(), said, gave, *more))["input"] for more in ([], [user()]))
    assert under_way[1] == THOUGHT
    assert THOUGHT not in over
    assert THOUGHT not in sent(NAME, ask(NAME, user(), said, gave, model="gpt-6-sol"))["input"]


def test_encrypted_reasoning_goes_back_with_all_that_its_provider_put_into_it() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": "gAAA",
        "format": "x",
        "signature": "s",
    }

    response = answer(done(item | {"status": None, "content": []}), delta("Hi", output_index=1), end())

    (thought, _) = response.parts
    assert isinstance(thought, ReasoningPart)
    assert thought.origin is not None
    assert thought.origin["item"] == item


def test_a_whole_body_is_read_where_a_stream_was_asked_for() -> None:
    body = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [THOUGHT, SAID, SUM]}

    response = answer(json.dumps(body | {"usage": USAGE}, indent=1).encode())

    assert [type(part) for part in response.parts] == [ReasoningPart, TextPart, ToolCallPart]
    assert (response.text, calls_of(response), response.model) == ("Good day.", [{"expression": "6*7"}], "m")
    assert response.usage == Usage(9, 5)


@pytest.mark.parametrize(
    "body, kind, retryable",
    [
        ({"error": {"code": "insufficient_quota", "message": "You have no credit left."}}, ProviderError, False),
        ({"object": "chat.completion", "choices": [{"message": {"content": "Hi"}}]}, ProviderRejected, False),
        ({"status": "in_progress", "output": []}, ProviderTruncated, True),
        ({"output": [SAID]}, ProviderTruncated, True),
        ({"detail": "Not Found"}, ProviderTruncated, True),
    ],
)
def test_a_body_that_is_no_answer_is_an_error(body: Any, kind: type[ProviderError], retryable: bool) -> None:
    error = failure(json.dumps(body).encode())

    assert isinstance(error, kind)
    assert error.retryable is retryable


@pytest.mark.parametrize(
    "usage, expected",
    [
        ({"input_tokens": 9, "output_tokens": 5}, Usage(9, 5)),
        ({"input_tokens": "9", "output_tokens": 5.0}, Usage(9, 5)),
        ({"prompt_tokens": 9, "completion_tokens": 5}, Usage(9, 5)),
        ({"input_tokens": [9], "output_tokens": 5, "input_tokens_details": [4]}, Usage(None, 5)),
        ({"input_tokens": True, "output_tokens": -1, "output_tokens_details": "x"}, Usage()),
        (
            {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4.0, "cache_write_tokens": 2}},
            Usage(9, cached_input_tokens=4, cache_write_tokens=2),
        ),
        (
            {
                "input_tokens": 9,
                "output_tokens": 5,
                "total_tokens": 21,
                "output_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(9, 12, reasoning_tokens=7),
        ),
        ([], Usage()),
        (None, Usage()),
        ("x", Usage()),
    ],
)
def test_usage_is_read_in_every_form(usage: Any, expected: Usage) -> None:
    assert answer(delta("Hi"), end(usage=usage)).usage == expected


@pytest.mark.parametrize(
    "odd",
    [
        event("output_item.added", item=[]),
        event("output_item.added", item=None, output_index="x"),
        event("output_item.done", item={"type": {"a": 1}, "id": 5}),
        event("created", response=[1]),
        event("content_part.done", part="x"),
        event("output_text.annotation.added", annotation=[]),
        event("output_text.delta", delta=None),
        event("in_progress", response={"model": {}}),
        b'data: {"type":["x"]}\n\n',
        b'data: {"type":"response.output_text.delta","error":null,"output_index":0,"item_id":"msg_1"}\n\n',
        b'data: {"logprobs":[NaN,-Infinity]}\n\n',
        b": ping\n\ndata: ping\n\n",
    ],
)
def test_an_odd_event_loses_nothing_but_itself(odd: bytes) -> None:
    response = answer(delta("Good "), odd, delta("day."), end())

    assert (response.text, response.stop_reason, response.usage) == ("Good day.", "end", Usage(9, 5))


def test_bytes_that_are_no_text_are_cleaned_and_the_answer_is_kept() -> None:
    first, second = delta("caf\\udcff").replace(b"\\\\udcff", b"\xc3"), b'data: {"type":"response.output_text.delta",'
    half = rb'"output_index":0,"item_id":"msg_1","content_index":0,"delta":"\ud83d"}' + b"\n\n"

    response = answer(first, second + half, second + half.replace(b"ud83d", b"ude00"), end())

    assert response.text == "caf\ufffd😀"


def test_an_integer_beyond_64_bits_does_not_become_a_float() -> None:
    (text,) = answer(done(CALL | {"arguments": '{"n": 12345678901234567890123}'}), end()).tool_calls
    (told,) = answer(done(CALL | {"arguments": {"n": 12345678901234567890123}}), end()).tool_calls

    assert (text.arguments, told.arguments) == ({}, {})
    assert text.malformed == '{"n": 12345678901234567890123}'
    assert told.malformed is not None


@pytest.mark.parametrize(
    "raw, expected",
    [('{}{"n":1}', {"n": 1}), ('{"n":1}{"n":1}', {"n": 1}), ('"{\\"n\\":1}"', {"n": 1}), ("null", {}), ("", {})],
)
def test_arguments_that_can_be_read_in_one_way_are_read(raw: str, expected: dict[str, int]) -> None:
    assert calls_of(answer(done(CALL | {"arguments": raw}), end())) == [expected]


def test_ids_of_calls_have_the_form_that_every_server_takes() -> None:
    calling = ModelMessage("assistant", tuple(ToolCallPart(f"call_{n}", "calculator", {}) for n in (1, 2)))
    gave = ModelMessage("tool", tuple(ToolResultPart(f"call_{n}", "calculator", n) for n in (1, 2)))

    _, *items = sent(NAME, ask(NAME, user(), calling, gave))["input"]

    ids = [item["call_id"] for item in items]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", call_id) for call_id in ids)


@pytest.mark.parametrize(
    "tied",
    [
        {"call_id": "call_1__thought__c2lnbmF0dXJl"},
        {"provider_specific_fields": {"thought_signature": "c2ln"}},
        {"extra_content": {"google": {"thought_signature": "c2ln"}}},
    ],
)
def test_what_a_server_ties_to_a_call_goes_back_to_it_alone(tied: dict[str, Any]) -> None:
    """As LiteLLM does with Gemini's signatures."""
    (call,) = answer(done(SUM | tied | {"index": 0}), end()).tool_calls
    said = ModelMessage("assistant", (call,))
    gave = ModelMessage("tool", (ToolResultPart(call.tool_call_id, "calculator", 42),))

    _, item, output = sent(NAME, ask(NAME, user(), said, gave))["input"]
    elsewhere = sent(NAME, ask(NAME, user(), said, gave, model="gpt-6-sol"))["input"][1]

    assert item | tied == item
    assert "index" not in item
    assert output["call_id"] == item["call_id"]
    assert "c2ln" not in str(elsewhere)
