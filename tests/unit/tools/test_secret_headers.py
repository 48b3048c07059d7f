"""A secret of any length and any characters is hidden as each format writes it."""

import json
from base64 import b64encode, urlsafe_b64encode
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_agents.tools.results import SecretHeaders

HIDDEN = "[redacted]"
KEY = "k9/" + "".join(f"{number:x}.\"<&'\\ +={number * 7:x}" for number in range(60)) + "z"
# Decoded, each of these is something else.
SELVES = [
    "%41 and %2541, ", "\\u0041\\\\u0041, ", "&amp;&#65;&amp;amp; ", "a+b c%20d ", "%4%41%341 ", "u0041 ", "%%41B ",
    "\\\\\\x",
]  # fmt: skip
REPEATED = ["a", "ab", "%41", "%", "0", "&amp;", "\\a", "+ ", "25"]
WRITTEN = [
    str,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    escape,
    quote,
    quote_plus,
    lambda text: quote(text, safe=""),
    lambda text: b64encode(text.encode()).decode().rstrip("="),
    lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
]


def hide(text: str, *secrets: str) -> str:
    return SecretHeaders({f"x-key-{number}": secret for number, secret in enumerate(secrets)}).hide(text)


@pytest.mark.parametrize("length", [30, 1000, 4000, 8000])
@pytest.mark.parametrize("unit", REPEATED)
def test_a_value_that_repeats_itself_is_hidden_from_a_long_text(unit: str, length: int) -> None:
    secret = f"{unit * (length // len(unit))}z"
    text = unit * (2_000_000 // len(unit)) + "z"
    seen = hide(text, secret)
    assert seen.endswith(HIDDEN)
    assert secret not in seen


def test_the_beginning_of_a_value_is_not_hidden() -> None:
    text = ("a" * 3900 + "b") * 100
    assert hide(text, "a" * 4000) == text


@pytest.mark.parametrize("spoken", [KEY, *(unit * times + "z1234567" for unit in SELVES for times in (1, 60))])
@pytest.mark.parametrize(
    "written", WRITTEN, ids=["plain", "json", "slashes", "html", "path", "form", "address", "base64", "urlsafe_base64"]
)
def test_a_value_is_found_as_each_format_writes_it(spoken: str, written: object) -> None:
    text = f"<<{written(spoken)}>>"  # type: ignore[operator]
    assert hide(text, spoken) == f"<<{HIDDEN}>>"


header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=8)


@given(secrets=st.lists(header_values, min_size=1, max_size=4), around=st.text(), written=st.sampled_from(WRITTEN))
def test_every_value_is_hidden_in_any_text(secrets: list[str], around: str, written: object) -> None:
    forms = [written(secret) for secret in secrets]  # type: ignore[operator]
    seen = hide(around.join(["", *forms, ""]), *secrets).replace(HIDDEN, "\n")
    assert not any(form in seen for form in forms)


@pytest.mark.parametrize("key", ["short-key", "ab%41_&amp;" * 20 + "x", "0123abcd" * 40])
def test_a_key_is_found_with_its_scheme_and_without_it(key: str) -> None:
    assert hide(f"it was Bearer {key}.", f"Bearer {key}") == f"it was {HIDDEN}."
    assert hide(f"it was token {key}.", f"Bearer {key}") == f"it was token {HIDDEN}."


def test_each_text_of_a_json_value_is_searched() -> None:
    secrets = SecretHeaders({"x-key": KEY, "x-other": "12345678"})
    value = {KEY: [quote(KEY), 7, {"a": "12345678"}, "fine"], "b": None}
    assert secrets.hide_in(value) == {HIDDEN: [HIDDEN, 7, {"a": HIDDEN}, "fine"], "b": None}


def test_what_is_secret_within_a_header_is_hidden_by_itself() -> None:
    secrets = SecretHeaders({
        "Cookie": "theme=dark; session=s3cret-of-ada",
        "Authorization": "Basic " + b64encode(b"ada:correct-horse").decode(),
        "X-Odd": "Basic no-base64",
    })  # fmt: skip

    hidden = secrets.hide("session s3cret-of-ada of ada, password correct-horse, ada:correct-horse, dark")

    assert hidden == f"session {HIDDEN} of ada, password {HIDDEN}, {HIDDEN}, dark"
