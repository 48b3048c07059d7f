"""Private keys in the ways they are written and quoted, and keys and tokens of any length."""

import pytest

from tests.unit.guardrails.judging import JsonObject, cut, output, streamed

SECRETS: JsonObject = {"type": "secrets", "action": "redact"}
R = "[redacted]"
LINE = "MIIEowIBAAKCAQEAx3Zq9vLk2mP8rT5wYbN1cD4fG7hJ0kLmNoPqRsTuVwXyZaBc"
BODY = f"{LINE}\n{LINE}\n{LINE}\nAb3dE9=="
KEYS = {
    "plain": f"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----",
    "with headers": (
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,ABC\n\n"
        f"{BODY}\n-----END RSA PRIVATE KEY-----"
    ),
    "of PGP": (
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\nComment: for work (old)\n\n"
        f"{BODY}\n=aBcd\n-----END PGP PRIVATE KEY BLOCK-----"
    ),
    "of SSH2": f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{BODY}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
    "in two spaces": "-----BEGIN PRIVATE KEY-----\n" + "A B " * 200 + "\n-----END PRIVATE KEY-----",
}
WAYS = {
    "as it is": lambda key: key,
    "with written newlines": lambda key: key.replace("\n", "\\n"),
    "with newlines of Windows": lambda key: key.replace("\n", "\r\n"),
    "with written newlines of Windows": lambda key: key.replace("\n", "\\r\\n"),
    "in a reply": lambda key: key.replace("\n", "\n> "),
    "in source code": lambda key: key.replace("\n", '\\n" +\n    "'),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KEYS)
def test_a_private_key_is_taken_out_to_its_end(kind: str, way: str) -> None:
    text = f'the key "{WAYS[way](KEYS[kind])}", so.'
    guards = output(SECRETS)
    for pieces in ([text], list(text), cut(text, range(0, len(text), 17))):
        assert streamed(guards, pieces) == (f'the key "{R}", so.', None)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["plain", "with headers", "of PGP"])
def test_a_private_key_without_an_end_is_taken_out_and_what_follows_stays(kind: str, way: str) -> None:
    key = WAYS[way](KEYS[kind].partition("\n-----END")[0])
    guards = output(SECRETS)
    for text in (f"{key}\n\nThen the next paragraph. And one more.", key):
        out, _ = streamed(guards, [text])
        assert out == R + text[len(key) :]
        assert streamed(guards, text) == (out, None)


def test_prose_about_private_keys_keeps_its_paragraphs() -> None:
    text = "The file begins with `-----BEGIN PRIVATE KEY-----`, and lines follow.\n\nOpen it, and\nsee for yourself."
    right = text.replace("-----BEGIN PRIVATE KEY-----", R)
    assert streamed(output(SECRETS), [text]) == (right, None)
    assert streamed(output(SECRETS), text) == (right, None)
    longer = text + " It is a long story." * 200
    assert streamed(output(SECRETS), longer)[0].endswith(" It is a long story." * 200)


def test_prose_about_private_keys_goes_on_to_flow() -> None:
    guard = output(SECRETS).stream()
    out = "".join(piece for _, piece in guard.feed("a -----BEGIN PRIVATE KEY----- is " + "just a line " * 100))
    assert out.startswith(f"a {R} is just a line")


def test_a_private_key_ends_before_the_next_begins() -> None:
    text = f"-----BEGIN PRIVATE KEY-----\n\nAs I said: it is secret.\n\n{KEYS['plain']}"
    assert streamed(output(SECRETS), text) == (f"{R}\n\nAs I said: it is secret.\n\n{R}", None)


def test_a_key_that_goes_on_without_end_never_leaves() -> None:
    text = "-----BEGIN PRIVATE KEY-----\n" + f"{LINE}\n" * 1000
    for size in (len(text), 50):
        assert streamed(output(SECRETS), cut(text, range(0, len(text), size)))[0].strip() == R


@pytest.mark.parametrize(
    "start,unit", [("sk-1", "aB"), ("ghp_", "c3"), ("eyJhbGciOiJIUzI1NiJ9.eyJ", "x9"), ("xoxb-1", "2-")]
)
def test_no_part_of_a_long_token_leaves(start: str, unit: str) -> None:
    text = f"it is {start}{unit * 5000}, so."
    for pieces in ([text], cut(text, range(0, len(text), 7))):
        assert streamed(output(SECRETS), pieces) == (f"it is {R}, so.", None)


@pytest.mark.parametrize(
    "text,right",
    [
        ("AKIAIOSFODNN7EXAMPLE_", f"{R}_"), ("_AKIAIOSFODNN7EXAMPLE", f"_{R}"), ("akiaiosfodnn7example", R),
        ("\u5bc6\u94a5sk-ant-api03-abcdefghijklmnop0123456789\u3002", f"\u5bc6\u94a5{R}\u3002"),
        ("_ghp_" + "c3" * 18, f"_{R}"), ("sk-sk-sk-" + "a1" * 20, R),
        ("x.eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r. So", f"x.{R}. So"),
    ],
)  # fmt: skip
def test_tokens_are_found_beside_what_is_no_word(text: str, right: str) -> None:
    assert streamed(output(SECRETS), [text]) == (right, None)
    assert streamed(output(SECRETS), text) == (right, None)


@pytest.mark.parametrize(
    "text", ["AKIAIOSFODNN7EXAMPLEX", "XAKIAIOSFODNN7EXAMPLE", "xsk-abcdefghijklmnop0123456789", "sk-" * 200]
)
def test_what_only_looks_like_a_token_stays(text: str) -> None:
    assert streamed(output(SECRETS), text) == (text, None)
