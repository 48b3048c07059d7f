"""The work that a text makes grows as its length does, in pieces of any size."""

from typing import Any

import pytest
import re2

from ai_agents.guardrails import folding
from ai_agents.guardrails.folding import FoldedText
from tests.unit.guardrails.judging import JsonObject, blocklist, cut, output, streamed

GUARDRAILS: list[JsonObject] = [
    {"type": "secrets", "action": "redact"},
    {"type": "pii", "action": "redact"},
    blocklist("forbidden", "stra\u00dfe", "/case [0-9]{4,6}/", "/x.{0,200}y/"),
]


class Counter:
    """How many characters were looked at."""

    def __init__(self) -> None:
        self.characters = 0


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter()
    search = re2._Regexp.search

    def counted(pattern: Any, text: Any, pos: int = 0, endpos: int | None = None) -> Any:
        counter.characters += len(text) - pos
        return search(pattern, text, pos, endpos)

    monkeypatch.setattr(re2._Regexp, "search", counted)
    return counter


def work_of(counter: Counter, text: str, size: int) -> int:
    guards = output(*GUARDRAILS)
    counter.characters = 0
    streamed(guards, cut(text, range(0, len(text), size)))
    return counter.characters


PEM = "-----BEGIN PRIVATE KEY-----\n"
UNITS = {
    "beginnings of keys": ("", "sk-"), "words like keys": ("", "xsk-"), "a key without digits": ("sk-", "a"),
    "a key with digits": ("sk-1", "a1"), "a header of a JWT": ("eyJ1", "a"), "claims of a JWT": ("eyJ1234567.eyJ", "a"),
    "beginnings of JWTs": ("", "eyJaaaaaaaa-"), "a private key": (PEM, "A" * 64 + "\n"), "one line of it": (PEM, "A"),
    "beginnings of private keys": ("", PEM), "Slack": ("", "xoxb-"), "Bedrock": ("", "ABSK"),
    "one key of it": ("ABSK", "a+"),
    "webhooks": ("", "hooks.slack.com/services/"), "bots": ("", "1234567:AA"), "letters": ("", "hf_aB"),
    "an address": ("", "a."), "domains": ("a@", "a."),
    "digits": ("", "4"), "groups of digits": ("", "4 "), "countries": ("", "GB82"), "IPv4": ("", "300."),
    "IPv6": ("", "a::"), "colons": ("", ":"), "calls": ("", "+1"), "a window": ("", "x"), "eszett": ("", "\u00df"),
}  # fmt: skip


@pytest.mark.parametrize("size", [4096, 23])
@pytest.mark.parametrize("kind", UNITS)
def test_a_text_of_twice_the_length_makes_twice_the_work(searched: Counter, kind: str, size: int) -> None:
    start, unit = UNITS[kind]
    # Longer than what is held of anything.
    length = 20_000 if start == PEM else 5000
    once = work_of(searched, start + unit * (length // len(unit)), size)
    twice = work_of(searched, start + unit * (2 * length // len(unit)), size)
    assert twice < 3 * once


@pytest.mark.parametrize("text", ["a" + "\u200b" * 4000, "\u200b" * 4000, "a" + "\u0301" * 4000, "\u200b\u0301" * 2000])
@pytest.mark.parametrize("size", [1, 50, 4000])
def test_combining_characters_are_looked_at_a_few_times(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    counter = Counter()
    kind = folding._kind

    def counted(character: str) -> str:
        counter.characters += 1
        return kind(character)

    monkeypatch.setattr(folding, "_kind", counted)
    folded = FoldedText()
    for piece in cut(text, range(0, len(text), size)):
        folded.feed(piece)
    folded.finish()
    assert counter.characters < 5 * len(text)
