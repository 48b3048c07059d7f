"""Normalized text, cut at any places, and the way back."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ai_agents.guardrails.folding import COMPOSES_BACK, FoldedText, _kind, fold
from tests.support.examples import examples
from tests.unit.guardrails.judging import cut

# What composes, reorders, expands, changes its case, and is not seen.
ALPHABET = (
    "ab e\u0301\u0327\u0323\u0308\u1100\u1161\u11a8\uac00\ufb01\uff41\u200b\u00ad\u212b\u03a9\u09c7\u09be\ufe0f"
    "\u0e33\u0345\U0001f600\x08\nSE\u00df\u1e9e\u0130\u01f0\u0149\u03b1\u1fb3\u017f\uff21"
)
texts = st.text(alphabet=ALPHABET, max_size=40)


def folded(pieces: list[str]) -> FoldedText:
    text = FoldedText()
    for piece in pieces:
        text.feed(piece)
    text.finish()
    return text


def test_every_character_that_composes_backward_is_known() -> None:
    composing = set()
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            first, second = (chr(int(part, 16)) for part in parts)
            if unicodedata.normalize("NFC", first + second) == chr(code) and not unicodedata.combining(second):
                composing.add(second)
    assert composing <= COMPOSES_BACK
    assert {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))} <= COMPOSES_BACK


@examples(400)
@given(texts, st.lists(st.integers(0, 40)))
def test_a_text_in_any_pieces_is_normalized_as_the_whole(text: str, places: list[int]) -> None:
    assert folded(cut(text, places)).text == fold(text)


@examples(400)
@given(texts, st.lists(st.integers(0, 40)))
def test_every_place_leads_back_to_where_its_characters_are(text: str, places: list[int]) -> None:
    result = folded(cut(text, places))
    for place in range(result.end):
        start, stop = result.raw_start(place), result.raw_stop(place + 1)
        assert 0 <= start < stop <= len(text)
        assert result.text[place] in fold(text[start:stop])


def test_what_was_forgotten_does_not_move_what_stays() -> None:
    text = FoldedText()
    text.feed("on\u200be \ufb01sh two")
    text.finish()
    before = [(place, text.raw_start(place), text.raw_stop(place + 1)) for place in range(4, text.end)]
    text.forget(4)
    assert (text.base, text.text) == (4, "fish two")
    assert before == [(place, text.raw_start(place), text.raw_stop(place + 1)) for place in range(4, text.end)]


def test_marks_without_end_are_normalized_in_time() -> None:
    text = "a" + "\u0301\u0327" * 50_000
    assert len(folded([text]).text) > 1000


@examples(200)
@given(texts)
def test_what_is_folded_stays_so(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_no_character_composes_backward_for_being_folded() -> None:
    for code in range(0x110000):
        folded = fold(chr(code))
        if folded[:1] not in {"", chr(code)} and _kind(chr(code)) not in "ci":
            assert _kind(folded[0]) not in "ci"
