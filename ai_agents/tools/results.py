"""Makes of whatever a tool returns a JSON value that every store, client and provider takes."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ai_agents.core import json
from ai_agents.core.json import clean_text
from ai_agents.tools.base import ToolError

_MAX_DEPTH = 32
# A value beyond this is not even read through; it could only be cut to something that tells nothing.
_MAX_READ = 4 * 1024 * 1024
_MOST_BYTES_PER_CHARACTER = 4


def result_value(value: Any, *, max_bytes: int) -> Any:
    """The value as JSON, at most `max_bytes` long in UTF-8; a longer one is a text that is cut and says so.

    NUL and lone surrogates become U+FFFD; numbers that JSON or 64 bits do not hold become texts.
    Raises `ToolError` for what is not JSON.
    """
    if isinstance(value, str):
        return cut_text(value, max_bytes=max_bytes)
    cleaned = _Cleaner().clean(value, 0)
    text = json.dumps(cleaned)
    if len(text) * _MOST_BYTES_PER_CHARACTER <= max_bytes or len(text.encode()) <= max_bytes:
        return cleaned
    return cut_text(text, max_bytes=max_bytes)


def cut_text(text: str, *, max_bytes: int) -> str:
    """The text, clean, and no longer than `max_bytes` in UTF-8; where it is cut, its end says so."""
    # No character is less than a byte, so what lies behind this is not needed to know that the text is too long.
    head = clean_text(text[: max_bytes + 1])
    if len(text) * _MOST_BYTES_PER_CHARACTER <= max_bytes:
        return head
    encoded = head.encode()
    if len(text) <= max_bytes and len(encoded) <= max_bytes:
        return head
    room = max_bytes - len(_cut_note(len(text), len(text)))
    shown = encoded[: max(0, room)].decode(errors="ignore")
    return shown + _cut_note(len(shown), len(text))


def _cut_note(shown: int, total: int) -> str:
    return f"\n[The result was cut here: {shown} of its {total} characters are shown.]"


class _Cleaner:
    """Walks through one value and counts how much there is of it."""

    def __init__(self) -> None:
        self._read = 0

    def clean(self, value: Any, depth: int) -> Any:
        self._count(1)
        if depth > _MAX_DEPTH:
            raise ToolError(f"The tool's result is nested deeper than {_MAX_DEPTH} levels.")
        match value:
            case None | bool():
                return value
            case int():
                return int(value) if -(2**63) <= value < 2**63 else _digits(value)
            case float():
                return float(value) if math.isfinite(value) else _not_finite(value)
            case str():
                return self._text(value)
            case Mapping():
                return {self._key(key): self.clean(inner, depth + 1) for key, inner in value.items()}
            case list() | tuple():
                return [self.clean(inner, depth + 1) for inner in value]
            case Decimal():
                return str(value)
            case _:
                return self._other(value, depth)

    def _text(self, text: str) -> str:
        self._count(len(text))
        return clean_text(str(text))

    def _key(self, key: Any) -> str:
        if isinstance(key, str):
            return self._text(key)
        if key is None or isinstance(key, bool | int | float):
            return str(self.clean(key, 0))
        raise ToolError(f"The tool's result is not JSON: a key is of type {type(key).__name__}.")

    def _other(self, value: Any, depth: int) -> Any:
        """Dates, UUIDs, dataclasses and enumerations have a JSON form that orjson knows."""
        try:
            plain = json.loads(json.dumps(value))
        except TypeError:
            raise ToolError(f"The tool's result is not JSON: it holds a {type(value).__name__}.") from None
        return self.clean(plain, depth + 1)

    def _count(self, amount: int) -> None:
        self._read += amount
        if self._read > _MAX_READ:
            raise ToolError(f"The tool's result is larger than {_MAX_READ // 1024 // 1024} MiB.")


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python itself refuses to write out numbers of many thousand digits
        raise ToolError("The tool's result holds a number that is too long to write.") from None


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
