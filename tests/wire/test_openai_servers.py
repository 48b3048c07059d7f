"""What compatible servers send in other places and forms than OpenAI: reasoning, usage, errors, whole bodies."""

import json
from typing import Any

import pytest

from ai_agents.core.exceptions import (
    ContextExceeded,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderTruncated,
)
from ai_agents.core.types import ModelResponse, PartDelta, ReasoningPart, TextPart, Usage
from tests.fakes.answers import Raw
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, ask, events_until_error

NAME = "openai"


def stream(*chunks: str, done: bool = True) -> Raw:
    """A stream of these chunks, as JSON."""
    lines = [f"data: {chunk}\n\n" for chunk in chunks]
    return Raw(["".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()])


def choice(delta: str, finish: str = "null", more: str = "") -> str:
    return f'{{"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}{more}}}]}}'


STOP = choice("{}", '"stop"')
YES = choice('{"content":"Yes"}')


async def read(fake: FakeProviderServer, connect: Connect, answer: Raw) -> ModelResponse:
    fake.script(NAME, [answer])
    return await connect(NAME).complete(ask(NAME, model="some-model", tools=(CALCULATOR,)))


# Reasoning.

THINKING = '{"type":"thinking","thinking":[{"type":"text","text":"%s"}]}'


async def test_mistrals_thinking_in_a_list_of_parts_is_reasoning(fake: FakeProviderServer, connect: Connect) -> None:
    thoughts = [choice(f'{{"content":[{THINKING % text}]}}') for text in ("Hm", ", so")]
    both = choice(f'{{"content":[{THINKING % "."},{{"type":"text","text":"Ye"}},{{"type":"reference","ids":[1]}}]}}')

    response = await read(fake, connect, stream(*thoughts, both, choice('{"content":"s"}'), STOP))

    assert response.parts == (ReasoningPart("Hm, so."), TextPart("Yes"))


@pytest.mark.parametrize(
    "content, text",
    [
        ('{"type":"text","text":"Yes"}', "Yes"),
        ('["Ye",{"text":"s"},{"type":"output_text","text":"!"}]', "Yes!"),
        ('[{"type":"thinking","thinking":"Hm"},{"type":"text","text":"Yes"}]', "Yes"),
        ('[{"type":"text","text":null},{"type":"text","text":"Yes"}]', "Yes"),
    ],
)
async def test_content_is_read_in_any_form(content: str, text: str, fake: FakeProviderServer, connect: Connect) -> None:
    assert (await read(fake, connect, stream(choice(f'{{"content":{content}}}'), STOP))).text == text


async def test_tags_of_thinking_stay_in_the_text(fake: FakeProviderServer, connect: Connect) -> None:
    response = await read(fake, connect, stream(choice('{"content":"<think>Hm</think>Yes"}'), STOP))

    assert response.parts == (TextPart("<think>Hm</think>Yes"),)


async def test_reasoning_in_two_fields_at_once_is_read_once(fake: FakeProviderServer, connect: Connect) -> None:
    thought = choice(
        '{"reasoning":"Hm","reasoning_content":"Hm","reasoning_details":[{"type":"reasoning.text","text":"Hm"}]}'
    )

    response = await read(fake, connect, stream(thought, YES, STOP))

    assert [part.text for part in response.parts if isinstance(part, ReasoningPart)] == ["Hm"]


# Usage.


@pytest.mark.parametrize(
    "chunk, usage",
    [
        ('{"choices":[{"index":0,"delta":{},"usage":{"prompt_tokens":9,"completion_tokens":2}}]}', Usage(9, 2)),
        ('{"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":9,"completion_tokens":2}}}', Usage(9, 2)),
        ('{"usage":{"prompt_tokens":9,"completion_tokens":2}}', Usage(9, 2)),
        ('{"usage":{"prompt_tokens":9.0,"completion_tokens":"2"}}', Usage(9, 2)),
        ('{"usage":{"prompt_tokens":9,"completion_tokens":NaN}}', Usage(9)),
        ('{"usage":{"prompt_tokens":-9,"completion_tokens":2.5}}', Usage()),
        ('{"usage":[9,2]}', Usage()),
        ('{"usage":"9"}', Usage()),
        ('{"usage":{"prompt_tokens":9,"prompt_tokens_details":[4],"completion_tokens_details":"x"}}', Usage(9)),
        ('{"usage":{"prompt_tokens":9,"completion_tokens":2,"cached_tokens":0}}', Usage(9, 2, cached_input_tokens=0)),
        (
            '{"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":16,"reasoning_tokens":5}}',
            Usage(9, 7, reasoning_tokens=5),
        ),
        (
            '{"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16,"reasoning_tokens":5}}',
            Usage(9, 7, reasoning_tokens=5),
        ),
        (
            '{"usage":{"prompt_tokens":9,"completion_tokens":7,"prompt_tokens_details":{"cache_write_tokens":4}}}',
            Usage(9, 7, cache_write_tokens=4),
        ),
    ],
)
async def test_usage_is_read_where_it_stands(
    chunk: str, usage: Usage, fake: FakeProviderServer, connect: Connect
) -> None:
    assert (await read(fake, connect, stream(YES, STOP, chunk))).usage == usage


async def test_a_later_nothing_does_not_replace_a_figure(fake: FakeProviderServer, connect: Connect) -> None:
    first = '{"usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":8}}}'
    later = '{"usage":{"prompt_tokens":0,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0}}}'
    odd = '{"usage":{"prompt_tokens":null,"completion_tokens":[2],"prompt_tokens_details":null}}'

    response = await read(fake, connect, stream(first, YES, later, STOP, odd))

    assert response.usage == Usage(9, 2, cached_input_tokens=8)


async def test_the_usage_of_an_answer_that_fails_is_kept(fake: FakeProviderServer, connect: Connect) -> None:
    failed = '{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2},"error":{"code":502,"message":"gone"}}'
    fake.script(NAME, [stream(YES, failed)])

    _, error = await events_until_error(connect(NAME), ask(NAME))

    assert error.usage == Usage(9, 2)


# Failures.


@pytest.mark.parametrize(
    "last",
    [
        choice("{}", '"error"'),
        choice("{}", '"ERROR"'),
        choice("{}", '"abort"'),
        choice("{}", '"insufficient_system_resource"'),
        choice("{}", '{"type":"stop"}'),
        choice("{}", '"error"') + "\n\ndata: " + STOP,
        choice("{}", '"tool_calls"'),
        choice("{}", "null"),
        choice("{}", '""'),
    ],
)
async def test_a_failure_is_not_taken_for_an_answer(last: str, fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [stream(YES, last)])

    events, error = await events_until_error(connect(NAME), ask(NAME))

    assert isinstance(error, ProviderTruncated)
    assert error.retryable
    assert PartDelta(0, "text", "Yes") in events


@pytest.mark.parametrize(
    "failure, kind, said",
    [
        (choice("{}", '"error"', ',"error":{"code":502,"message":"upstream gone"}'), ProviderError, "upstream gone"),
        ('{"choices":[],"x_groq":{"error":"over capacity"}}', ProviderError, "over capacity"),
        ('{"error":{"code":"429","message":"slow down"}}', ProviderRateLimited, "slow down"),
        ('{"error":{"status":"RESOURCE_EXHAUSTED","message":"quota"}}', ProviderRateLimited, "quota"),
        ('{"error":{"status_code":400,"message":"bad"}}', ProviderRejected, "bad"),
        ('{"object":"error","type":"BadRequestError","message":"bad","code":40001}', ProviderRejected, "bad"),
        ('{"error":{"message":"This model\'s maximum context length is 9 tokens"}}', ContextExceeded, None),
        ('{"error":{"error":{"type":"overloaded_error","message":"busy"}}}', ProviderError, "busy"),
        (
            '{"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"no such tool"}}}',
            ProviderRejected,
            "Provider returned error: no such tool",
        ),
        ('{"error":{"code":504,"message":"late"}}', ProviderTimeout, "late"),
        ('{"error":true}', ProviderError, ""),
        ('{"error":["odd"]}', ProviderError, ""),
    ],
)
async def test_an_error_in_the_stream_is_told_in_the_servers_words(
    failure: str, kind: type[ProviderError], said: str | None, fake: FakeProviderServer, connect: Connect
) -> None:
    fake.script(NAME, [stream(YES, failure, STOP)])

    events, error = await events_until_error(connect(NAME), ask(NAME))

    assert PartDelta(0, "text", "Yes") in events
    assert type(error) is kind
    assert error.upstream is not None
    assert said is None or error.upstream["message"] == said


async def test_a_key_that_a_server_quotes_in_its_stream_is_masked(fake: FakeProviderServer, connect: Connect) -> None:
    fake.script(NAME, [stream(YES, '{"error":{"code":401,"message":"a-key and sk-proj-0123456789abcdef are wrong"}}')])

    _, error = await events_until_error(connect(NAME), ask(NAME))

    assert error.upstream == {"status": 401, "message": "*** and *** are wrong"}


# Bytes that are not events.


async def test_heartbeats_are_skipped(fake: FakeProviderServer, connect: Connect) -> None:
    beats = (
        b": OPENROUTER PROCESSING\n\ndata: ping\n\nevent: ping\ndata: {}\n\ndata:\n\ndata: 1\n\nevent: keep-alive\n\n"
    )
    body = b"".join(beats + f"data: {chunk}\n\n".encode() for chunk in (YES, STOP)) + beats + b"data: [DONE]\n\n"

    assert (await read(fake, connect, Raw([body]))).text == "Yes"


@pytest.mark.parametrize("body", [f"{YES[:-2]},{STOP[12:]}", f"{YES}\n{STOP}\n", f"\ufeff {YES}\n{STOP}"])
async def test_chunks_without_a_stream_around_them_are_read(
    body: str, fake: FakeProviderServer, connect: Connect
) -> None:
    response = await read(fake, connect, Raw([body.encode()]))

    assert (response.text, response.stop_reason) == ("Yes", "end")


async def test_pieces_in_message_for_delta_are_read(fake: FakeProviderServer, connect: Connect) -> None:
    pieces = (YES.replace("delta", "message"), choice('{"content":", sir"}').replace("delta", "message"))
    whole = choice('{"content":"Yes, sir"}', '"stop"').replace("delta", "message")

    assert (await read(fake, connect, stream(*pieces, STOP))).text == "Yes, sir"
    assert (await read(fake, connect, stream(*pieces, whole))).text == "Yes, sir"


@pytest.mark.parametrize(
    "body", [b'{"error":{"code":"insufficient_quota","message":"pay"}}', b'[{"error":{"code":403}}]']
)
async def test_an_error_with_status_200_is_not_asked_again(
    body: bytes, fake: FakeProviderServer, connect: Connect
) -> None:
    fake.script(NAME, [Raw([body], headers={"content-type": "application/json"})])

    with pytest.raises(ProviderError):
        await connect(NAME, max_retries=2).complete(ask(NAME))

    assert len(fake.requests) == 1


# Groq refuses a call that does not fit the tool's schema: https://console.groq.com/docs/tool-use, read 2026-11-30.

REFUSED = (
    '{"error":{"message":"parameters did not match schema","type":"invalid_request_error","code":"tool_use_failed",'
    '"failed_generation":%s,"status_code":400}}'
)
WRITTEN = {
    "as JSON": r'"{\"name\": \"calculator\", \"arguments\": {\"expresion\": \"6*7\"}}"',
    "as a list": r'"[{\"name\": \"calculator\", \"parameters\": {\"expresion\": \"6*7\"}}]"',
    "cut": r'"{\"name\": \"calculator\", \"arguments\": {\"expresion\": \"6*"',
    "between tags": r'"<function=calculator>{\"expresion\": \"6*7\"}</function>"',
    "in words": r'"I call calculator with expresion 6*7"',
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN.keys())
@pytest.mark.parametrize("early", [True, False], ids=["before the answer", "in the answer"])
async def test_a_call_that_its_server_refused_goes_back_to_the_model(
    written: str, early: bool, fake: FakeProviderServer, connect: Connect
) -> None:
    thought = choice('{"reasoning":"Hm"}')
    answer = Raw([(REFUSED % written).encode()], status=400) if early else stream(thought, REFUSED % written)

    response = await read(fake, connect, answer)

    (call,) = response.tool_calls
    assert (response.stop_reason, call.name, call.arguments) == ("tool_use", "calculator", {})
    assert call.malformed is not None
    assert "expresion" in call.malformed
    assert "did not match schema" in call.malformed
    assert len(response.parts) == (1 if early else 2)


@pytest.mark.parametrize("early", [True, False], ids=["before the answer", "in the answer"])
async def test_a_refused_call_of_no_tool_is_asked_for_again(
    early: bool, fake: FakeProviderServer, connect: Connect
) -> None:
    refused = REFUSED % '"Let me think."'
    fake.script(NAME, [Raw([refused.encode()], status=400) if early else stream(refused), stream(YES, STOP)])

    response = await connect(NAME, max_retries=1).complete(ask(NAME, tools=(CALCULATOR,)))

    assert response.text == "Yes"


# Any other shape.


@pytest.mark.parametrize(
    "chunk",
    [
        '{"choices":"x"}',
        '{"choices":[1]}',
        '{"choices":[{"delta":["Yes"]}]}',
        '{"choices":[{"delta":"Yes"}]}',
        '{"choices":[{"delta":{"tool_calls":"x"}}]}',
        '{"choices":[{"delta":{"tool_calls":[1]}}]}',
        '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":"x"}]}}]}',
        '{"choices":[{"message":["Yes"]}]}',
    ],
)
async def test_what_would_be_lost_in_silence_is_an_error(
    chunk: str, fake: FakeProviderServer, connect: Connect
) -> None:
    with pytest.raises(ProviderTruncated, match="not in its format"):
        await read(fake, connect, stream(YES, chunk, STOP))


@pytest.mark.parametrize(
    "odd",
    [
        {"model": {}},
        {"model": [1]},
        {"usage": True},
        {"choices": None},
        {"choices": {"index": 0, "delta": {}}},
        {"x_groq": [1]},
        {"error": None},
        {"error": {}},
        {"choices": [{"index": "0", "delta": {"reasoning": 7, "refusal": False, "role": []}, "logprobs": "x"}]},
        {"choices": [{"index": 0, "delta": {"reasoning_details": "x", "extra_content": [1]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": None, "id": None, "function": None}]}}]},
    ],
)
async def test_an_odd_type_loses_only_what_cannot_be_read(
    odd: dict[str, Any], fake: FakeProviderServer, connect: Connect
) -> None:
    response = await read(fake, connect, stream(YES, json.dumps(odd), STOP))

    assert (response.text, response.model) == ("Yes", "some-model")


# Bytes.


@pytest.mark.parametrize(
    "first, second, text",
    [
        (b'"caf\xc3"', b'"."', "caf\ufffd."),
        (b'"caf\xc3"', b'"\xa9."', "café."),
        (b'"\xf0\x9f"', b'"\x98\x80"', "😀"),
        (rb'"\ud83d"', rb'"\ude00"', "😀"),
        (b'"a\tb"', b'"c\nd"', "a\tbc\nd"),
        (b'"a\x01\x00"', b'"b"', "a\x01\ufffdb"),
    ],
)
async def test_bytes_that_no_json_has_are_cleaned(
    first: bytes, second: bytes, text: str, fake: FakeProviderServer, connect: Connect
) -> None:
    odd = b'"logprobs":{"content":[{"logprob":-Infinity}]},"top":NaN'
    chunks = [b'data: {"choices":[{"delta":{"content":%b},%b}]}\n\n' % (said, odd) for said in (first, second)]
    body = b"".join([*chunks, f"data: {STOP}\n\n".encode()])

    whole = await read(fake, connect, Raw([body]))
    in_pieces = await read(fake, connect, Raw([body[at : at + 7] for at in range(0, len(body), 7)]))

    assert whole.text == in_pieces.text == text
