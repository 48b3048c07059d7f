"""Pieces become parts, and parts become responses."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.core.exceptions import ProviderTruncated
from ai_agents.core.types import (
    ModelEvent,
    PartDelta,
    PartEnd,
    PartStart,
    ReasoningPart,
    ResponseEnd,
    TextPart,
    ToolCallPart,
    Usage,
)
from ai_agents.providers.assembly import PartWriter, fold, parse_arguments, raw_arguments

END = ResponseEnd("end", Usage(input_tokens=1), "some-model")


def texts(writer: PartWriter) -> list[tuple[str, str]]:
    """For each part, the text of its deltas and the part in its end."""
    found: dict[int, list[str]] = {}
    ends: list[tuple[str, str]] = []
    for event in writer.events:
        if isinstance(event, PartDelta):
            found.setdefault(event.index, []).append(event.text)
        elif isinstance(event, PartEnd) and isinstance(event.part, TextPart | ReasoningPart):
            ends.append(("".join(found.get(event.index, [])), event.part.text))
    return ends


def test_a_part_of_another_kind_ends_the_one_before() -> None:
    writer = PartWriter()
    writer.write("reasoning", "hm")
    writer.write("text", "Hel")
    writer.write("text", "lo")
    writer.close()

    assert writer.events == [
        PartStart(0, "reasoning"),
        PartDelta(0, "reasoning", "hm"),
        PartEnd(0, ReasoningPart("hm")),
        PartStart(1, "text"),
        PartDelta(1, "text", "Hello"),
        PartEnd(1, TextPart("Hello")),
    ]


def test_a_text_part_without_text_is_not_opened() -> None:
    writer = PartWriter()
    writer.write("text", "")
    writer.close()

    assert writer.events == []


def test_a_surrogate_pair_that_is_split_arrives_whole() -> None:
    writer = PartWriter()
    for piece in ("a\ud83d", "\ude00b", "\ud83d", "", "\ude00"):
        writer.write("text", piece)
    writer.close()

    assert texts(writer) == [("a😀b😀", "a😀b😀")]


@given(st.lists(st.text(st.sampled_from("a\0é\ud83d\ude00😀\u2028"), max_size=4), max_size=8))
def test_the_deltas_of_any_text_add_up_to_its_part_and_can_be_stored(pieces: list[str]) -> None:
    writer = PartWriter()
    for piece in pieces:
        writer.write("text", piece)
    writer.close()

    for streamed, whole in texts(writer):
        assert streamed == whole
        assert "\0" not in whole
        whole.encode()
    said = "".join(whole for _, whole in texts(writer))
    assert len(said) == len("".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def test_a_tool_call_gets_a_new_id_and_its_own_index() -> None:
    writer = PartWriter()
    writer.write("text", "Let me see.")
    writer.tool_call("calculator", '{"expression": "6*7"}')
    writer.tool_call("calculator", "")

    calls = [event.part for event in writer.events if isinstance(event, PartEnd)][1:]
    assert all(isinstance(call, ToolCallPart) for call in calls)
    first, second = calls
    assert isinstance(first, ToolCallPart)
    assert isinstance(second, ToolCallPart)
    assert (first.arguments, second.arguments) == ({"expression": "6*7"}, {})
    assert first.tool_call_id != second.tool_call_id
    assert [event.index for event in writer.events if isinstance(event, PartStart)] == [0, 1, 2]


@pytest.mark.parametrize(
    "raw",
    ['{"a": 1', "[1, 2]", '"text"', "nonsense", '{"a": NaN}', '{"a": ' * 100 + "1" + "}" * 100],
)
def test_arguments_that_are_not_a_json_object_are_kept_raw(raw: str) -> None:
    assert parse_arguments(raw) == ({}, raw)


def test_a_call_cut_before_its_arguments_is_malformed() -> None:
    assert parse_arguments("") == ({}, None)
    assert parse_arguments("", cut=True) == ({}, "(cut off)")


def test_a_call_that_its_server_refused_keeps_what_was_written_and_is_not_made() -> None:
    writer = PartWriter()
    writer.tool_call("calculator", '{"x": "\0"}', fault="x is unknown")

    (call,) = writer.parts
    assert isinstance(call, ToolCallPart)
    assert (call.arguments, call.malformed) == ({}, '{"x": "\ufffd"} (x is unknown)')


@pytest.mark.parametrize(
    "raw, arguments",
    [
        ("null", {}),
        ('""', {}),
        ('{}{"a":1}', {"a": 1}),
        ('{"a":1}{}', {"a": 1}),
        ('{"a":1} \n{"a":1}', {"a": 1}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ('{"a":"x\ny\tz"}', {"a": "x\ny\tz"}),
        ('{"a":9223372036854775808}', {"a": 9223372036854775808}),
    ],
)
def test_arguments_that_mean_one_thing_are_read(raw: str, arguments: object) -> None:
    assert parse_arguments(raw) == (arguments, None)


@pytest.mark.parametrize(
    "raw",
    [
        '{"a":1}{"a":2}',
        '{"a":1}{"a":true}',
        '{"a":1}{"a":1.0}',
        '{"a":18446744073709551616}',
        '"x"',
        '{"a":1}x',
        "[{}]",
    ],
)
def test_arguments_that_mean_several_things_or_none_are_kept_raw(raw: str) -> None:
    assert parse_arguments(raw) == ({}, raw)


@pytest.mark.parametrize("value", [1e30, {"a": [1e19]}, {"a": {"b": -1e25}}, float("nan")])
def test_an_object_that_may_have_lost_digits_cannot_be_read(value: object) -> None:
    assert parse_arguments(raw_arguments(value))[1] is not None


def test_arguments_are_made_safe_to_store() -> None:
    assert parse_arguments(r'{"a": ["\u0000", "\ud83d"], "\ud83d\ude00": "é"}') == (
        {"a": ["\ufffd", "\ufffd"], "😀": "é"},
        None,
    )
    assert parse_arguments('{"a": "\0"') == ({}, '{"a": "\ufffd"')


def test_arguments_that_arrive_as_an_object_are_written_as_json() -> None:
    assert raw_arguments({"a": "é\ud83d"}) == '{"a":"é\ufffd"}'
    assert raw_arguments(None) == ""
    assert raw_arguments('{"a":') == '{"a":'


async def events(*given: ModelEvent) -> AsyncIterator[ModelEvent]:
    for event in given:
        yield event


async def test_a_folded_stream_has_the_parts_and_the_end_of_the_stream() -> None:
    writer = PartWriter()
    writer.write("text", "Hi")
    writer.close()

    response = await fold(events(*writer.events, END))

    assert response.text == "Hi"
    assert (response.stop_reason, response.usage, response.model) == ("end", Usage(input_tokens=1), "some-model")


async def test_folding_a_stream_without_its_end_fails() -> None:
    with pytest.raises(ProviderTruncated):
        await fold(events(PartStart(0, "text"), PartDelta(0, "text", "Hi")))


async def test_a_fold_that_fails_closes_its_stream() -> None:
    closed = []

    async def failing() -> AsyncIterator[ModelEvent]:
        try:
            yield PartStart(0, "text")
            raise ValueError("broken")
        finally:
            closed.append(True)

    with pytest.raises(ValueError, match="broken"):
        await fold(failing())
    assert closed == [True]
