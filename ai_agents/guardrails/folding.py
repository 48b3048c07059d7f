"""Text as guardrails compare it: without what cannot be seen, in NFKC, and with the way back to the raw text.

It comes in pieces, and what is made of it does not depend on where they were cut: it is normalized segment by segment,
a segment being a character and whatever may still compose with it (UAX #15). The last one waits for the next character.
"""

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache

# Default_Ignorable_Code_Point, interlinear annotations, and controls that are no white space: nothing of it is seen.
_IGNORED_RANGES = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_IGNORED = re.compile(f"[{_IGNORED_RANGES}]")
# Characters of combining class 0 that compose with the one before them, beside the vowels and finals of Hangul.
COMPOSES_BACK = frozenset(
    map(
        chr,
        [
            0x9BE, 0x9D7, 0xB3E, 0xB56, 0xB57, 0xBBE, 0xBD7, 0xCC2, 0xCD5, 0xCD6, 0xD3E, 0xD57, 0xDCF, 0xDDF, 0x102E,
            0x1B35, 0x11127, 0x1133E, 0x11357, 0x113B8, 0x113BB, 0x113C2, 0x113C5, 0x113C7, 0x113C8, 0x113C9, 0x114B0,
            0x114BA, 0x114BD, 0x115AF, 0x11930, 0x1611E, 0x1611F, 0x16120, 0x16121, 0x16122, 0x16129,
            *range(0x1161, 0x1176), *range(0x11A8, 0x11C3),
        ],
    )
)  # fmt: skip
# As in the Stream-Safe Text Format: nobody writes longer ones, and sorting their marks takes the square of the length.
_LONGEST_SEGMENT = 32


def fold(text: str) -> str:
    """A whole text, normalized."""
    return unicodedata.normalize("NFKC", _IGNORED.sub("", text))


class FoldedText:
    """Normalized text, from `base` on, as far as it is certain; what lies before `base` was forgotten."""

    def __init__(self) -> None:
        self.text = ""
        self.base = 0
        # The place behind the last normalized character.
        self.end = 0
        self.raw_length = 0
        self._pending = ""
        # Runs of normalized text: where each begins, there and in the raw text; whether it goes character by character.
        self._starts: list[int] = []
        self._raw_starts: list[int] = []
        self._is_plain: list[bool] = []

    @property
    def raw_end(self) -> int:
        """How much of the raw text that is."""
        return self.raw_length - len(self._pending)

    def feed(self, raw: str) -> None:
        """Add raw text."""
        whole = self._pending + raw
        at = self.raw_end
        self.raw_length += len(raw)
        cut = _last_segment(whole)
        self._pending = whole[cut:]
        self._add(whole[:cut], at)

    def finish(self) -> None:
        """There is no more."""
        whole, at = self._pending, self.raw_end
        self._pending = ""
        self._add(whole, at)

    def forget(self, place: int) -> None:
        """Drop what lies before this place."""
        if place <= self.base:
            return
        keep_from = min(place, self.end)
        self.text = self.text[keep_from - self.base :]
        self.base = keep_from
        first = max(0, bisect_right(self._starts, keep_from) - 1)
        for column in (self._starts, self._raw_starts, self._is_plain):
            del column[:first]

    def raw_start(self, place: int) -> int:
        """Where in the raw text the character at this place begins (or that which it is a part of)."""
        if place >= self.end:
            return self.raw_end
        run = bisect_right(self._starts, place) - 1
        return self._raw_starts[run] + (place - self._starts[run] if self._is_plain[run] else 0)

    def raw_stop(self, place: int) -> int:
        """Where in the raw text that which ends before this place ends."""
        run = bisect_right(self._starts, place - 1) - 1
        if self._is_plain[run]:
            return self._raw_starts[run] + place - self._starts[run]
        return self._raw_starts[run + 1] if run + 1 < len(self._raw_starts) else self.raw_end

    def _add(self, raw: str, at: int) -> None:
        if not raw:
            return
        if _IGNORED.search(raw) is None and unicodedata.is_normalized("NFKC", raw):
            self._note(at, len(raw), is_plain=True)
            self.text += raw
            return
        pieces = []
        start = 0
        while start < len(raw):
            stop = _segment_end(raw, start)
            segment = raw[start:stop]
            folded = unicodedata.normalize("NFKC", _IGNORED.sub("", segment))
            if folded:
                self._note(at + start, len(folded), is_plain=folded == segment)
                pieces.append(folded)
            start = stop
        self.text += "".join(pieces)

    def _note(self, raw_start: int, length: int, *, is_plain: bool) -> None:
        follows = is_plain and bool(self._is_plain) and self._is_plain[-1]
        if not (follows and self._raw_starts[-1] + self.end - self._starts[-1] == raw_start):
            self._starts.append(self.end)
            self._raw_starts.append(raw_start)
            self._is_plain.append(is_plain)
        self.end += length


@lru_cache(4096)
def _continues(character: str) -> bool:
    """Whether it may compose with what stands before it, or is not seen at all."""
    if _IGNORED.match(character):
        return True
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.combining(first) != 0 or first in COMPOSES_BACK


def _segment_end(raw: str, start: int) -> int:
    stop, kept = start + 1, 1
    while stop < len(raw) and _continues(raw[stop]):
        kept += _IGNORED.match(raw[stop]) is None
        if kept > _LONGEST_SEGMENT:
            break
        stop += 1
    return stop


def _last_segment(raw: str) -> int:
    """Where the last segment begins."""
    start = len(raw) - 1
    while start > 0 and _continues(raw[start]):
        start -= 1
    # From there on forwards, as `_segment_end` would go.
    while start >= 0 and (stop := _segment_end(raw, start)) < len(raw):
        start = stop
    return max(start, 0)
