"""Words of texts and of searches: what is the same, what is a phrase, and where it stands in a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.search_rows import Snippet
from ai_agents.core.search_words import SearchQuery, fold, parse_query, snippet

SAME = [
    ("Straße in Köln", "STRASSE IN KOLN"),
    ("Mu\N{COMBINING DIAERESIS}ller", "müller"),
    ("İSTANBUL Diyarbak\N{LATIN SMALL LETTER DOTLESS I}r", "istanbul DIYARBAKIR"),
    ("Łódź, Ærø", "lodz aero"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("file ﬁle", "file FILE"),
    ("كِتَاب", "كتاب"),
    ("\u1112\u1161\u11ab", "한"),
    ("a\N{SOFT HYPHEN}b", "ab"),
]


@pytest.mark.parametrize("one,other", SAME, ids=[each[0] for each in SAME])
def test_case_and_marks_do_not_matter(one: str, other: str) -> None:
    assert fold(one) == fold(other) != ""


def test_words_are_apart_where_no_letter_is_and_scripts_without_spaces_and_symbols_one_by_one() -> None:
    assert fold("C++ foo_bar, user@example.com!").split() == ["c", "foo", "bar", "user", "example", "com"]
    assert fold("我喜欢iPhone手机👍🏽").split() == ["我", "喜", "欢", "iphone", "手", "机", "👍", "🏽"]
    assert fold("สวัสดี").split() == list("สวัสดี")
    assert fold("किताबें नयी") == " किताबें  नयी "
    assert fold("… -- \n") == fold("") == ""


def test_a_query_has_words_phrases_and_exclusions_and_all_else_is_literal() -> None:
    asked = 'foo "big  House" -bad -"very bad" user@x.com NEAR(a*) title:x "open'
    assert parse_query(asked) == SearchQuery(
        (" foo ", " big  house ", " user  x  com ", " near  a ", " title  x ", " open "), (" bad ", " very  bad ")
    )
    assert parse_query("well-known - foo") == SearchQuery((" well  known ", " foo "))
    assert parse_query('"-bad" bad bad') == SearchQuery((" bad ",))
    for nothing in ("", "-bad", '-"bad thing" -x', "…", '"" "', "a" * 501):
        with pytest.raises(InvalidRequest) as caught:
            parse_query(nothing)
        assert caught.value.loc == ("q",)


def test_a_snippet_is_around_the_first_match_and_marks_every_match_in_code_points() -> None:
    text = "👍 " + "lorem ipsum " * 300 + "die Straße, die STRASSEN und die strasse. " + "dolor " * 100
    found = snippet(text, parse_query('strasse "die strasse" nowhere'))

    assert len(found["text"]) <= 242
    assert found["text"][0] == found["text"][-1] == "…"
    assert [found["text"][start:end] for start, end in found["marks"]] == ["die Straße", "die strasse"]
    short: list[tuple[str, str, Snippet]] = [
        ("ok 👍🏽!", "👍", {"text": "ok 👍🏽!", "marks": [[3, 4]]}),
        ("我喜欢北京", "北京", {"text": "我喜欢北京", "marks": [[3, 5]]}),
        ("Mu\N{COMBINING DIAERESIS}ller!", "muller", {"text": "Müller!", "marks": [[0, 6]]}),
        ("nothing", "else", {"text": "nothing", "marks": []}),
    ]
    for said, asked, shown in short:
        assert snippet(said, parse_query(asked)) == shown
    long_word = "x" * 300
    assert snippet(f"a {long_word} b", parse_query(long_word))["marks"] == [[2, 240]]


@given(st.text(max_size=400), st.integers(0, 400), st.integers(1, 40))
def test_a_piece_between_words_is_found_and_its_mark_is_that_piece(text: str, start: int, length: int) -> None:
    words = fold(text).split()
    asked = words[start % len(words) :][:length] if words else []
    if not asked:
        return
    query = SearchQuery((f" {'  '.join(asked)} ",))
    found = snippet(text, query)

    assert query.phrases[0] in fold(text)
    assert found["marks"], "the text is short, so that all of it is shown up to the snippet's end"
    for begin, end in found["marks"]:
        shown = fold(found["text"][begin:end]).split()
        assert shown == asked or (end >= 240 and shown == asked[: len(shown)]) or len(shown) >= len(asked)


@given(st.text(max_size=2_000))
def test_whatever_a_text_has_its_words_can_be_indexed(text: str) -> None:
    folded = fold(text)
    words = folded.split()

    assert folded == (f" {'  '.join(words)} " if words else "")
    assert all(0 < len(word) <= 64 and not set(word) & set("'\"\\\0") for word in words)
    assert not any(word != word.strip() for word in words)


@pytest.mark.parametrize(
    "piece", ["a", "a ", "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}", "\N{LATIN SMALL LIGATURE FFI}"]
)
def test_of_a_very_long_text_so_much_is_indexed_as_every_database_takes(piece: str) -> None:
    folded = fold(piece * 150_000)

    assert len(folded) <= 200_001
    assert len(folded.split()) <= 20_000
