"""OpenAI's Responses: the exact requests, and how its own bytes are parsed."""

import re
from typing import Any

import orjson
import pytest

from ai_agents.core.exceptions import ProviderError, ProviderRateLimited, ProviderRejected, ProviderTruncated
from ai_agents.core.types import (
    ModelMessage,
    PartDelta,
    ReasoningPart,
    ResponseEnd,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from ai_agents.providers.http_provider import HTTPProvider
from ai_agents.providers.quirks import Endpoint, Quirks
from ai_agents.providers.rendering import ASSISTANT_BEGINS, UNANSWERED
from tests.fakes.answers import Answer, Call, Raw, Reasoning, Text, say
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, FORMATS, ask, assistant, events_until_error, sent, user

NAME = "responses"
MODEL = "gpt-5.6-terra"

# As https://developers.openai.com/api/reference/resources/responses/streaming-events shows each event, read 2026-11-22;
# shortened, words changed.
THINKING_AND_CALLING = rb"""event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_67","object":"response","created_at":1763769600,"status":"in_progress","error":null,"incomplete_details":null,"model":"gpt-5.6-terra-2026-09-01","output":[],"store":false,"usage":null}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"rs_67","type":"reasoning","summary":[],"encrypted_content":"gAAA-unfinished"}}

event: response.reasoning_summary_part.added
data: {"type":"response.reasoning_summary_part.added","sequence_number":3,"item_id":"rs_67","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","sequence_number":4,"item_id":"rs_67","output_index":0,"summary_index":0,"delta":"**Working it out**","obfuscation":"x9"}

event: response.reasoning_summary_text.done
data: {"type":"response.reasoning_summary_text.done","sequence_number":5,"item_id":"rs_67","output_index":0,"summary_index":0,"text":"**Working it out**"}

event: response.reasoning_summary_part.added
data: {"type":"response.reasoning_summary_part.added","sequence_number":6,"item_id":"rs_67","output_index":0,"summary_index":1,"part":{"type":"summary_text","text":""}}

event: response.reasoning_summary_text.delta
data: {"type":"response.reasoning_summary_text.delta","sequence_number":7,"item_id":"rs_67","output_index":0,"summary_index":1,"delta":"With a tool."}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":8,"output_index":0,"item":{"id":"rs_67","type":"reasoning","summary":[{"type":"summary_text","text":"**Working it out**"},{"type":"summary_text","text":"With a tool."}],"encrypted_content":"gAAAAABo"}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":9,"output_index":1,"item":{"id":"fc_67","type":"function_call","status":"in_progress","arguments":"","call_id":"call_9","name":"calculator"}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","sequence_number":10,"item_id":"fc_67","output_index":1,"delta":"{\"expression\":"}

event: response.function_call_arguments.done
data: {"type":"response.function_call_arguments.done","sequence_number":11,"item_id":"fc_67","output_index":1,"arguments":"{\"expression\":\"6*7\"}"}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":12,"output_index":1,"item":{"id":"fc_67","type":"function_call","status":"completed","arguments":"{\"expression\":\"6*7\"}","call_id":"call_9","name":"calculator"}}

event: response.an_event_that_was_added_later
data: {"type":"response.an_event_that_was_added_later","sequence_number":13}

event: response.completed
data: {"type":"response.completed","sequence_number":14,"response":{"id":"resp_67","object":"response","status":"completed","model":"gpt-5.6-terra-2026-09-01","output":[],"usage":{"input_tokens":75,"input_tokens_details":{"cached_tokens":64,"cache_write_tokens":2},"output_tokens":115,"output_tokens_details":{"reasoning_tokens":90},"total_tokens":190}}}

"""  # noqa: E501  # as it is sent
ITEM = {
    "type": "reasoning",
    "id": "rs_67",
    "summary": [
        {"type": "summary_text", "text": "**Working it out**"},
        {"type": "summary_text", "text": "With a tool."},
    ],
    "encrypted_content": "gAAAAABo",
}
ORIGIN = {"provider": "openai", "model": MODEL}


def event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


async def test_the_request_is_exactly_this(fake: FakeProviderServer, connect: Connect) -> None:
    settings = {"max_tokens": 100, "reasoning": "low", "temperature": 0.5, "stop": ("END",)}

    await connect(NAME).complete(
        ask(NAME, user("Hi"), assistant("Hello"), user("?"), system="Be brief.", tools=(CALCULATOR,), settings=settings)
    )

    (request,) = fake.requests
    assert request.path == "/v1/responses"
    assert request.json == {
        "model": MODEL,
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 100,
        "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [
            {
                "type": "function",
                "name": "calculator",
                "description": "Works out an expression.",
                "parameters": {
                    "type": "object",
                    "properties": {"expression": {"type": "string"}},
                    "required": ["expression"],
                },
                "strict": False,
            }
        ],
        "instructions": "Be brief.",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
            },
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "?"}]},
        ],
    }
    assert request.headers["authorization"] == "Bearer a-key"


async def test_thinking_and_a_call_are_read(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([THINKING_AND_CALLING])])

    response = await connect(NAME).complete(ask(NAME, tools=(CALCULATOR,)))

    thought, wish = response.parts
    assert thought == ReasoningPart("**Working it out**\n\nWith a tool.", origin=ORIGIN | {"item": ITEM})
    assert isinstance(wish, ToolCallPart)
    assert (wish.name, wish.arguments, wish.malformed) == ("calculator", {"expression": "6*7"}, None)
    assert (response.stop_reason, response.model) == ("tool_use", "gpt-5.6-terra-2026-09-01")
    assert response.usage == Usage(75, 115, cached_input_tokens=64, reasoning_tokens=90, cache_write_tokens=2)


async def test_reasoning_goes_back_to_its_own_model_only(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([THINKING_AND_CALLING]), say("42")])
    provider = connect(NAME)

    asked = await provider.complete(ask(NAME, tools=(CALCULATOR,)))
    result = ModelMessage("tool", (ToolResultPart(asked.tool_calls[0].tool_call_id, "calculator", {"value": 42}),))
    history = (user(), ModelMessage("assistant", asked.parts), result)
    await provider.complete(ask(NAME, *history, assistant("42"), user(), tools=(CALCULATOR,)))

    received = fake.received(NAME)[1].json["input"]
    call_id = received[2]["call_id"]
    assert re.fullmatch("[A-Za-z0-9]{9}", call_id)  # as Mistral's models want it
    assert received[1:4] == [
        ITEM,
        {"type": "function_call", "call_id": call_id, "name": "calculator", "arguments": '{"expression":"6*7"}'},
        {"type": "function_call_output", "call_id": call_id, "output": '{"value":42}'},
    ]
    elsewhere = sent(NAME, ask(NAME, *history, model="gpt-6-sol"))["input"]
    assert [item.get("type") for item in elsewhere] == ["message", "function_call", "function_call_output"]


def test_reasoning_without_an_answer_after_it_is_left_out() -> None:
    thought = ReasoningPart("", origin=ORIGIN | {"item": ITEM})

    rendered = sent(NAME, ask(NAME, user("a"), ModelMessage("assistant", (thought, TextPart(" "))), user("b")))

    assert rendered["input"] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text} for text in ("a", "b")]}
    ]


@pytest.mark.parametrize(
    "reason, stop_reason",
    [("max_output_tokens", "max_tokens"), ("content_filter", "refusal")],
)
async def test_the_reason_is_read(reason: str, stop_reason: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [say("Hi", stop=reason), say("Hi")])
    provider = connect(NAME)

    assert (await provider.complete(ask(NAME))).stop_reason == stop_reason
    assert (await provider.complete(ask(NAME))).stop_reason == "end"


async def test_a_refusal_is_text_with_its_own_stop_reason(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(
        NAME,
        [
            Raw(
                [
                    event('{"type":"response.refusal.delta","output_index":0,"content_index":0,"delta":"I will not."}'),
                    event('{"type":"response.completed","response":{"status":"completed","output":[]}}'),
                ]
            )
        ],
    )

    response = await connect(NAME).complete(ask(NAME))

    assert (response.text, response.stop_reason) == ("I will not.", "refusal")


async def test_a_call_cut_by_the_limit_is_malformed(fake: FakeProviderServer, connect: Connect) -> None:
    cut = Answer([Call("calculator", '{"a": 1}'), Call("calculator", '{"expression": "6*')], stop="max_output_tokens")
    begun = Answer([Call("calculator", "")], stop="max_output_tokens")
    fake.script(NAME, [cut, begun])
    provider = connect(NAME)

    whole, halved = (await provider.complete(ask(NAME))).tool_calls
    (unbegun,) = (await provider.complete(ask(NAME))).tool_calls

    assert (whole.arguments, whole.malformed) == ({"a": 1}, None)
    assert (halved.arguments, halved.malformed) == ({}, '{"expression": "6*')
    assert unbegun.malformed is not None


async def test_parts_keep_their_order(fake: FakeProviderServer, connect: Connect) -> None:
    one, two = Call("calculator", {"n": 1}), Call("calculator", {"n": 2})
    fake.script(NAME, [Answer([Reasoning(["a"], "first"), one, Reasoning(["b"], "second"), two, Text(["Wait."])])])

    asked = await connect(NAME).complete(ask(NAME, tools=(CALCULATOR,)))

    results = tuple(ToolResultPart(call.tool_call_id, call.name, "1") for call in asked.tool_calls)
    items = sent(NAME, ask(NAME, user(), ModelMessage("assistant", asked.parts), ModelMessage("tool", results)))[
        "input"
    ]
    assert [item.get("encrypted_content") or item.get("role") or item["type"] for item in items] == [
        "user",
        "first",
        "function_call",
        "second",
        "function_call",
        "assistant",
        "function_call_output",
        "function_call_output",
    ]


@pytest.mark.parametrize(
    "failure, kind",
    [
        ('{"type":"error","code":"server_error","message":"secret","param":null}', ProviderError),
        ('{"type":"error","code":"rate_limit_exceeded","message":"secret"}', ProviderRateLimited),
        (
            '{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"secret"}}}',
            ProviderError,
        ),
        (
            '{"type":"response.failed","response":{"error":{"code":"invalid_prompt","message":"secret"}}}',
            ProviderRejected,
        ),
    ],
)
async def test_late_error(failure: str, kind: type[ProviderError], fake: FakeProviderServer, connect: Connect) -> None:
    """An error inside the stream comes after the text before it."""
    said = '{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Good day"}'
    fake.script(NAME, [Raw([event(said), event(failure)])])

    events, error = await events_until_error(connect(NAME), ask(NAME))

    assert "".join(event.text for event in events if isinstance(event, PartDelta)) == "Good day"
    assert (type(error), error.retryable) == (kind, kind is not ProviderRejected)
    assert "secret" not in str(error)


async def test_a_stream_without_its_end_is_an_error(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [Raw([THINKING_AND_CALLING[: THINKING_AND_CALLING.index(b"event: response.completed")]])])

    events, error = await events_until_error(connect(NAME), ask(NAME))

    assert type(error) is ProviderTruncated
    assert not any(isinstance(event, ResponseEnd) for event in events)


@pytest.mark.parametrize(
    "model, settings, expected",
    [
        ("gpt-4o", {"reasoning": "high", "temperature": 0.5}, {"temperature": 0.5}),
        ("gpt-4o", {"max_tokens": 5}, {"max_output_tokens": 16}),
        ("o3", {"reasoning": "none", "temperature": 0.5}, {"reasoning": {"effort": "low"}}),
        ("gpt-5.6-terra", {"reasoning": "none"}, {"reasoning": {"effort": "none"}}),
        ("gpt-5.6-terra", {}, {}),
        ("somebodys-model", {"reasoning": "none", "top_p": 0.5}, {"top_p": 0.5}),
    ],
)  # fmt: skip
def test_settings_have_the_models_form(model: str, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    payload = sent(NAME, ask(NAME, model=model, settings=settings))

    assert {k: v for k, v in payload.items() if k not in {"model", "stream", "store", "include", "input"}} == expected
    assert ("include" in payload) is (model in {"o3", "gpt-5.6-terra"})


def roles(payload: dict[str, Any]) -> list[str]:
    return [item.get("role") or item["type"] for item in payload["input"]]


def texts(payload: dict[str, Any]) -> list[list[str]]:
    return [[part["text"] for part in item["content"]] for item in payload["input"] if "role" in item]


def test_neighbours_of_one_role_are_joined() -> None:
    payload = sent(NAME, ask(NAME, user("a"), user("b"), assistant("c"), assistant("d"), user("e")))

    assert roles(payload) == ["user", "assistant", "user"]
    assert texts(payload) == [["a", "b"], ["c\n\nd"], ["e"]]
    assert [item.get("id") for item in payload["input"]] == [None, "msg_1", None]


def test_a_greeting_and_a_result_without_an_answer_have_their_counterpart() -> None:
    called = ModelMessage("assistant", (ToolCallPart("call_0", "calculator", {}),))
    gave = ModelMessage("tool", (ToolResultPart("call_0", "calculator", 42),))

    payload = sent(NAME, ask(NAME, assistant("Welcome!"), user("a"), called, gave, user("b")))

    assert roles(payload) == [
        *("user", "assistant", "user", "function_call", "function_call_output", "assistant", "user"),
    ]
    assert texts(payload) == [[ASSISTANT_BEGINS], ["Welcome!"], ["a"], [UNANSWERED], ["b"]]


def test_a_model_of_another_server_is_also_asked_for_the_schema_in_words() -> None:
    """Some servers ignore the format."""
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}

    def formed(model: str, **quirks: Any) -> tuple[bool, bool]:
        payload = sent(NAME, ask(NAME, model=model, output_schema=schema), **quirks)
        return "text" in payload, "JSON Schema" in payload.get("instructions", "")

    assert formed("gpt-4o") == (True, False)
    assert formed("qwen3") == (True, True)
    assert formed("qwen3", schema="enforced") == (True, False)
    assert formed("gpt-4o", schema="instructed") == (False, True)


def test_quirks_overrule_what_the_name_of_the_model_tells() -> None:
    request = ask(NAME, tools=(CALCULATOR,), settings={"temperature": 0.5, "reasoning": "low"})

    payload = sent(
        NAME, request, sampling=True, reasoning_summary=False, encrypted_reasoning=False, store=False, strict=False
    )
    bare = sent(NAME, request, reasoning=False, tools=False)

    assert payload["temperature"] == 0.5
    assert payload["reasoning"] == {"effort": "low"}
    assert not {"include", "store"} & payload.keys()
    assert "strict" not in payload["tools"][0]
    assert not {"reasoning", "tools"} & bare.keys()


async def test_a_refused_parameter_is_left_out_and_remembered(fake: FakeProviderServer, connect: Connect) -> None:
    said = {"message": "Your organization must be verified to use it.", "param": "reasoning.summary"}
    fake.script(NAME, [Raw([orjson.dumps({"error": said})], status=400), say("Hi"), say("Hi")])
    provider = connect(NAME)
    assert isinstance(provider, HTTPProvider)

    for _ in range(2):
        await provider.complete(ask(NAME, settings={"reasoning": "low"}))

    asked = [received.json["reasoning"] for received in fake.received(NAME)]
    assert asked == [{"effort": "low", "summary": "auto"}, {"effort": "low"}, {"effort": "low"}]
    assert provider.learned.all() == {MODEL: Quirks(reasoning_summary=False)}


@pytest.mark.parametrize(
    "message, parameter, quirks",
    [
        ("Your organization must be verified.", "reasoning.summary", Quirks(reasoning_summary=False)),
        ("Encrypted content is not supported with this model.", "include", Quirks(encrypted_reasoning=False)),
        ("Unsupported parameter: 'temperature' is not supported.", None, None),
        ("Unknown parameter: 'store'.", "store", Quirks(store=False)),
        ("body.store: Extra inputs are not permitted, `store`", None, Quirks(store=False)),
        ("Extra inputs are not permitted", "tools[0].strict", Quirks(strict=False)),
        ("Unsupported value", "text.format", Quirks(schema="instructed")),
        ("Unsupported value: 'low'", "reasoning.effort", None),
        ("Invalid schema for response_format 'answer'", "text.format.schema", None),
        ("Item of type 'reasoning' was provided without its required following item.", "input", None),
        ("Please include a valid key in store.", None, None),
    ],
)
def test_a_refusal_that_names_what_was_added_teaches_a_quirk(
    message: str, parameter: str | None, quirks: Quirks | None
) -> None:
    settings = {"reasoning": "low", "temperature": 0.5}
    request = ask(NAME, tools=(CALCULATOR,), settings=settings, output_schema={"type": "object", "properties": {}})
    error = ProviderRejected(message)
    error.upstream, error.parameter = {"status": 400, "message": message}, parameter

    assert FORMATS[NAME].remedy(error, sent(NAME, request, sampling=True)) == quirks


def test_an_effort_that_only_turns_reasoning_off_is_left_out_once_it_was_refused() -> None:
    request = ask(NAME, model="o3", settings={"reasoning": "none"})
    error = ProviderRejected("no")
    error.upstream, error.parameter = {"status": 400, "message": "no"}, "reasoning.effort"
    payload = sent(NAME, request)
    payload["reasoning"] = {"effort": "minimal"}

    assert FORMATS[NAME].remedy(error, payload) == Quirks(reasoning=False)


def test_notices_tell_what_the_model_does_not_take() -> None:
    def told(model: str, *, settings: dict[str, Any], **quirks: Any) -> list[Any]:
        request = ask(NAME, model=model, settings=settings, tools=(CALCULATOR,))
        notices = FORMATS[NAME].left_out(request, Endpoint("openai", Quirks(**quirks)))
        return [notice.get("setting") or notice.get("tool") for notice in notices]

    settings = {"temperature": 0.5, "top_p": 0.5, "stop": ("END",), "reasoning": "low"}
    assert told(MODEL, settings=settings) == ["temperature", "top_p", "stop"]
    assert told("gpt-4o", settings=settings) == ["stop", "reasoning"]
    assert told("somebodys-model", settings=settings) == ["stop"]
    assert told(MODEL, settings=settings, sampling=True) == ["stop"]
    assert told("somebodys-model", settings={}, tools=False) == ["calculator"]
    assert told(MODEL, settings={"reasoning": "none"}) == []
