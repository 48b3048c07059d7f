"""What may be shown of a tool's result: JSON that every store, client and provider accepts, without secret headers."""

import math
from base64 import b64decode
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from ai_agents.core import json
from ai_agents.core.json import clean_text
from ai_agents.core.secrets import Secrets
from ai_agents.tools.base import ToolError

_MAX_DEPTH = 32
# A larger value is refused: a model would be shown so little of it that it learns nothing.
_MAX_VALUE_BYTES = 4 * 1024 * 1024
# What a value counts for besides its text.
_BYTES_PER_VALUE = 16
_MAX_BYTES_PER_CHARACTER = 4
# In most scripts a file of so many characters is smaller than the largest that is allowed.
_MAX_TEXT = 16 * 1024 * 1024
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_HIDDEN = "[redacted]"
# Many answers contain a shorter value by chance.
_SHORTEST = 8
# The tool that reads on where a result was cut.
READ_RESULT = "read_result"
# Longer lines count as several, so that the JSON of a large value can be read on, too.
_LINE_CHARACTERS = 500


def clean_value(value: Any) -> Any:
    """Return the value as JSON that every store and client accepts.

    NUL and lone surrogates become U+FFFD; numbers that JSON or 64 bits cannot hold become texts; a text of more than
    16 Mi characters is cut off, with a note. Raises `ToolError` for what is not JSON.
    """
    if not isinstance(value, str):
        return _ValueCleaner().clean(value, 0)
    if len(value) <= _MAX_TEXT:
        return clean_text(value)
    return clean_text(value[:_MAX_TEXT]) + f"\n[The tool gave {len(value)} characters; the rest was not kept.]"


def shorten(cleaned: Any, *, max_bytes: int) -> tuple[Any, str | None]:
    """Return a clean value as it is and None, or at most `max_bytes` of its text in UTF-8 and the whole text."""
    text = cleaned if isinstance(cleaned, str) else json.dumps(cleaned)
    if len(text) * _MAX_BYTES_PER_CHARACTER <= max_bytes or len(text.encode()) <= max_bytes:
        return cleaned, None
    return cut_text(text, max_bytes=max_bytes), text


def cut_text(text: str, *, max_bytes: int, kept_as: str | None = None) -> str:
    """Return as much of a text as fits into `max_bytes` of UTF-8, with a note that says so.

    `kept_as` is the id of the file that has all of it.
    """
    room = max(0, max_bytes - len(_cut_note(len(text), len(text), kept_as, len(text))))
    head = text[:room].encode()[:room].decode(errors="ignore")
    return head + _cut_note(len(head), len(text), kept_as, len(result_lines(head)))


def _cut_note(length: int, total: int, kept_as: str | None, line: int) -> str:
    rest = f"; all of it is kept as file {kept_as}: {READ_RESULT} reads on from_line {line}" if kept_as else ""
    return f"\n[The result was cut here: {length} of its {total} characters are shown{rest}.]"


class ResultLine(NamedTuple):
    """A line of a result, or a piece of a long one, which `goes_on` with the next."""

    text: str
    goes_on: bool = False


def result_lines(text: str) -> list[ResultLine]:
    """Return the lines of a result as they are counted, at least one. Long ones are several pieces."""
    lines: list[ResultLine] = []
    for line in text.split("\n"):
        last = max(0, len(line) - 1) // _LINE_CHARACTERS * _LINE_CHARACTERS
        lines += [ResultLine(line[at : at + _LINE_CHARACTERS], True) for at in range(0, last, _LINE_CHARACTERS)]
        lines.append(ResultLine(line[last:]))
    return lines


class _ValueCleaner:
    """Cleans one value and counts its size on the way."""

    def __init__(self) -> None:
        self._size_bytes = 0

    def clean(self, value: Any, depth: int) -> Any:
        self._count(_BYTES_PER_VALUE)
        if depth > _MAX_DEPTH:
            raise ToolError(f"The tool's result is nested deeper than {_MAX_DEPTH} levels.")
        match value:
            case None | bool():
                return value
            case int():
                return int(value) if -(2**63) <= value < 2**63 else _digits(value)
            case float():
                return float(value) if math.isfinite(value) else _NOT_FINITE[str(value)]
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
        """Return the JSON form that orjson gives to dates, UUIDs, dataclasses and enumerations, pydantic to models."""
        if (dump := getattr(value, "model_dump", None)) is not None and not isinstance(value, type):
            return self.clean(dump(mode="json"), depth + 1)
        try:
            plain = json.loads(json.dumps(value))
        except TypeError:
            raise ToolError(f"The tool's result is not JSON: it holds a {type(value).__name__}.") from None
        return self.clean(plain, depth + 1)

    def _count(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        if self._size_bytes > _MAX_VALUE_BYTES:
            raise ToolError(f"The tool's result is larger than {_MAX_VALUE_BYTES // 1024 // 1024} MiB.")


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to write out numbers of many thousand digits
        raise ToolError("The tool's result holds a number that is too long to write.") from None


class SecretHeaders(Secrets):
    """The values of a tool's headers, which no result may show, and the secrets within them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        within = (each for name, value in headers.items() for each in _secrets_within(name.lower(), value))
        super().__init__([*headers.values(), *within], shortest=_SHORTEST, shown_as=_HIDDEN)

    def hide_in(self, value: Any) -> Any:
        """Return the JSON value with `hide` applied to each text in it, keys included."""
        match value:
            case str():
                return self.hide(value)
            case dict():
                return {self.hide(key): self.hide_in(inner) for key, inner in value.items()}
            case list():
                return [self.hide_in(inner) for inner in value]
            case _:
                return value


def _secrets_within(name: str, value: str) -> Iterator[str]:
    """The values of cookies, and the name and password of Basic authentication, which servers repeat by themselves."""
    if name == "cookie":
        yield from (pair.partition("=")[2].strip() for pair in value.split(";"))
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() == "basic":
        try:
            pair = b64decode(encoded.strip(), validate=True).decode()
        except ValueError:
            return
        yield pair
        yield pair.partition(":")[2]
