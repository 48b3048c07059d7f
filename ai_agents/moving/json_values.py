"""A file of JSON values one after the other, as lines or in any other layout, read one at a time."""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from ai_agents.moving.outcomes import Unusable

_CHUNK_BYTES = 256 * 1024
# Of one value.
_MOST_CHARACTERS = 64 * 1024 * 1024
_SPACE = re.compile(r"[ \t\r\n\ufeff]*")
# So near to the end of what has been read, a mistake may be that the rest has not been read yet.
_NEAR_END = 16


@dataclass(frozen=True, slots=True)
class Value:
    """A value, or what is wrong with a line, and where it begins: lines count from 1."""

    line: int
    value: Any = None
    fault: str | None = None


class _Reader:
    """The text of a file, as far as it has been read. `place` is where the next value begins, in line `line`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.text = ""
        self.place = 0
        self.at_end = False
        self.line = 1

    def more(self) -> None:
        """Read as much again as there is, at least a chunk. Raises `Unusable` for what is no UTF-8."""
        self.text, self.place = self.text[self.place :], 0
        chunk = self._file.read(max(_CHUNK_BYTES, len(self.text)))
        self.at_end = not chunk
        try:
            self.text += self._decoder.decode(chunk, final=self.at_end)
        except UnicodeDecodeError as error:
            line = self.line + self.text.count("\n") + chunk.count(b"\n", 0, error.start)
            raise Unusable(f"Line {line}: this is no UTF-8.") from error

    def go_to(self, place: int) -> None:
        """Go on there."""
        self.line += self.text.count("\n", self.place, place)
        self.place = place


def read_values(file: BinaryIO) -> Iterator[Value]:
    """The values of a file. Of a line that is no JSON the fault is told, and the next line is read.

    Raises `Unusable` where it cannot go on: a value of several lines is broken, or too long.
    """
    reader, decoder = _Reader(file), json.JSONDecoder()
    while True:
        reader.go_to(_SPACE.match(reader.text, reader.place).end())  # type: ignore[union-attr]  # it matches nothing, too
        if reader.place == len(reader.text):
            if reader.at_end:
                return
            reader.more()
            continue
        begins = reader.text[reader.place] in "{["
        try:
            if not begins:
                raise json.JSONDecodeError("an object or a list is expected", reader.text, reader.place)
            value, end = decoder.raw_decode(reader.text, reader.place)
        except json.JSONDecodeError as error:
            is_cut = error.msg.startswith("Unterminated string") or error.pos >= len(reader.text) - _NEAR_END
            if is_cut and begins and not reader.at_end:
                if len(reader.text) - reader.place > _MOST_CHARACTERS:
                    raise Unusable(f"Line {reader.line}: this value is too long.") from error
                reader.more()
                continue
            yield _fault(reader, reader.text.count("\n", reader.place, error.pos), error.msg)
        except (ValueError, RecursionError):
            yield _fault(reader, 0, "a number in it is too long, or it is too deep")
        else:
            yield Value(reader.line, value)
            reader.go_to(end)


def _fault(reader: _Reader, lines: int, message: str) -> Value:
    """What is wrong so many lines behind the reader's; it goes to the next one. Raises `Unusable` in a longer value."""
    line = reader.line
    if lines > 1:
        raise Unusable(f"Line {line + lines}: {message}.")
    while (end := reader.text.find("\n", reader.place)) < 0 and not reader.at_end:
        reader.more()
    reader.go_to(end + 1 if end >= 0 else len(reader.text))
    return Value(line, fault=message)
