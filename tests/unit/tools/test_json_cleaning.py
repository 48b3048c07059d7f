"""JSON with texts that strict readers refuse, cleaned in whatever pieces it arrives."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.tools.json_cleaning import JsonCleaner


def clean(data: bytes, size: int) -> bytes:
    cleaner = JsonCleaner()
    pieces = [cleaner.feed(data[start : start + size]) for start in range(0, len(data), size)]
    return b"".join(pieces) + cleaner.feed(b"", is_last=True)


CASES = {
    "half an emoji": (rb'"cut \ud83d"', '"cut \ufffd"'),
    "the other half": (rb'"\ude00 cut"', '"\ufffd cut"'),
    "two first halves": (rb'"\uD83D\ud83d"', '"\ufffd\ufffd"'),
    "halves in the wrong order": (rb'"\ude00\ud83d"', '"\ufffd\ufffd"'),
    "a whole one": (rb'"\ud83d\ude00"', '"😀"'),
    "a half before a whole one": (rb'"\ud83d\ud83d\ude00"', '"\ufffd😀"'),
    "other escapes": (rb'"\u00e9\n\"\\"', '"é\\n\\"\\\\"'),
    "a backslash before the letters": (rb'"\\ud83d"', '"\\\\ud83d"'),
    "backslashes and half an emoji": (rb'"\\\\\ud83d"', '"\\\\\\\\\ufffd"'),
    "half a letter": (b'"caf\xc3"', '"caf\ufffd"'),
    "letters": ('"é😀"'.encode(), '"é😀"'),
    "a byte that no text has": (b'"a\xffb"', '"a\ufffdb"'),
}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
@pytest.mark.parametrize("case", CASES)
def test_texts_become_readable_in_pieces_of_any_size(case: str, size: int) -> None:
    sent, read = CASES[case]
    cleaned = clean(sent, size).decode()
    assert json.loads(cleaned) == json.loads(read)
    cleaned.encode()


@given(
    st.lists(st.sampled_from(["\\", '\\"', "u", "d83d", "\\ud83d", "\\ude00", "é", "x"]), max_size=12),
    st.integers(1, 9),
)
def test_pieces_make_no_difference(parts: list[str], size: int) -> None:
    data = "".join(parts).encode()
    assert clean(data, size) == clean(data, len(data) or 1)


@given(st.text(), st.booleans(), st.integers(1, 40))
def test_valid_json_stays_as_it_is(text: str, is_escaped: bool, size: int) -> None:
    data = json.dumps({"a": text.encode(errors="replace").decode()}, ensure_ascii=is_escaped).encode()
    assert clean(data, size) == data


def test_what_has_come_is_not_kept_back() -> None:
    assert JsonCleaner().feed(b'data: {"text": "x"}\n\n') == b'data: {"text": "x"}\n\n'
