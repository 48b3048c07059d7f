"""No writing of a secret gets through, however long the secret is, and whatever it is made of."""

import json
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.tools.secret_headers import value_without_secrets, without_secrets

HIDDEN = "[redacted]"
KEY = "k9/" + "".join(f"{number:x}.\"<&'\\ +={number * 7:x}" for number in range(60)) + "z"
# Read as they look, each of these is something else.
SELVES = [
    "%41 and %2541, ", "\\u0041\\\\u0041, ", "&amp;&#65;&amp;amp; ", "a+b c%20d ", "%4%41%341 ", "u0041 ", "%%41B ",
    "\\\\\\x",
]  # fmt: skip
REPEATED = ["a", "ab", "%41", "%", "0", "&amp;", "\\a", "+ ", "25"]
AROUND = [
    "", " ", '"', "\\", "%", "%4", "%25", "\\u", "\\u00", "u004", "&", "&#", "&#x", "&am", "1", "41", ";", "p;",
]  # fmt: skip
WRITINGS = [
    lambda letter: letter,
    lambda letter: letter,
    lambda letter: f"\\{letter}",
    lambda letter: f"\\u{ord(letter):04x}",
    lambda letter: f"\\U{ord(letter):04X}",
    lambda letter: f"%{ord(letter):02x}",
    lambda letter: f"%{ord(letter):02X}",
    lambda letter: f"&#{ord(letter)};",
    lambda letter: f"&#00{ord(letter)};",
    lambda letter: f"&#X0{ord(letter):x};",
    escape,
]

secrets = st.lists(st.sampled_from([*SELVES, *"aB7%\\&+ ;u-"]), min_size=1, max_size=40).flatmap(
    lambda parts: st.sampled_from([1, 5, 60]).map(lambda times: f"({''.join(parts) * times}-the-end)")
)


@pytest.mark.parametrize("length", [30, 1000, 4000, 8000])
@pytest.mark.parametrize("unit", REPEATED)
def test_a_value_that_repeats_itself_is_hidden_from_a_long_text(unit: str, length: int) -> None:
    secret = f"{unit * (length // len(unit))}z"
    text = unit * (2_000_000 // len(unit)) + "z"
    seen = without_secrets(text, {"x-key": secret})
    assert seen.endswith(HIDDEN)
    assert secret not in seen


def test_what_a_value_only_begins_with_stays() -> None:
    text = ("a" * 3900 + "b") * 100
    assert without_secrets(text, {"x-key": "a" * 4000}) == text


@pytest.mark.parametrize("spoken", [KEY, *(unit * times + "z1234567" for unit in SELVES for times in (1, 60))])
@pytest.mark.parametrize(
    "written",
    [str, lambda text: json.dumps(text)[1:-1], escape, quote, quote_plus, lambda text: quote(text, safe="")],
    ids=["plain", "json", "html", "path", "form", "address"],
)
def test_a_value_is_found_as_each_format_writes_it(spoken: str, written: object) -> None:
    text = f"<<{written(spoken)}>>"  # type: ignore[operator]
    assert without_secrets(text, {"x-key": spoken}) == f"<<{HIDDEN}>>"


@given(secret=secrets, data=st.data())
def test_a_value_is_found_in_any_mixture_of_writings(secret: str, data: st.DataObject) -> None:
    ways = data.draw(st.lists(st.sampled_from(WRITINGS), min_size=1, max_size=30))
    text = "".join(ways[place % len(ways)](letter) for place, letter in enumerate(secret))
    assert without_secrets(f"<<{text}>>", {"x-key": secret}) == f"<<{HIDDEN}>>"


@given(
    before=st.lists(st.sampled_from(AROUND)),
    after=st.lists(st.sampled_from(AROUND)),
    first=st.text("0a4u;m#", max_size=8),
)
def test_nothing_that_stands_around_a_value_hides_it(before: list[str], after: list[str], first: str) -> None:
    secret = f"{first}{KEY}{first[::-1]}"
    seen = without_secrets("".join(before) + secret.replace(".", "%2e") + "".join(after), {"x-key": secret})
    assert HIDDEN in seen
    assert KEY[3:-1] not in seen.replace("%2e", ".")
    assert len(seen) <= len("".join(before + after)) + len(HIDDEN) + 2 * 8


@pytest.mark.parametrize("key", ["short-key", "ab%41_&amp;" * 20 + "x", "0123abcd" * 40])
def test_a_key_is_found_with_its_scheme_and_without_it(key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    assert without_secrets(f"it was Bearer {key}.", headers) == f"it was {HIDDEN}."
    assert without_secrets(f"it was token {key}.", headers) == f"it was token {HIDDEN}."


def test_each_text_of_a_value_is_looked_through() -> None:
    headers = {"x-key": KEY, "x-other": "12345678"}
    value = {KEY: [quote(KEY), 7, {"a": "1234567\\8"}, "fine"], "b": None}
    assert value_without_secrets(value, headers) == {HIDDEN: [HIDDEN, 7, {"a": HIDDEN}, "fine"], "b": None}
