"""What a server was sent in secret and says again: a model need not see it, in whatever writing.

A short value is found by a pattern of all its writings. That of a long one would be slow, most of all where the value
repeats itself; so a long one is sought in the text as it reads, with every letter as itself.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from html import unescape
from itertools import accumulate
from typing import Any

_HIDDEN = "[redacted]"
# A shorter value is found by chance in many answers.
_SHORTEST = 8
_LONG = 64
# For the longest value that a header may have.
_MAX_MEMORY = 256 * 1024 * 1024
_NAMED = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
# Backslashes may stand before any letter, and so before the u of a letter's number.
_WRITTEN = re.compile(
    r"(\\+|%[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{4}"
    r"|&#0*[0-9]{1,7};|&#[xX]0*[0-9a-fA-F]{1,6};|&amp;|&lt;|&gt;|&quot;|&apos;)"
)
# A value that holds such writings itself is sought in a text that is read once more: both are the same then.
_MOST_READINGS = 3
# So many letters at a value's ends may be taken for a part of a writing that begins before it, or ends after it.
_EDGE = 8


def without_secrets(text: str, headers: Mapping[str, str]) -> str:
    """The text without the values of the headers, whole or without their scheme (`Bearer …`).

    They are found as they are, and as JSON, HTML and addresses write them.
    """
    secrets = _secrets(tuple(headers.values()))
    if len(text) < secrets.shortest:  # no writing is shorter than what is written
        return text
    if secrets.hint is not None and secrets.hint.search(text):
        text = _without(text, secrets)
    return text if secrets.pattern is None else str(secrets.pattern.sub(_HIDDEN, text))


def value_without_secrets(value: Any, headers: Mapping[str, str]) -> Any:
    """The JSON value, with each text in it, keys too, without the values of the headers."""
    match value:
        case str():
            return without_secrets(value, headers)
        case dict():
            seen = ((without_secrets(key, headers), inner) for key, inner in value.items())
            return {key: value_without_secrets(inner, headers) for key, inner in seen}
        case list():
            return [value_without_secrets(inner, headers) for inner in value]
        case _:
            return value


@dataclass(frozen=True, slots=True)
class _Secrets:
    """`pattern` finds the short ones. `long` are the others as they read after so many `readings`.

    Where `hint` finds nothing there is no long one.
    """

    shortest: float
    pattern: Any
    hint: Any
    long: tuple[str, ...]
    readings: int


@lru_cache(256)
def _secrets(values: tuple[str, ...]) -> _Secrets:
    secrets = {part for value in values for part in (value, value.rpartition(" ")[2]) if len(part) >= _SHORTEST}
    read = {secret: _read_to_the_end(secret) for secret in secrets if len(secret) > _LONG}
    # Of some there is next to nothing left, or no end to it.
    long = {
        secret: (plain, readings)
        for secret, (plain, readings) in read.items()
        if readings <= _MOST_READINGS and len(plain) >= 4 * _EDGE
    }
    return _Secrets(
        min(map(len, secrets), default=float("inf")),
        _pattern(secrets - long.keys()),
        _pattern({secret[:_LONG] for secret in long}),
        tuple(sorted({plain for plain, _ in long.values()})),
        max((readings for _, readings in long.values()), default=0),
    )


# Short values.


def _pattern(secrets: Iterable[str]) -> Any:
    """What finds any of them, the longest first, in all writings. None finds nothing."""
    import re2

    longest_first = sorted(secrets, key=lambda secret: (-len(secret), secret))
    if not longest_first:
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    return re2.compile("|".join("".join(map(_writings, secret)) for secret in longest_first), options)


def _writings(letter: str) -> str:
    """A pattern for all that a letter may be written as."""
    import re2

    code = ord(letter)
    ways = [rf"\\?{re2.escape(letter)}", rf"(?i:\\u{code:04x})", rf"(?i:%{code:02x})"]
    ways.append(rf"(?i:&#(?:0*{code}|x0*{code:x});)")
    if letter in _NAMED:
        ways.append(f"&{_NAMED[letter]};")
    if letter == " ":
        ways.append(r"\+")
    return f"(?:{'|'.join(ways)})"


# Long values.


class _Reading:
    """A text with what its letters are written as undone, once, in `plain`. It knows where each of them stood."""

    def __init__(self, text: str) -> None:
        pieces = _WRITTEN.split(text)
        self._written = array("I", map(len, pieces))
        pieces[1::2] = map(_Letters().__getitem__, pieces[1::2])
        self._read = array("I", map(len, pieces))
        self.plain = "".join(pieces)

    def end_of(self, length: int) -> int:
        """Where so much of `plain` ended in the text."""
        written, read = self._ends
        piece = bisect_left(read, length)
        return written[piece] - (read[piece] - length)

    @cached_property
    def _ends(self) -> "tuple[array[int], array[int]]":
        return array("I", accumulate(self._written)), array("I", accumulate(self._read))


class _Letters(dict[str, str]):
    """What each writing stands for; a blank for a plus, as in the text, and nothing for backslashes."""

    def __missing__(self, written: str) -> str:
        match written[0]:
            case "\\":
                letter = ""
            case "&":
                letter = unescape(written)
            case _:
                letter = chr(int(written[1:], 16))
        self[written] = letter = letter.replace("\\", "").replace("+", " ")
        return letter


def _read_to_the_end(secret: str) -> tuple[str, int]:
    """A secret read until nothing of it changes, and in which reading that is so for each of its writings too."""
    plain, readings = secret.replace("\\", "").replace("+", " "), 1
    while (again := _Reading(plain).plain) != plain and readings <= _MOST_READINGS:
        plain, readings = again, readings + 1
    return plain, readings


def _without(text: str, secrets: _Secrets) -> str:
    readings: list[_Reading] = []
    plain = text.replace("+", " ")
    for _ in range(secrets.readings):
        readings.append(_Reading(plain))
        plain = readings[-1].plain
    spans = sorted(span for secret in secrets.long for span in _places_of(secret, text, plain, readings))
    pieces, end = [], 0
    for start, stop in spans:
        if start >= end:
            pieces += [text[end:start], _HIDDEN]
        end = max(end, stop)
    return "".join([*pieces, text[end:]])


def _places_of(secret: str, text: str, plain: str, readings: list[_Reading]) -> Iterator[tuple[int, int]]:
    """Where it stands in the text. What is around it may have taken its ends, which stand there as they are then."""

    def end_of(length: int) -> int:
        for reading in reversed(readings):
            length = reading.end_of(length)
        return length

    head, core, tail = secret[:_EDGE], secret[_EDGE:-_EDGE], secret[-_EDGE:]
    for start in _all(core, plain):
        stop = start + len(core)
        first, last = end_of(start), end_of(stop)
        for taken in range(max(_EDGE - start, 0), _EDGE):
            begin = start - _EDGE + taken
            if plain.startswith(head[taken:], begin) and text.endswith(head[:taken], 0, end_of(begin)):
                first = end_of(begin) - taken
                break
        for left in range(_EDGE, 0, -1):
            if plain.startswith(tail[:left], stop) and text.startswith(tail[left:], end_of(stop + left)):
                last = end_of(stop + left) + _EDGE - left
                break
        yield first, last
    for start in _all(secret, plain):
        yield end_of(start), end_of(start + len(secret))


def _all(part: str, text: str) -> Iterator[int]:
    start = text.find(part)
    while start >= 0:
        yield start
        start = text.find(part, start + len(part))
