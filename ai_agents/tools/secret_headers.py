"""What a server was sent in secret and says again: a model need not see it."""

from collections.abc import Mapping
from typing import Any

_HIDDEN = "[redacted]"
# A shorter value is found by chance in many answers.
_SHORTEST = 8


def without_secrets(text: str, headers: Mapping[str, str]) -> str:
    """The text without the values of the headers, whole or without their scheme (`Bearer …`)."""
    for value in headers.values():
        for secret in sorted({value, value.rpartition(" ")[2]}, key=len, reverse=True):
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, _HIDDEN)
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
