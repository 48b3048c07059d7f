"""Splits the bytes of an Ollama server, or of a proxy before it, into JSON objects. Pure."""

import re

from ai_agents.providers.lines import BOM, MAX_LINE_BYTES, LineDecoder, parse_object

# Outside of strings only braces matter; a string may hold escaped quotes.
_MARKS = re.compile(rb'\\.|["{}]', re.DOTALL)


class ObjectDecoder(LineDecoder):
    """Gives one JSON object after another: one in each line as Ollama writes them, or spread over several lines.

    A body that is indented, a line break inside of a string, and lines of server-sent events (`data: {…}`) are read
    too. Other lines are given as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_first = True
        self._begin()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The objects that this chunk completes. Raises ValueError for one beyond `MAX_LINE_BYTES`."""
        return self._objects(super().feed(chunk))

    def flush(self) -> list[bytes]:
        """The last object, even if it is cut."""
        found = self._objects(super().flush())
        if self._lines:
            found.append(b"\n".join(self._lines))
            self._begin()
        return found

    def _begin(self) -> None:
        self._lines: list[bytes] = []
        self._size = 0
        self._depth = 0
        self._in_string = False

    def _objects(self, lines: list[bytes]) -> list[bytes]:
        found: list[bytes] = []
        if lines and self._is_first:
            self._is_first = False
            lines[0] = lines[0].removeprefix(BOM)
        for line in lines:
            data = line.removeprefix(b"data:").strip() if not self._lines else line
            if not self._lines and (not data.startswith(b"{") or data.endswith(b"}")):
                found.append(data)
                continue
            if self._lines and data.startswith(b"{") and _is_object(data):
                # The object before was cut: this one begins anew.
                found += [b"\n".join(self._lines), data]
                self._begin()
                continue
            self._add(data)
            if self._depth <= 0:
                found.append(b"\n".join(self._lines))
                self._begin()
        return found

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size > MAX_LINE_BYTES:
            raise ValueError("an object is too long")
        for mark in _MARKS.findall(line):
            if mark == b'"':
                self._in_string = not self._in_string
            elif not self._in_string and len(mark) == 1:
                self._depth += 1 if mark == b"{" else -1


def _is_object(data: bytes) -> bool:
    try:
        parse_object(data)
    except ValueError:
        return False
    return True
