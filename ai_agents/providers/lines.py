"""Splits bytes from the network into lines and server-sent events, and reads and writes their JSON. Pure.

The results do not depend on how the bytes are split into chunks.

Sources: https://html.spec.whatwg.org/multipage/server-sent-events.html (parsing an event stream),
https://github.com/ndjson/ndjson-spec; read 2026-11-22.
"""

import json
import re
from typing import Any

import orjson

from ai_agents.core.json import clean_text

# No provider sends a line near this length. The limit keeps an endless line from filling the memory.
MAX_LINE_BYTES = 16 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
_FIELDS = (b":", b"event", b"id", b"retry", b"data")
# An integer of fewer digits fits into 64 bits.
_LONG_INTEGER = re.compile(rb"[0-9]{19}")


class LineDecoder:
    """Splits bytes at LF, for newline-delimited JSON. Gives lines without their LF, and no empty ones."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes. Raises ValueError for a line beyond `MAX_LINE_BYTES`."""
        return [line for line in self._split(chunk) if line]

    def flush(self) -> list[bytes]:
        """The last line, where the stream ended without an LF."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest else []

    def _split(self, chunk: bytes) -> list[bytes]:
        lines = chunk.split(b"\n")
        if len(self._rest) + len(lines[0]) > MAX_LINE_BYTES:
            raise ValueError("a line is too long")
        if len(lines) == 1:
            self._rest += chunk
            return []
        if self._rest:
            lines[0] = bytes(self._rest + lines[0])
        self._rest = bytearray(lines.pop())
        return lines


class SSEDecoder(LineDecoder):
    """Splits bytes into server-sent events. Gives the data of each event that has data.

    CR, LF and CRLF end a line. Event names are ignored: the data of every provider names its own type.
    """

    def __init__(self) -> None:
        super().__init__()
        self._data: list[bytes] = []
        self._begun = False
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of each event that this chunk completes, its lines joined by LF. Raises as in `LineDecoder`."""
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_lf(chunk)
        if self._begun and not (self._rest or self._data) and _is_one_event(chunk):
            return [chunk[6:-2]]
        lines = self._split(chunk)
        if lines and not self._begun:
            self._begun = True
            lines[0] = lines[0].removeprefix(BOM)
        return self._data_of(lines)

    def flush(self) -> list[bytes]:
        """The data of the last event, as some servers leave out the blank line after it. A cut event is not JSON."""
        return self._data_of([*super().flush(), b""])

    def _data_of(self, lines: list[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif line == b"data":
                self._data.append(b"")
            elif not line and self._data:
                data = b"\n".join(self._data)
                self._data = []
                if data:
                    found.append(data)
            elif self._data and not line.startswith(_FIELDS) and self._goes_on(line):
                self._data.append(line)
        return found

    def _goes_on(self, line: bytes) -> bool:
        """Whether a line belongs to the JSON object before it: a server wrote a line break into the object."""
        if not any(self._data):
            return line.startswith(b"{")
        return self._data[0].startswith(b"{") and not self._data[-1].rstrip().endswith(b"}")

    def _with_lf(self, chunk: bytes) -> bytes:
        if not chunk:
            return chunk
        ends_in_cr = chunk.endswith(b"\r")
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = ends_in_cr
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _is_one_event(chunk: bytes) -> bool:
    """Whether a chunk is one whole event with one line of data, as most chunks are."""
    return chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") and chunk.count(b"\n") == 2 and len(chunk) > 8


def is_json(data: bytes) -> bool:
    """Whether the data is meant as a JSON object or list, even if it cannot be read. Other data is a heartbeat."""
    return data.lstrip()[:1] in {b"{", b"["}


def parse_object(data: bytes, *, exact_integers: bool = False) -> dict[str, Any]:
    """The JSON object in `data`, read as servers really write it. Raises ValueError for anything else.

    Bytes that are no UTF-8 become lone surrogates (`surrogateescape`), and so does half of a surrogate pair: some
    servers split a character between two objects. Control characters may stand in strings. NaN and infinities are None.
    An integer beyond 64 bits becomes a float, unless `exact_integers`.
    """
    if not (exact_integers and _LONG_INTEGER.search(data)):
        try:
            value = orjson.loads(data)
        except ValueError:
            value = _parse_leniently(data)
    else:
        value = _parse_leniently(data)
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004  # callers catch one type of error for all bad data
    return value


def _parse_leniently(data: bytes) -> Any:
    try:
        return _LENIENT.decode(data.decode("utf-8", "surrogateescape"))
    except RecursionError as error:
        raise ValueError("JSON is nested too deep") from error


# The decoder ignores white space only before and after the value that it is given.
_LENIENT = json.JSONDecoder(strict=False, parse_constant=lambda _: None)


def split_list(data: bytes) -> list[bytes]:
    """The items of a JSON list, or the data itself where it is none: Gemini may send its chunks as one list."""
    if not data.lstrip().startswith(b"["):
        return [data]
    try:
        return [orjson.dumps(item) for item in orjson.loads(data)]
    except ValueError:
        return [data]


def encode_body(payload: dict[str, Any]) -> bytes:
    """The JSON of a request. Text that UTF-8 cannot encode is cleaned, not refused."""
    try:
        return orjson.dumps(payload)
    except TypeError:
        return orjson.dumps(clean_json(payload))


def clean_json(value: Any) -> Any:
    """The value with `clean_text` applied to each of its strings."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(name)): clean_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item) for item in value]
    return value
