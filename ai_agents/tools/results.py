"""Makes of whatever a tool returns a JSON value that every store, client and provider takes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ai_agents.core import json
from ai_agents.core.json import clean_text
from ai_agents.tools.base import ToolError

_MAX_DEPTH = 32
# A value beyond this is not even read through; it could only be cut to something that tells nothing.
_MAX_READ = 4 * 1024 * 1024
# What a value takes besides its text.
_VALUE_BYTES = 16
_MOST_BYTES_PER_CHARACTER = 4
# As a file this is below what one may have, in any script but the rarest.
_MAX_TEXT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Shown:
    """What the model is shown of a result. `whole` is all of it, where that is more than what is shown."""

    value: Any
    whole: str | None = None


def clean_value(value: Any) -> Any:
    """The value as JSON that every store and client takes.

    NUL and lone surrogates become U+FFFD; numbers that JSON or 64 bits do not hold become texts; a text of more than
    16 Mi characters ends there, and says so. Raises `ToolError` for what is not JSON.
    """
    if not isinstance(value, str):
        return _Cleaner().clean(value, 0)
    if len(value) <= _MAX_TEXT:
        return clean_text(value)
    return clean_text(value[:_MAX_TEXT]) + f"\n[The tool gave {len(value)} characters; the rest was not kept.]"


def shown(cleaned: Any, *, max_bytes: int) -> Shown:
    """A clean value as it is, or as a text of at most `max_bytes` in UTF-8 where it is longer."""
    text = cleaned if isinstance(cleaned, str) else json.dumps(cleaned)
    if len(text) * _MOST_BYTES_PER_CHARACTER <= max_bytes or len(text.encode()) <= max_bytes:
        return Shown(cleaned)
    return Shown(cut_text(text, max_bytes=max_bytes), text)


def cut_text(text: str, *, max_bytes: int, kept_as: str | None = None) -> str:
    """As much of a text as fits into `max_bytes` of UTF-8, and a note that says so; `kept_as` is the id of the file
    that has all of it.
    """
    room = max_bytes - len(_cut_note(len(text), len(text), kept_as))
    head = text[: max(0, room)].encode()[: max(0, room)].decode(errors="ignore")
    return head + _cut_note(len(head), len(text), kept_as)


def _cut_note(length: int, total: int, kept_as: str | None) -> str:
    rest = f"; all of it is kept as file {kept_as}" if kept_as else ""
    return f"\n[The result was cut here: {length} of its {total} characters are shown{rest}.]"


class _Cleaner:
    """Walks through one value and counts how much there is of it."""

    def __init__(self) -> None:
        self._read = 0

    def clean(self, value: Any, depth: int) -> Any:
        self._count(_VALUE_BYTES)
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
