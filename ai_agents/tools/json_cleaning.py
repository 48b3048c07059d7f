"""Texts in JSON that no strict reader takes, made readable while they arrive: half an emoji, invalid UTF-8.

A server that cuts a text in the middle of an emoji leaves half of a surrogate pair; one reader refuses the whole answer
for it.
"""

import codecs
import re

_HEX = rb"[0-9a-fA-F]"
# After an even number of backslashes, which stand for themselves: a pair of surrogates, or one alone.
_SURROGATES = re.compile(
    rb"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB]" + _HEX + rb"{2}\\u[dD][c-fC-F]" + _HEX + rb"{2}"
    rb"|\\u[dD][89a-fA-F]" + _HEX + rb"{2})"
)
_HIGH_AT_END = re.compile(rb"\\u[dD][89abAB]" + _HEX + rb"{2}\Z")
_LONGEST_ESCAPE = 6
_REPLACEMENT = rb"\ufffd"


class JsonCleaner:
    """Cleans the bytes of one answer, piece by piece. What may be half of an escape is kept until its rest is there."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._kept = b""

    def feed(self, chunk: bytes, *, is_last: bool = False) -> bytes:
        """Return what is certain by now; with `is_last` all of it."""
        if is_last or not chunk.isascii() or self._decoder.getstate()[0]:
            chunk = self._decoder.decode(chunk, is_last).encode()
        data = self._kept + chunk
        end = len(data) if is_last else _certain(data)
        self._kept = data[end:]
        data = data[:end]
        return _SURROGATES.sub(_whole, data) if b"\\u" in data else data


def _certain(data: bytes) -> int:
    """Return how much of the data does not depend on what comes next."""
    end = len(data)
    start = data.rfind(b"\\", max(0, end - _LONGEST_ESCAPE + 1))
    if start >= 0:
        end = len(data[:start].rstrip(b"\\"))
    if _HIGH_AT_END.search(data, max(0, end - _LONGEST_ESCAPE), end):
        end = len(data[: end - _LONGEST_ESCAPE].rstrip(b"\\"))
    return end


def _whole(found: re.Match[bytes]) -> bytes:
    return found[0] if len(found[2]) > _LONGEST_ESCAPE else found[1] + _REPLACEMENT
