"""Not one forbidden character leaves, wherever a stream is cut, and what comes out is what the whole text gives."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.guardrails.guards import REDACTED
from tests.support.examples import examples
from tests.unit.guardrails.judging import JsonObject, blocklist, cut, output, streamed, whole

PII: JsonObject = {"type": "pii", "action": "redact"}
IBAN = "GB82 WEST 1234 5698 7654 32"
CARD = "4111 1111 1111 1111"
SECRET = "sk-ant-api03-abcdefghijklmnop0123456789"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\n-----END RSA PRIVATE KEY-----"
# A guardrail, a text, and the stretches of it that are forbidden.
CASES: list[tuple[JsonObject, str, list[str]]] = [
    (blocklist("forbidden"), "this is a forbidden word, ForBidden.", ["forbidden", "ForBidden"]),
    (blocklist("bad", "badge", "adge"), "a badge, bad", ["badge", "bad"]),
    (blocklist(r"/\bc[aou]t{1,3}\b/"), "cat cuttt cutttt scat cot.", ["cat", "cuttt", "cot"]),
    (blocklist(r"/end$/", r"/\Astart/"), "start end start the end", ["start", "end"]),
    (blocklist("stra\u00dfe"), "die Stra\u00dfe ist lang", ["Stra\u00dfe"]),
    (blocklist("strasse"), "die STRA\u00dfE, stra\u1e9ee", ["STRA\u00dfE", "stra\u1e9ee"]),
    (blocklist("fish"), "\ufb01sh, f\u200bi\u00adsh, \uff46ish", ["\ufb01sh", "f\u200bi\u00adsh", "\uff46ish"]),
    (blocklist("caf\u00e9"), "cafe\u0301 cafe caf\u00e9", ["cafe\u0301", "caf\u00e9"]),
    (blocklist("\uac01"), "\u1100\u1161\u11a8 \u1100\u1161 \uac01", ["\u1100\u1161\u11a8", "\uac01"]),
    (PII, f"ada@example.com, +1 415 555 0132, {CARD}.", ["ada@example.com", "+1 415 555 0132", CARD]),
    (PII, f"{IBAN} 192.0.2.7 2001:db8::1!", [IBAN, "192.0.2.7", "2001:db8::1"]),
    ({"type": "secrets", "action": "redact"}, f"the key {SECRET} and {PEM}, so.", [SECRET, PEM]),
]  # fmt: skip


def tags(text: str) -> str:
    """The text in tag characters, which are not shown."""
    return "".join(chr(0xE0000 + ord(each)) for each in text)


CASES += [
    (blocklist("bad"), f"so {tags('bad')} and b{tags('x')}ad, x{tags('bad')}y b{tags('a')}d.", [
        tags("bad"), f"b{tags('x')}ad", tags("bad"), f"b{tags('a')}d",
    ]),
    ({"type": "secrets", "action": "redact"}, f"the key {tags(SECRET)}, so.", [tags(SECRET)]),
]  # fmt: skip


def expected(text: str, forbidden: Sequence[str]) -> str:
    at, out = 0, ""
    for each in forbidden:
        found = text.index(each, at)
        out += text[at:found] + REDACTED
        at = found + len(each)
    return out + text[at:]


@pytest.mark.parametrize("config,text,forbidden", CASES, ids=[text[:24] for _, text, _ in CASES])
async def test_forbidden_text_is_found_across_any_cut(config: JsonObject, text: str, forbidden: list[str]) -> None:
    guards, right = output(config), expected_of(text, forbidden)
    assert await whole(guards, text) == (right, None)
    assert streamed(guards, text) == (right, None)
    for first in range(len(text)):
        for second in range(first, len(text), 7):
            assert streamed(guards, cut(text, [first, second])) == (right, None), (first, second)


def expected_of(text: str, forbidden: list[str]) -> str:
    # The pattern that ends the text is the last of it.
    if forbidden == ["start", "end"]:
        return f"{REDACTED} end start the {REDACTED}"
    return expected(text, forbidden)


@pytest.mark.parametrize("config,text,forbidden", CASES, ids=[text[:24] for _, text, _ in CASES])
async def test_a_block_releases_only_what_lay_before_it(config: JsonObject, text: str, forbidden: list[str]) -> None:
    guards = output(config | {"action": "block"})
    before = text[: text.index(forbidden[0])]
    assert await whole(guards, text) == (before, config["type"])
    for first in range(len(text)):
        assert streamed(guards, cut(text, [first])) == (before, config["type"]), first


@pytest.mark.parametrize("config,text,forbidden", CASES, ids=[text[:24] for _, text, _ in CASES])
def test_a_broken_stream_has_released_nothing_forbidden(config: JsonObject, text: str, forbidden: list[str]) -> None:
    guards = output(config)
    whole_text = streamed(guards, [text])[0]
    for end in range(len(text)):
        guard = guards.stream()
        out = "".join(piece for character in text[:end] for _, piece in guard.feed(character))
        assert whole_text.startswith(out)


# Any patterns, any texts, any cuts.

LETTERS = "abAB \n1"
UNEVEN = "\u00df\u1e9e\u0130\u01f0\ufb01\u2460\u0345"
UNSEEN = "\u200b\u00ad\u2060\ufe0f"
literals = st.text(alphabet="abAB1 s\u00df\u0130", min_size=1, max_size=5)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 2) -> str:
    """Regular expressions with a longest match."""
    kind = draw(st.integers(0, 6 if depth else 2))
    if kind <= 1:
        return draw(st.sampled_from(["a", "b", "1", "[ab]", "[^a]", ".", r"\d", r"\w", r"\s", r"\W"]))
    if kind == 2:
        return draw(st.sampled_from([r"\b", "^", "$", r"\B"])) if draw(st.integers(0, 3)) == 0 else "ab"
    inner = draw(expressions(depth - 1))
    if kind == 3:
        return inner + draw(expressions(depth - 1))
    if kind == 4:
        return f"(?:{inner}|{draw(expressions(depth - 1))})"
    least = draw(st.integers(0, 2))
    return f"(?:{inner}){{{least},{least + draw(st.integers(0, 2))}}}"


def usable(pattern: str) -> bool:
    try:
        output(blocklist(pattern))
    except ValueError:
        return False
    except Exception:  # noqa: BLE001  # what is refused is no subject here
        return False
    return True


patterns = st.one_of(literals.filter(str.strip), expressions().map(lambda each: f"/{each}/")).filter(usable)
texts = st.text(alphabet=LETTERS, max_size=30)
sprinkled = st.text(alphabet=LETTERS + tags("abAB1") + UNSEEN + UNEVEN + "s\uff41\uff42\u0301", max_size=30)
cuts = st.lists(st.integers(0, 30), max_size=6)


@examples(500)
@given(st.lists(patterns, min_size=1, max_size=3), sprinkled, cuts, st.sampled_from(["redact", "block"]))
async def test_a_stream_gives_what_the_text_gives(found: list[str], text: str, places: list[int], action: str) -> None:
    guards = output(*(blocklist(pattern, action=action) for pattern in found), {"type": "pii", "action": "redact"})
    right = await whole(guards, text)
    assert streamed(guards, cut(text, places)) == right
    assert streamed(guards, text) == right


@examples(500)
@given(st.lists(literals.filter(str.strip), min_size=1, max_size=4), sprinkled, cuts)
def test_none_of_any_literals_is_left_in_what_comes_out(found: list[str], text: str, places: list[int]) -> None:
    from ai_agents.guardrails.folding import fold

    out, _ = streamed(output(blocklist(*found)), cut(text, places))
    pieces = [fold(piece) for piece in out.split(REDACTED)]
    assert not any(fold(each) in piece for each in found for piece in pieces)


@examples(500)
@given(expressions(), texts)
def test_a_text_is_touched_where_python_finds_the_pattern_and_nowhere_else(pattern: str, text: str) -> None:
    if not usable(f"/{pattern}/"):
        return
    # Python has a word's border beside every letter; here it is beside those of ASCII. `$` is the very end here.
    python = re.compile(pattern.replace("$", r"\Z"), re.IGNORECASE | re.ASCII)
    out, _ = streamed(output(blocklist(f"/{pattern}/")), [text])
    assert (REDACTED in out) == (python.search(text) is not None)
    if python.search(text) is None:
        assert out == text


# What is held.


@examples(300)
@given(literals.filter(str.strip), st.text(alphabet="abAB1 cde", max_size=60))
def test_text_is_held_by_no_more_than_the_longest_match(pattern: str, text: str) -> None:
    guard = output(blocklist(pattern)).stream()
    for character in text:
        guard.feed(character)
        assert guard.held <= len(pattern)


def test_text_that_begins_no_match_is_held_by_one_character() -> None:
    guard = output(blocklist("a secret that is rather long"), {"type": "secrets"}).stream()
    held = []
    for character in "the quick brown fox jumps over the lazy dog":
        guard.feed(character)
        held.append(guard.held)
    assert max(held) <= 3


def test_what_no_guardrail_finds_comes_out_as_it_was() -> None:
    text = "\U0001f469\u200d\U0001f4bb caf\u00e9 cafe\u0301 \u0646\u200c\u0627 \ufb01 \u1100\u1161\u11a8 \u00bd \uff21"
    assert streamed(output({"type": "pii"}, {"type": "secrets"}, blocklist("forbidden")), text) == (text, None)


def test_parts_keep_their_text_though_a_match_lies_across_them() -> None:
    guard = output(blocklist("forbidden")).stream()
    out = [*guard.feed("all for", 0), *guard.feed("bid", 2), *guard.feed("den fruit", 5), *guard.finish()]
    by_part: dict[int, str] = {}
    for tag, text in out:
        by_part[tag] = by_part.get(tag, "") + text
    assert by_part == {0: f"all {REDACTED}", 5: " fruit"}


# Time.


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000, "1 " * 50_000, "a@" * 50_000, "GB82" * 25_000, "a:" * 50_000, "\u0301" * 50_000, "0" * 100_000],
)
async def test_hostile_texts_are_judged_in_time(text: str) -> None:
    guards = output(blocklist(r"/(?:a|a){1,30}b/", r"/(?:a?){20}a{20}c/"), PII, {"type": "secrets"})
    # Quadratic or worse would take minutes.
    judged = await guards.judge_text(text)
    assert judged.blocked_by is None


@pytest.mark.parametrize("length", [20, 500])
def test_a_list_as_long_as_may_be_is_ready_in_a_moment_and_holds_no_more_than_it_must(length: int) -> None:
    """Five hundred patterns; where their beginnings are too many to be told, the longest match is held."""
    patterns = [f"{number:04d}" + "x" * (length - 4) for number in range(500)]
    guard = output(blocklist(*patterns)).stream()
    for piece in cut("so it is 0123 and so on " * 40, range(0, 960, 5)):
        guard.feed(piece)
        assert guard.held <= length
    assert streamed(output(blocklist(*patterns)), f"a {patterns[7]} b") == (f"a {REDACTED} b", None)
