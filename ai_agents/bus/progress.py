"""The text of one message while it is being written: one buffer, which all its readers share."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

TextKind = Literal["text", "reasoning"]


@dataclass(frozen=True, slots=True)
class TextSegment:
    """A stretch of text of one kind. `offset` counts the code points of its kind before it."""

    kind: TextKind
    offset: int
    text: str


class TextInProgress:
    """What the deltas of a message have added up to so far.

    `position` counts 1 for the message's start and 1 for each code point, of text and reasoning together.
    `base_seq` is the newest log row that reset positions when the message began; a later row that does voids the text.
    `fence` is the fencing number of the run's owner, which writes the text.
    """

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

    def since(self, position: int) -> list[TextSegment]:
        """The text from `position` on, adjacent text of one kind joined; 0 and 1 both mean the first code point."""
        position = max(position, 1)
        if position >= self.position:
            return []
        first = bisect_right(self._starts, position) - 1
        skip = position - self._starts[first]
        segments: list[TextSegment] = []
        at = first
        count = len(self._texts)
        while at < count:
            end = at + 1
            kind = self._kinds[at]
            while end < count and self._kinds[end] == kind:
                end += 1
            text = self._texts[at] if end == at + 1 else "".join(self._texts[at:end])
            segments.append(TextSegment(kind, self._offsets[at] + skip, text[skip:] if skip else text))
            skip = 0
            at = end
        return segments
