"""What a server was sent in secret and says again: a model need not see it, in whatever writing."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_HIDDEN = "[redacted]"
# A shorter value is found by chance in many answers.
_SHORTEST = 8
# For the longest value that a header may have.
_MAX_MEMORY = 256 * 1024 * 1024
_NAMED = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


def without_secrets(text: str, headers: Mapping[str, str]) -> str:
    """The text without the values of the headers, whole or without their scheme (`Bearer …`).

    They are found as they are, and as JSON, HTML and addresses write them.
    """
    if len(text) < _SHORTEST:  # no writing is shorter than what is written
        return text
    for pattern in _patterns(tuple(headers.values())):
        text = str(pattern.sub(_HIDDEN, text))
    return text


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


@lru_cache(256)
def _patterns(values: tuple[str, ...]) -> tuple[Any, ...]:
    """What finds them, the longest first."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    secrets = {part for value in values for part in (value, value.rpartition(" ")[2]) if len(part) >= _SHORTEST}
    longest_first = sorted(secrets, key=lambda secret: (-len(secret), secret))
    return tuple(re2.compile("".join(map(_writings, secret)), options) for secret in longest_first)


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
