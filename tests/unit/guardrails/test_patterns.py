"""What stands in a pattern is compared as texts are: case, forms and ligatures are one, in sets and ranges too."""

import pytest

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails.compiled import compiled
from ai_agents.guardrails.patterns import literal
from ai_agents.guardrails.registry import build_guardrails
from tests.unit.guardrails.judging import blocklist, output, streamed

R = "[redacted]"


@pytest.mark.parametrize(
    "pattern", ["stra\u00dfe", "strasse", "STRASSE", "STRA\u1e9eE", "/stra\u00dfe/", "/stra[\u00df]e/", "/stras{2}e/"]
)
@pytest.mark.parametrize("text", ["stra\u00dfe", "STRASSE", "Strasse", "STRA\u1e9eE", "\uff33TRA\u00dfE"])
def test_a_letter_and_what_its_case_becomes_are_one(pattern: str, text: str) -> None:
    for pieces in ([f"die {text} ist"], list(f"die {text} ist")):
        assert streamed(output(blocklist(pattern)), pieces) == (f"die {R} ist", None)


@pytest.mark.parametrize(
    "first,second",
    [
        ("\u0130", "i\u0307"), ("\u01f0", "J\u030c"), ("\ufb01", "FI"), ("\u1fb3", "\u0391\u0399"),
        ("\u03c2", "\u03a3"), ("\u017f", "S"), ("\u212a", "k"), ("\u13a0", "\uab70"), ("\u0149", "\u02bcN"),
    ],
)  # fmt: skip
def test_both_ways_of_writing_find_each_other(first: str, second: str) -> None:
    assert streamed(output(blocklist(first)), f"1{second}2") == (f"1{R}2", None)
    assert streamed(output(blocklist(second)), f"1{first}2") == (f"1{R}2", None)


@pytest.mark.parametrize(
    "pattern,found,left",
    [
        ("/[\u2460-\u2468]x/", ["\u2463x", "4x"], ["0x"]),
        ("/[\ufb01]x/", ["\ufb01x", "fix", "FIX"], ["fx"]),
        ("/[\ufb01a]x/", ["\ufb01x", "fix", "ax"], ["ix!"]),
        ("/[\ufb00-\ufb06]x/", ["\ufb03x", "FFLx"], ["fx"]),
        ("/[\uff21-\uff3a]1/", ["\uff21\uff11", "a1", "Z1"], ["11"]),
        ("/x[\u00dfa]y/", ["x\u00dfy", "xSSy", "xAy"], ["xsy"]),
        ("/[A-Z]{2}1/", ["ab1", "AB1"], ["a1"]),
        ("/[\u0410-\u042f]{2}/", ["\u0434\u0410"], ["ab"]),
        ("/[^a-z\u00df ]1/", ["21"], ["s1"]),
        ("/[^\uff21-\uff3a ]1/", ["-1"], ["q1"]),
        ("/[\x80-\uffff]/", ["\u00e9", "\u4e2d"], ["class fi a"]),
        ("/[^\x00-\x7f]/", ["\u00e9", "\u4e2d"], ["class fi a"]),
        ("/a[^\u200b]c/", ["abc", "a\u200bbc"], ["ac"]),
    ],
)  # fmt: skip
def test_members_of_sets_are_compared_as_texts_are(pattern: str, found: list[str], left: list[str]) -> None:
    guards = output(blocklist(pattern))
    for text in found:
        assert streamed(guards, [text]) == (R, None)
        assert streamed(guards, f" {text} ") == (f" {R} ", None)
    for text in left:
        assert streamed(guards, [text]) == (text, None)


@pytest.mark.parametrize(
    "pattern,why",
    [
        ("/[^\u00df]x/", "several characters"), ("/[^\ufb01]x/", "several characters"),
        ("/[\u200b\u200c]x/", "cannot be seen"), ("/[\u200b-\u200f]x/", "cannot be seen"),
    ],
)  # fmt: skip
def test_a_set_whose_meaning_cannot_be_kept_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        build_guardrails([blocklist(pattern)])


def test_equal_patterns_are_compiled_once_as_long_as_one_is_in_use() -> None:
    first = compiled(literal("the first"))
    for number in range(200):
        compiled(literal(f"number {number}"))
    assert compiled(literal("the first")) is first
