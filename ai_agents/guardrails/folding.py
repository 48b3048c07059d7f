"""Text as guardrails compare it: without what cannot be seen, in NFKC, without upper case, and with the way back to
the raw text.

It comes in pieces, and what is made of it does not depend on where they were cut: it is folded segment by segment,
a segment being a character and whatever may still compose with it (UAX #15). The last one waits for the next character.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

# Default_Ignorable_Code_Point, interlinear annotations, and controls that are no white space: nothing of it is seen.
_IGNORED_RANGES = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_IGNORED = re.compile(f"[{_IGNORED_RANGES}]+")
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
    """A whole text, folded. It may be longer than it was: `\u00df` becomes `ss`, a ligature its letters."""
    seen = _IGNORED.sub("", text)
    if seen.isascii():
        return seen.lower()
    normalized = unicodedata.normalize("NFKC", seen)
    return unicodedata.normalize("NFKC", normalized.casefold())


class FoldedText:
    """Folded text, from `base` on, as far as it is certain; what lies before `base` was forgotten."""

    def __init__(self) -> None:
        self.text = ""
        self.base = 0
        # The place behind the last folded character.
        self.end = 0
        self.raw_length = 0
        # Of the last segment: what can be seen of it, and how long it is in the raw text.
        self._pending = ""
        self._pending_length = 0
        # Runs of folded text: where each begins, there and in the raw text; whether it goes character by character.
        self._starts: list[int] = []
        self._raw_starts: list[int] = []
        self._is_plain: list[bool] = []

    @property
    def raw_end(self) -> int:
        """How much of the raw text that is."""
        return self.raw_length - self._pending_length

    def feed(self, raw: str) -> None:
        """Add raw text."""
        at = self.raw_length
        self.raw_length += len(raw)
        joins = _segment_end(raw, 0, len(self._pending)) if self._pending_length else 0
        if joins:
            self._pending += _IGNORED.sub("", raw[:joins])
            self._pending_length += joins
        if joins == len(raw):
            return
        cut = _last_segment(raw, joins)
        self._settle(raw[joins:cut], at + joins)
        self._pending, self._pending_length = _IGNORED.sub("", raw[cut:]), len(raw) - cut

    def finish(self) -> None:
        """There is no more."""
        self._settle("", self.raw_length)
        self._pending, self._pending_length = "", 0

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

    def _settle(self, raw: str, at: int) -> None:
        """Add the last segment, now that it has ended, and those that follow it."""
        start = at - self._pending_length
        if len(self._pending) == self._pending_length:
            self._add(self._pending + raw, start)
        else:
            # It is not in the raw text character by character: there is more of it there, that cannot be seen.
            self._append(fold(self._pending), start, is_plain=False)
            self._add(raw, at)

    def _add(self, raw: str, at: int) -> None:
        """Whole segments."""
        folded = _folded_one_for_one(raw)
        if folded is not None:
            self._append(folded, at, is_plain=True)
            return
        for start, stop in _stretches(raw):
            stretch = raw[start:stop]
            folded = _folded_one_for_one(stretch)
            if folded is None:
                self._append(fold(stretch), at + start, is_plain=False)
            else:
                self._append(folded, at + start, is_plain=True)

    def _append(self, folded: str, at: int, *, is_plain: bool) -> None:
        if folded:
            self._note(at, len(folded), is_plain=is_plain)
            self.text += folded

    def _note(self, raw_start: int, length: int, *, is_plain: bool) -> None:
        follows = is_plain and bool(self._is_plain) and self._is_plain[-1]
        if not (follows and self._raw_starts[-1] + self.end - self._starts[-1] == raw_start):
            self._starts.append(self.end)
            self._raw_starts.append(raw_start)
            self._is_plain.append(is_plain)
        self.end += length


def _folded_one_for_one(raw: str) -> str | None:
    """What it becomes where that goes character by character; None where it does not, or might not."""
    if _IGNORED.search(raw) is not None:
        return None
    if raw.isascii():
        return raw.lower()
    folded = raw.casefold()
    is_normalized = unicodedata.is_normalized("NFKC", raw) and unicodedata.is_normalized("NFKC", folded)
    if is_normalized and len(folded) == len(raw):
        return folded
    return fold(raw) if all(map(_is_simple, set(raw))) else None


def _stretches(raw: str) -> Iterator[tuple[int, int]]:
    """Where what is all simple begins and ends, and each segment that is not."""
    odd = {character for character in set(raw) if not _is_simple(character)}
    done = 0
    for place in [place for place, character in enumerate(raw) if character in odd]:
        if place < done:
            continue
        start = place - 1 if place > done and _continues(raw[place]) else place
        if start > done:
            yield done, start
        done = _segment_end(raw, start)
        yield start, done
    if done < len(raw):
        yield done, len(raw)


@lru_cache(4096)
def _is_simple(character: str) -> bool:
    """Whether it becomes one character, whatever stands before it."""
    return len(fold(character)) == 1 and not _continues(character)


@lru_cache(4096)
def _continues(character: str) -> bool:
    """Whether it may compose with what stands before it, or is not seen at all."""
    if _IGNORED.match(character):
        return True
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.combining(first) != 0 or first in COMPOSES_BACK


def _segment_end(raw: str, start: int, seen: int | None = None) -> int:
    """Where the segment ends that begins there, or of which `seen` visible characters stand before."""
    stop = start
    if seen is None:
        seen, stop = _IGNORED.match(raw, start) is None, start + 1
    while stop < len(raw) and _continues(raw[stop]):
        ignored = _IGNORED.match(raw, stop)
        if ignored is not None:
            stop = ignored.end()
            continue
        if seen == _LONGEST_SEGMENT:
            break
        seen += 1
        stop += 1
    return stop


def _last_segment(raw: str, start: int) -> int:
    """Where the last segment begins, if one begins at `start`."""
    place = len(raw) - 1
    while place > start and _continues(raw[place]):
        place -= 1
    # From there on forwards, as `_segment_end` would go.
    while (stop := _segment_end(raw, place)) < len(raw):
        place = stop
    return place
