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


HEX, MIXED = "0a1b2c3d", "aB3dE6gH"
# One of each form, after the rules of gitleaks (github.com/gitleaks/gitleaks); the letters are our own.
FORMS = {
    "Hugging Face": "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH", "Groq": "gsk_" + MIXED * 6 + "aB3d",
    "xAI": "xai-" + MIXED * 10, "Perplexity": "pplx-" + MIXED * 6, "Replicate": "r8_" + MIXED * 4 + "aB3dE",
    "Vault": "hvs." + "aB3-E6_H" * 12, "Vault in batches": "hvb." + "aB3-E6_H" * 18,
    "Google OAuth": "ya29." + "a0A-b_C1" * 9, "PyPI": "pypi-AgEIcHlwaS5vcmc" + "aB3-E6_H" * 8,
    "Docker": "dckr_pat_" + MIXED * 3 + "aB3", "Grafana": "glsa_" + MIXED * 4 + "_0a1b2c3d",
    "Postman": "PMAK-" + HEX * 3 + "-" + HEX * 4 + "0a", "Figma": "figd_" + MIXED * 5,
    "an application of Slack": "xapp-1-A0B1C2D3E4-1234567890-" + HEX * 8, "Sentry": "sntrys_" + MIXED * 8,
    "DigitalOcean": "dop_v1_" + HEX * 8, "DigitalOcean OAuth": "doo_v1_" + HEX * 8,
    "Databricks": "dapi" + HEX * 4 + "-2", "Shopify": "shpat_" + HEX * 4,
    "an application of Shopify": "shpss_" + HEX * 4,
    "Sourcegraph": "sgp_" + HEX * 5, "an instance of Sourcegraph": "sgp_" + HEX * 2 + "_" + HEX * 5,
    "a local Sourcegraph": "sgp_local_" + HEX * 5, "Pulumi": "pul-" + HEX * 5,
    "SendGrid": "SG.aB3-E6_HiJ1kL2mN3oP4qR." + MIXED * 5 + "aB3",
    "Notion": "ntn_12345678901" + MIXED * 4 + "aB3",
    "Linear": "lin_api_" + MIXED * 5, "RubyGems": "rubygems_" + HEX * 6,
    "1Password": "ops_eyJ" + "aB3d/6+H" * 40 + "==",
    "Bedrock": "ABSK" + "aB3d/6+H" * 14 + "=", "a bot of Telegram": "1234567890:AA" + "aB3-E6_H" * 4 + "a",
}  # fmt: skip
WEBHOOKS = {
    "Slack": ("https://", "hooks.slack.com/services/T0A1B2C3D/B0A1B2C3D/" + MIXED * 3),
    "a workflow of Slack": (
        "https://",
        "hooks.slack.com/workflows/T0A1B2C3D/A0A1B2C3D/123456789012345678/" + MIXED * 3,
    ),
    "Discord": ("https://", "discord.com/api/webhooks/123456789012345678/" + "aB3-E6_H" * 8),
    "a version of Discord": ("https://ptb.", "discordapp.com/api/v10/webhooks/12345678901234567/" + "aB3-E6_H" * 8),
    "Telegram": ("https://api.telegram.org/", "bot1234567890:AA" + "aB3-E6_H" * 4 + "a"),
}


@pytest.mark.parametrize("kind", FORMS)
def test_each_form_is_found_and_no_part_of_it_leaves(kind: str) -> None:
    text = f'key="{FORMS[kind]}", so.'
    for pieces in ([text], list(text), cut(text, range(0, len(text), 17))):
        assert streamed(output(SECRETS), pieces) == (f'key="{R}", so.', None)
    # The end of a longer word is something else.
    assert streamed(output(SECRETS), f"x{FORMS[kind]}")[0].startswith("x")


@pytest.mark.parametrize("kind", WEBHOOKS)
def test_addresses_that_let_anybody_write_are_found(kind: str) -> None:
    before, secret = WEBHOOKS[kind]
    text = f"post to <{before}{secret}>, so."
    for pieces in ([text], list(text), cut(text, range(0, len(text), 17))):
        assert streamed(output(SECRETS), pieces) == (f"post to <{before}{R}>, so.", None)


def test_the_key_of_a_service_account_is_found_in_its_file() -> None:
    key = KEYS["plain"].replace("\n", "\\n") + "\\n"
    text = '{"type": "service_account", "private_key": "' + key + '", "client_id": "1"}'
    out, _ = streamed(output(SECRETS), text)
    assert LINE not in out
    assert (out.startswith('{"type": "service_account"'), out.endswith('"client_id": "1"}')) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "hf_model_name_of_the_second_version_2_large", "pypi-package-with-a-very-long-name-2-of-ours",
        "dapi" + "x1" * 20,
        "https://hooks.slack.com/services", "https://discord.com/channels/123456789012345678/123456789012345678",
        "at 12345678:AB and 10:30:AA", "sg.example.com", "ya29.", "hvs.example.org/a-path-of-some-length",
    ],
)  # fmt: skip
def test_names_that_begin_like_a_form_stay(text: str) -> None:
    assert streamed(output(SECRETS), text) == (text, None)


@pytest.mark.parametrize(
    "start,unit",
    [
        ("ABSK", "a/"),
        ("pplx-", "c3"),
        ("sk-1", "aB"),
        ("ghp_", "c3"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJ", "x9"),
        ("xoxb-1", "2-"),
    ],
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
