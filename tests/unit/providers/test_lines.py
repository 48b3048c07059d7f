"""Bytes become lines, events and JSON across any split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.providers.lines import (
    MAX_LINE_BYTES,
    LineDecoder,
    SSEDecoder,
    clean_json,
    encode_body,
    parse_object,
)
from tests.fakes.answers import split

# Everything that https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream allows at once.
STREAM = (
    "\ufeff: a comment\n"
    "event: greeting\ndata: Grüße 😀\n\n"
    "id: 7\r\ndata: two\r\ndata:lines\r\nretry: 10\r\n\r\n"
    "data: after a CR\r\r"
    "data\n\n"
    "data:\ndata:\n\n"
    "nothing: here\n\n"
    "data: [DONE]\n\n"
).encode()
DATA = ["Grüße 😀".encode(), b"two\nlines", b"after a CR", b"\n", b"[DONE]"]


def decode(decoder: LineDecoder, chunks: list[bytes]) -> list[bytes]:
    found = [data for chunk in chunks for data in decoder.feed(chunk)]
    return found + decoder.flush()


def test_events_are_the_same_wherever_the_bytes_are_split() -> None:
    for place in range(1, len(STREAM)):
        assert decode(SSEDecoder(), split(STREAM, place)) == DATA, place


def test_events_are_the_same_byte_by_byte_with_empty_reads_between() -> None:
    assert decode(SSEDecoder(), split(STREAM)) == DATA
    assert decode(SSEDecoder(), [piece for byte in split(STREAM) for piece in (byte, b"")]) == DATA


@given(st.lists(st.integers(min_value=1, max_value=len(STREAM) - 1), unique=True))
def test_events_are_the_same_in_any_number_of_pieces(places: list[int]) -> None:
    assert decode(SSEDecoder(), split(STREAM, *sorted(places)) if places else [STREAM]) == DATA


def test_an_event_is_complete_at_its_blank_line() -> None:
    decoder = SSEDecoder()

    assert decoder.feed(b"data: one\n") == []
    assert decoder.feed(b"\n") == [b"one"]
    assert decoder.feed(b"data: two\r\n\r") == [b"two"]
    assert decoder.feed(b"\ndata: three\n\n") == [b"three"]


def test_an_event_without_its_blank_line_is_complete_at_the_end() -> None:
    assert decode(SSEDecoder(), [b"data: [DONE]\n"]) == [b"[DONE]"]
    assert decode(SSEDecoder(), [b"data: [DONE]"]) == [b"[DONE]"]


@pytest.mark.parametrize(
    "chunk, data",
    [
        (b"data: one\n\n", [b"one"]),
        (b"data:  two\n\n", [b" two"]),
        (b"data: \n\n", []),
        (b"data:three\n\n", [b"three"]),
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
    ],
)
def test_a_chunk_that_is_one_event_is_read_as_any_other(chunk: bytes, data: list[bytes]) -> None:
    decoder = SSEDecoder()

    assert decoder.feed(b": hello\n\n" + chunk) == data
    assert decoder.feed(chunk) == data
    assert decoder.feed(b"data: x\n") == []
    assert decoder.feed(b"\n" + chunk) == [b"x", *data]


def test_a_line_break_in_an_object_belongs_to_it() -> None:
    stream = b'data: {"a": "one\ntwo",\n"b": 1}\n\ndata: \r{"c": 2}\n\ndata: {"d": 3}\nevent: x\n\n'

    found = decode(SSEDecoder(), [stream])

    assert list(map(parse_object, found)) == [{"a": "one\ntwo", "b": 1}, {"c": 2}, {"d": 3}]


def test_only_the_first_byte_order_mark_is_left_out() -> None:
    mark = b"\xef\xbb\xbf"

    assert decode(SSEDecoder(), [mark[:1], mark[1:], b"data: a\n\n"]) == [b"a"]
    assert decode(SSEDecoder(), [b"data: " + mark + b"\n\n"]) == [mark]


def test_json_lines_are_the_same_wherever_the_bytes_are_split() -> None:
    stream = '{"a": "é\u2028"}\r\n\n{"b": 2}\n{"c": 3}'.encode()
    lines = ['{"a": "é\u2028"}\r'.encode(), b'{"b": 2}', b'{"c": 3}']

    for place in range(1, len(stream)):
        assert decode(LineDecoder(), split(stream, place)) == lines


def test_a_line_that_never_ends_is_refused() -> None:
    decoder = LineDecoder()
    piece = b"x" * (MAX_LINE_BYTES // 4)

    for _ in range(4):
        assert decoder.feed(piece) == []
    with pytest.raises(ValueError, match="too long"):
        decoder.feed(piece)


def test_a_lone_surrogate_is_kept_for_its_other_half() -> None:
    assert parse_object(rb'{"text": "\ud83d"}') == {"text": "\ud83d"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[1]",
        b'"text"',
        b'{"a": 1',
        b"<html>",
        b'{"\\ud83d": ' * 2000,
    ],
)
def test_what_is_not_a_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_object(data)


def test_text_that_utf_8_cannot_encode_is_cleaned_in_requests() -> None:
    assert encode_body({"a": ["x\ud83d", {"\0": "ok"}]}) == '{"a":["x\ufffd",{"\ufffd":"ok"}]}'.encode()
    assert clean_json({"n": 1, "pair": "\ud83d\ude00"}) == {"n": 1, "pair": "😀"}
