"""The tool calls of OpenAI's chat completions, however compatible servers send their pieces."""

import pytest

from ai_agents.core.exceptions import ProviderTruncated
from ai_agents.core.types import ModelResponse, ToolCallPart
from tests.fakes.answers import Raw
from tests.fakes.provider_server import FakeProviderServer
from tests.wire.conftest import Connect
from tests.wire.requests import CALCULATOR, ask

NAME = "openai"


def stream(*chunks: str) -> Raw:
    """A stream of these chunks, as JSON."""
    return Raw(["".join([*(f"data: {chunk}\n\n" for chunk in chunks), "data: [DONE]\n\n"]).encode()])


def choice(delta: str, finish: str = "null", index: str = "0") -> str:
    return f'{{"choices":[{{"index":{index},"delta":{delta},"finish_reason":{finish}}}]}}'


def calls(*pieces: str) -> str:
    """A delta with these pieces of calls."""
    return f'{{"tool_calls":[{",".join(pieces)}]}}'


def piece(index: str | None = None, call_id: str | None = None, name: str | None = None, raw: str | None = None) -> str:
    """A piece of a call, with what is given."""
    marks = [f'"index":{index}'] * (index is not None) + [f'"id":"{call_id}"'] * (call_id is not None)
    escaped = None if raw is None else raw.replace('"', '\\"')
    inner = [f'"name":"{name}"'] * (name is not None) + [f'"arguments":"{escaped}"'] * (raw is not None)
    return "{" + ",".join([*marks, f'"function":{{{",".join(inner)}}}']) + "}"


CALLED = choice("{}", '"tool_calls"')
ONE = '{"n":1}'
TWO = '{"n":2}'


async def read(fake: FakeProviderServer, connect: Connect, *chunks: str) -> ModelResponse:
    fake.script(NAME, [stream(*chunks)])
    return await connect(NAME).complete(ask(NAME, tools=(CALCULATOR,)))


def made(response: ModelResponse) -> list[tuple[str, object]]:
    return [(call.name, call.arguments) for call in response.tool_calls]


# Differences between servers, as their users report them: https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html,
# https://openrouter.ai/docs/api/reference/streaming, https://api-docs.deepseek.com/guides/reasoning_model,
# https://ai.google.dev/gemini-api/docs/openai, https://docs.ollama.com/api/openai-compatibility; read 2026-11-22.
TWO_CALLS = {
    "pieces that come in turns": [
        '{"tool_calls":[{"index":0,"id":"a","function":{"name":"one"}},{"index":1,"id":"b","function":{"name":"two"}}]}',
        '{"tool_calls":[{"index":1,"function":{"arguments":"{\\"n\\":"}}]}',
        '{"tool_calls":[{"index":0,"function":{"arguments":"{\\"n\\":1}"}}]}',
        '{"tool_calls":[{"index":1,"function":{"arguments":"2}"}}]}',
    ],
    "the same index for each call": [
        '{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":"{\\"n\\":1}"}}]}',
        '{"tool_calls":[{"index":0,"id":"b","function":{"name":"two","arguments":"{\\"n\\":2}"}}]}',
    ],
    "no index": [
        '{"tool_calls":[{"id":"a","function":{"name":"one","arguments":"{\\"n\\":"}}]}',
        '{"tool_calls":[{"function":{"arguments":"1}"}}]}',
        '{"tool_calls":[{"id":"b","function":{"name":"two","arguments":"{\\"n\\":2}"}}]}',
    ],
    "no ids": [
        '{"tool_calls":[{"index":0,"function":{"name":"one","arguments":"{\\"n\\":1}"}}]}',
        '{"tool_calls":[{"index":1,"function":{"name":"two","arguments":"{\\"n\\":2}"}}]}',
    ],
    "neither index nor ids": [
        '{"tool_calls":[{"function":{"name":"one","arguments":"{\\"n\\":1}"}}]}',
        '{"tool_calls":[{"function":{"name":"two","arguments":"{\\"n\\":2}"}}]}',
    ],
    "id and name in every piece": [
        '{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":"{\\"n\\":"}}]}',
        '{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":"1}"}}]}',
        '{"tool_calls":[{"index":1,"id":"b","function":{"name":"two","arguments":"{\\"n\\":2}"}}]}',
    ],
    "arguments as an object": [
        '{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":{"n":1}}}]}',
        '{"tool_calls":[{"index":1,"id":"b","function":{"name":"two","arguments":{"n":2}}}]}',
    ],
    "an index that is a text": [
        calls(piece('"0"', "a", "one"), piece('"1"', "b", "two")),
        calls(piece('"1"', raw=TWO)),
        calls(piece("0.0", raw=ONE)),
    ],
    "an index from the second piece on": [
        calls(piece(None, "a", "one", '{"n":')),
        calls(piece("0", "a", raw="1}")),
        calls(piece("1", "b", "two", TWO)),
    ],
    "an id that changes within the call": [
        calls(piece("0", "a", "one", '{"n"')),
        calls(piece("0", "b", raw=":1")),
        calls(piece("0", "c", raw="}")),
        calls(piece("1", "d", "two", TWO)),
    ],
    "a name that comes after the arguments": [
        calls(piece("0", "a", raw=ONE), piece("1", "b", raw=TWO)),
        calls(piece("1", name="two"), piece("0", name="one")),
    ],
    "pieces that say nothing": [
        calls(piece("0", "a", "one", ""), piece("2", "", "", "")),
        calls(piece("0", "", "", ONE)),
        calls(piece("1", "b", "two", ""), piece()),
        calls(piece("1", None, "", TWO)),
    ],
    "calls that come again as a whole": [
        calls(piece("0", "a", "one", '{"n":'), piece("1", "b", "two", TWO)),
        calls(piece("0", raw="1}")),
        calls(piece("0", "a", "one", ONE), piece("1", "b", "two", TWO)),
    ],
    "calls that come again under other indexes": [
        calls(piece("0", "a", "one", ONE), piece("1", "b", "two", TWO)),
        calls(piece("2", "a", "one", ONE), piece("3", "b", "two", TWO)),
    ],
    "one object where a list is wanted": [
        f'{{"tool_calls":{piece("0", "a", "one", ONE)}}}',
        f'{{"tool_calls":{piece("1", "b", "two", TWO)}}}',
    ],
    "the same id for both": [
        '{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":"{\\"n\\":1}"}}]}',
        '{"tool_calls":[{"index":1,"id":"a","function":{"name":"two","arguments":"{\\"n\\":2}"}}]}',
    ],
}


@pytest.mark.parametrize("pieces", TWO_CALLS.values(), ids=TWO_CALLS.keys())
async def test_calls_of_any_marks_stay_distinct(pieces: list[str], fake: FakeProviderServer, connect: Connect) -> None:
    response = await read(fake, connect, *map(choice, pieces), CALLED)

    assert made(response) == [("one", {"n": 1}), ("two", {"n": 2})]
    assert len({part.tool_call_id for part in response.tool_calls}) == 2


# What could be of either call would run a tool with the arguments of another one.
UNCERTAIN = {
    "a piece without marks while two calls have no arguments": [
        calls(piece("0", "a", "one"), piece("1", "b", "two")),
        calls(piece(raw=ONE)),
    ],
    "a piece without marks where others have them": [
        calls(piece("0", "a", "one", '{"n":'), piece("1", "b", "two", TWO)),
        calls(piece("0", raw="1")),
        calls(piece(raw="}")),
    ],
    "a piece without a name under another index": [calls(piece("0", "a", "one")), calls(piece("1", raw=ONE))],
    "a new id without a name and without an index": [calls(piece(None, "a", "one")), calls(piece(None, "b", raw=ONE))],
    "an index and an id of two calls": [
        calls(piece("0", "a", "one"), piece("1", "b", "two")),
        calls(piece("0", "b", raw=ONE)),
    ],
    "another name in the midst of a call": [calls(piece("0", "a", "one")), calls(piece("0", name="two", raw=ONE))],
    "another name for the same id": [calls(piece("0", "a", "one")), calls(piece("0", "a", "two", ONE))],
    "the same name and another id before the arguments": [
        calls(piece("0", "a", "one")),
        calls(piece("0", "b", "one", ONE)),
    ],
    "an id that two calls have": [
        calls(piece("0", "a", "one"), piece("1", "a", "two")),
        calls(piece(None, "a", raw=ONE)),
    ],
    "an index that cannot be read": [calls(piece("0", "a", "one")), calls(piece("[0]", raw=ONE))],
    "a call without a name": [calls(piece("0", "a", raw=ONE))],
}


@pytest.mark.parametrize("pieces", UNCERTAIN.values(), ids=UNCERTAIN.keys())
async def test_what_could_be_of_either_call_is_an_error(
    pieces: list[str], fake: FakeProviderServer, connect: Connect
) -> None:
    with pytest.raises(ProviderTruncated, match="cannot be told what belongs to it") as caught:
        await read(fake, connect, *map(choice, pieces), CALLED)

    assert caught.value.retryable


async def test_a_call_that_is_sent_twice_without_an_id_of_its_own_is_made_once(
    fake: FakeProviderServer, connect: Connect
) -> None:
    same = choice(calls(piece("0", name="one", raw="{}")))
    other = choice(calls(piece("0", name="one", raw=TWO)))

    assert made(await read(fake, connect, same, same, other, CALLED)) == [("one", {}), ("one", {"n": 2})]


async def test_equal_calls_with_ids_of_their_own_are_made_each(fake: FakeProviderServer, connect: Connect) -> None:
    chunks = choice(calls(piece("0", "a", "roll", "{}"))), choice(calls(piece("1", "b", "roll", "{}")))

    assert made(await read(fake, connect, *chunks, CALLED)) == [("roll", {}), ("roll", {})]


async def test_a_call_in_the_old_form_is_read(fake: FakeProviderServer, connect: Connect) -> None:
    begun = choice('{"function_call":{"name":"one","arguments":""}}')
    more = choice('{"function_call":{"arguments":"{\\"n\\":1}"}}')

    response = await read(fake, connect, begun, more, choice("{}", '"function_call"'))

    assert (made(response), response.stop_reason) == ([("one", {"n": 1})], "tool_use")


async def test_a_call_in_both_forms_is_one_call(fake: FakeProviderServer, connect: Connect) -> None:
    both = '"function_call":{"name":"one","arguments":"{\\"n\\":1}"}'
    new = calls(piece("0", "a", "one", ONE))[:-1]

    assert made(await read(fake, connect, choice(f"{new},{both}}}"), CALLED)) == [("one", {"n": 1})]
    with pytest.raises(ProviderTruncated, match="cannot be told"):
        await read(fake, connect, choice(f"{new.replace('1', '2')},{both}}}"), CALLED)


async def test_the_calls_of_an_answer_may_be_in_another_choice(fake: FakeProviderServer, connect: Connect) -> None:
    text = choice('{"content":"Let me see."}', '"stop"')
    called = choice(calls(piece("0", "a", "one", ONE)), '"tool_calls"', "1")

    response = await read(fake, connect, text, called)

    assert (response.text, made(response), response.stop_reason) == ("Let me see.", [("one", {"n": 1})], "tool_use")


async def test_two_choices_with_calls_are_an_error(fake: FakeProviderServer, connect: Connect) -> None:
    first, second = calls(piece("0", "a", "one", ONE)), calls(piece("0", "b", "one", TWO))

    with pytest.raises(ProviderTruncated, match="cannot be told"):
        await read(fake, connect, choice(first), choice(second, index="1"), CALLED)


async def test_a_message_at_the_end_repeats_the_answer_or_has_what_the_deltas_lack(
    fake: FakeProviderServer, connect: Connect
) -> None:
    text, called = choice('{"content":"Hm. "}'), choice(calls(piece("0", "a", "one", ONE)))
    whole = calls(piece("0", "a", "one", ONE))[1:-1]
    message = f'{{"choices":[{{"message":{{"content":"Hm. ",{whole}}},"finish_reason":"tool_calls"}}]}}'

    for chunks in ((text, called, message), (text, message), (message,)):
        response = await read(fake, connect, *chunks)
        assert (response.text, made(response)) == ("Hm. ", [("one", {"n": 1})])
    with pytest.raises(ProviderTruncated, match="cannot be told"):
        await read(fake, connect, choice(calls(piece("0", "a", "one", TWO))), message)


# E: arguments that can be read in one way only.
@pytest.mark.parametrize(
    "raw, arguments",
    [
        ('"{}{\\"n\\":1}"', {"n": 1}),
        ('"{\\"n\\":1}{\\"n\\":1}"', {"n": 1}),
        ('"\\"{\\\\\\"n\\\\\\":1}\\""', {"n": 1}),
        ('"{\\"n\\":\\"a\\tb\\"}"', {"n": "a\tb"}),
        ('"null"', {}),
        ('""', {}),
        ("null", {}),
        ('{"n":1}', {"n": 1}),
        ("{}", {}),
    ],
)
async def test_arguments_that_mean_one_thing_are_read(
    raw: str, arguments: object, fake: FakeProviderServer, connect: Connect
) -> None:
    delta = f'{{"tool_calls":[{{"index":0,"id":"a","function":{{"name":"one","arguments":{raw}}}}}]}}'

    assert made(await read(fake, connect, choice(delta), CALLED)) == [("one", arguments)]


@pytest.mark.parametrize(
    "raw",
    ['"{\\"n\\":1}{\\"n\\":2}"', '"{\\"n\\""', '"[1]"', "[1]", "7", '{"n":18446744073709551617}', '"{\\"n\\":1e}"'],
)
async def test_other_arguments_are_kept_for_the_model(raw: str, fake: FakeProviderServer, connect: Connect) -> None:
    delta = f'{{"tool_calls":[{{"index":0,"id":"a","function":{{"name":"one","arguments":{raw}}}}}]}}'

    response = await read(fake, connect, choice(delta), CALLED)

    (call,) = response.tool_calls
    assert isinstance(call, ToolCallPart)
    assert (call.arguments, bool(call.malformed)) == ({}, True)
