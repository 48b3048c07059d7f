"""Ollama's lines as servers and proxies send them, and what a server tells of its models."""

import json
from typing import Any

import pytest

from ai_agents.core.exceptions import ProviderError, ProviderRejected, ProviderTruncated, UnknownFinishReason
from ai_agents.core.types import (
    ModelResponse,
    ReasoningPart,
    TextPart,
    Usage,
)
from ai_agents.providers.quirks import Quirks
from tests.wire.reading import read, read_response
from tests.wire.requests import CALCULATOR, ask

NAME = "ollama"


def line(content: Any = "", *, done: Any = False, **facts: Any) -> bytes:
    message = {"role": "assistant", "content": content} | facts.pop("message", {})
    return json.dumps({"model": "qwen3", "message": message, "done": done} | facts).encode() + b"\n"


def end(**facts: Any) -> bytes:
    return line(**{"done": True, "done_reason": "stop", "prompt_eval_count": 9, "eval_count": 5} | facts)


def called(*calls: Any) -> bytes:
    return line(message={"tool_calls": [{"function": call} for call in calls]})


def answer(*lines: bytes, quirks: Quirks | None = None, limit: int | None = None) -> ModelResponse:
    request = ask(NAME, tools=(CALCULATOR,), settings={"max_tokens": limit})
    return read_response(NAME, request, b"".join(lines), quirks)


def failure(*lines: bytes) -> ProviderError:
    found = read(NAME, ask(NAME, tools=(CALCULATOR,)), b"".join(lines))
    assert isinstance(found, ProviderError)
    return found


WHOLE = json.loads(end())
WHOLE["message"] |= {"content": "Good day.\nYou?"}


@pytest.mark.parametrize(
    "data",
    [
        line("Good day.\n") + line("You?") + end(),
        line("Good day.\n") + line("You?") + end().rstrip(),
        json.dumps(WHOLE).encode(),
        json.dumps(WHOLE, indent=2).encode() + b"\n",
        json.dumps(WHOLE, indent="\t").encode(),
        b"data: " + line("Good day.\n") + b"\ndata: " + line("You?") + b"\ndata:" + end() + b"\ndata: [DONE]\n\n",
        b"event: message\r\ndata: " + line("Good day.\n") + b"\r\n: ping\r\n\r\ndata: " + line("You?") + end(),
        line("Good day.\n").replace(b"\\n", b"\n") + line("You?") + end(),
        b"\n\nping\n" + line("Good day.\n") + b"\n" + line("You?") + end(),
        b"\xef\xbb\xbf" + line("Good day.\nYou?") + end(),
        line("Good day.\nYou?", logprobs=[1]).replace(b"[1]", b"[NaN, -Infinity]") + end(),
    ],
)
def test_an_answer_is_read_in_each_form_of_its_bytes(data: bytes) -> None:
    response = answer(data)

    assert (response.text, response.stop_reason, response.usage) == ("Good day.\nYou?", "end", Usage(9, 5))


def test_a_cut_line_is_an_error_before_the_lines_after_it() -> None:
    error = failure(line("Good"), b'{"model":"qwen3","message":{"content":"da\n', line("y."), end())

    assert isinstance(error, ProviderTruncated)


def test_bytes_that_are_no_text_are_cleaned_and_the_answer_is_kept() -> None:
    half = line("X")

    response = answer(
        line("caf.").replace(b".", b"\xc3"), half.replace(b"X", rb"\ud83d"), half.replace(b"X", rb"\ude00"), end()
    )

    assert response.text == "caf\ufffd😀"


@pytest.mark.parametrize(
    "ending",
    [
        b"",
        line(done=False),
        line(done="true"),
        line(done=1),
        line(done=[False]),
        end(done_reason="a_new_reason"),
        end(done_reason=["stop"]),
        end(done_reason="error"),
        end(done_reason="load"),
        end(done_reason="unload"),
        b'{"error":"an error was encountered while running the model: CUDA error"}\n',
        b'{"error":{"message":"out of memory"}}\n',
        line(done=True, error="out of memory"),
    ],
)
def test_an_answer_that_failed_is_not_taken_for_a_whole_one(ending: bytes) -> None:
    assert failure(line("The first step is to"), ending).retryable


def test_a_quirk_teaches_a_reason() -> None:
    lines = (line("Hi"), end(done_reason="Eos"))

    assert isinstance(failure(*lines), UnknownFinishReason)
    assert answer(*lines, quirks=Quirks(finish_reasons={"eos": "stop"})).stop_reason == "end"


def test_calls_have_a_reason_of_their_own_with_some_servers() -> None:
    ending = end(done_reason="tool_calls")

    assert answer(called({"name": "calculator", "arguments": {}}), ending).stop_reason == "tool_use"
    assert isinstance(failure(line("Hi"), ending), ProviderTruncated)


def test_an_old_server_tells_no_reason() -> None:
    assert answer(line("Hi"), end(done_reason=None)).stop_reason == "end"


@pytest.mark.parametrize(
    "data", [b'{"error":"you have no credit left"}', b'{"error":{"code":429,"message":"slow down"}}']
)
def test_an_error_with_status_200_is_an_error(data: bytes) -> None:
    assert failure(data).upstream is not None


def test_a_server_that_speaks_chat_completions_is_named() -> None:
    error = failure(b'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"Hi"}}]}\n\n')

    assert isinstance(error, ProviderRejected)
    assert "openai" in str(error)


def test_an_answer_of_nothing_is_an_error() -> None:
    assert isinstance(failure(end()), ProviderTruncated)


@pytest.mark.parametrize("name", ["thinking", "reasoning", "reasoning_content"])
def test_reasoning_is_read_under_each_of_its_names(name: str) -> None:
    response = answer(line(message={name: "Hm"}), line(message={name: "."}), line("Hi"), end())

    origin = {"provider": "ollama", "model": "llama3.1"}
    assert response.parts == (ReasoningPart("Hm.", origin=origin), TextPart("Hi"))


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({"n": 1}, {"n": 1}),
        ('{"n": 1}', {"n": 1}),
        ('{}{"n": 1}', {"n": 1}),
        (None, {}),
        ("", {}),
        ({"n": 2**63 - 1}, {"n": 2**63 - 1}),
    ],
)
def test_arguments_are_an_object_or_a_text(arguments: Any, expected: dict[str, int]) -> None:
    (call,) = answer(called({"name": "calculator", "arguments": arguments}), end()).tool_calls

    assert (call.arguments, call.malformed) == (expected, None)


def test_an_integer_beyond_64_bits_does_not_become_a_float() -> None:
    (call,) = answer(called({"name": "calculator", "arguments": {"n": 12345678901234567890123}}), end()).tool_calls

    assert call.malformed == '{"n":12345678901234567890123}'


def test_each_call_keeps_its_own_arguments() -> None:
    one, two = ({"name": "calculator", "arguments": {"n": number}} for number in (1, 2))

    response = answer(called(one, two), called(one), line(message={"tool_calls": {"function": two}}), end())

    assert [call.arguments["n"] for call in response.tool_calls] == [1, 2, 1, 2]
    assert response.stop_reason == "tool_use"


@pytest.mark.parametrize("call", [{}, {"arguments": {"n": 1}}, {"name": {}, "arguments": {}}])
def test_a_call_by_no_name_is_an_error(call: dict[str, Any]) -> None:
    assert isinstance(failure(called(call), end()), ProviderTruncated)


@pytest.mark.parametrize(
    "counts, expected",
    [
        ({"prompt_eval_count": None}, Usage(None, 5)),
        ({"eval_count": 5.0}, Usage(9, 5)),
        ({"prompt_eval_count": "9"}, Usage(9, 5)),
        ({"prompt_eval_count": [9], "eval_count": {}}, Usage()),
        ({"prompt_eval_count": True, "eval_count": -1}, Usage()),
    ],
)
def test_usage_is_read_in_every_form(counts: dict[str, Any], expected: Usage) -> None:
    assert answer(line("Hi"), end(**counts)).usage == expected


@pytest.mark.parametrize(
    "odd",
    [b'{"message":[]}\n', b'{"message":{"content":{"a":1}}}\n', line(model=[1]), line(message={"tool_calls": "x"})],
)
def test_an_odd_line_loses_nothing_but_itself(odd: bytes) -> None:
    assert answer(line("Good "), odd, line("day."), end()).text == "Good day."


def test_a_limit_without_a_count_is_taken_for_the_reason() -> None:
    lines = (line("Hi"), end(done_reason="length", eval_count=None))

    assert answer(*lines, limit=20).stop_reason == "max_tokens"
    assert answer(*lines).stop_reason == "context_exceeded"
