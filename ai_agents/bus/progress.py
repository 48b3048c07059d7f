"""The text of one message while it is being written: the one buffer that every reader is served from."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

TextKind = Literal["text", "reasoning"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text of one kind.

    `offset` is where it begins in the message's text (or reasoning), in code points.
    """

    kind: TextKind
    offset: int
    text: str


class TextInProgress:
    """What a message's deltas have said so far.

    `position` counts 1 for the message's start and 1 for each code point, of text and reasoning together.
    `base_seq` is the
    newest row of the log that reset positions when the message began: a reader beyond a later one has no use for this.
    `fence` names the owner of the run who writes it.
    """

    __slots__ = (
        "_kinds",
        "_lengths",
        "_offsets",
        "_starts",
        "_texts",
        "base_seq",
        "fence",
        "message_id",
        "position",
        "run_id",
    )

    def __init__(self, *, run_id: str, fence: int, message_id: str, base_seq: int) -> None:
        self.run_id = run_id
        self.fence = fence
        self.message_id = message_id
        self.base_seq = base_seq
        self.position = 1
        self._kinds: list[TextKind] = []
        self._starts: list[int] = []
        self._offsets: list[int] = []
        self._texts: list[str] = []
        self._lengths: dict[TextKind, int] = {"text": 0, "reasoning": 0}

    def append(self, kind: TextKind, text: str) -> None:
        """Add text at the end."""
        length = len(text)
        if not length:
            return
        self._kinds.append(kind)
        self._starts.append(self.position)
        self._offsets.append(self._lengths[kind])
        self._texts.append(text)
        self._lengths[kind] += length
        self.position += length

    def since(self, position: int) -> list[Piece]:
        """Everything from `position` on, neighbours of one kind joined; 0 and 1 both mean from the first code point."""
        position = max(position, 1)
        if position >= self.position:
            return []
        first = bisect_right(self._starts, position) - 1
        skip = position - self._starts[first]
        pieces: list[Piece] = []
        at = first
        count = len(self._texts)
        while at < count:
            end = at + 1
            kind = self._kinds[at]
            while end < count and self._kinds[end] == kind:
                end += 1
            text = self._texts[at] if end == at + 1 else "".join(self._texts[at:end])
            pieces.append(Piece(kind, self._offsets[at] + skip, text[skip:] if skip else text))
            skip = 0
            at = end
        return pieces
