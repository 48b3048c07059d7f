"""Text as guardrails compare it: NFKC, case folded, without invisible characters, and with a map to the raw text.

Text arrives in pieces, and the result does not depend on where it was cut. It is folded segment by segment. A segment
is a character and all following ones that may compose with it (UAX #15).
"""

import re
import unicodedata
from bisect import bisect_right
from copy import copy
from functools import lru_cache
from operator import itemgetter

# Invisible: Default_Ignorable_Code_Point, interlinear annotations, and control characters other than white space.
_INVISIBLE_RANGES = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{_INVISIBLE_RANGES}]+")
# Characters of combining class 0 that compose with the character before them. The two ranges are Hangul's vowels and
# finals.
COMPOSES_BACK = frozenset(map(chr, [
    0x9BE, 0x9D7, 0xB3E, 0xB56, 0xB57, 0xBBE, 0xBD7, 0xCC2, 0xCD5, 0xCD6, 0xD3E, 0xD57, 0xDCF, 0xDDF, 0x102E,
    0x1B35, 0x11127, 0x1133E, 0x11357, 0x113B8, 0x113BB, 0x113C2, 0x113C5, 0x113C7, 0x113C8, 0x113C9, 0x114B0,
    0x114BA, 0x114BD, 0x115AF, 0x11930, 0x1611E, 0x1611F, 0x16120, 0x16121, 0x16122, 0x16129,
    *range(0x1161, 0x1176), *range(0x11A8, 0x11C3),
]))  # fmt: skip
# A text is cut by the kinds of its characters (see `_kind`): invisible ones at its beginning, a stretch of simple ones,
# or one segment. A segment has at most 32 visible characters, as in the Stream-Safe Text Format, because sorting
# combining marks takes quadratic time.
_SEGMENT = re.compile("i+|(s+)(?=[so])|.(?:i*c){0,31}i*")


def fold(text: str) -> str:
    """The folded form of a text. It may be longer: `\u00df` becomes `ss`, and a ligature becomes its letters."""
    visible = _INVISIBLE.sub("", text)
    if visible.isascii():
        return visible.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())


# Tag characters spell ASCII that is not shown, and that models read all the same.
_TAGS = {code: code - 0xE0000 for code in range(0xE0020, 0xE007F)}
_TAG = re.compile("[\U000e0020-\U000e007e]")


def has_tags(text: str) -> bool:
    """Whether something is spelled with tag characters in it."""
    return _TAG.search(text) is not None


def spell_tags(text: str) -> str:
    """The text with the letters that its tag characters stand for. Its length stays."""
    return text.translate(_TAGS)


class FoldedText:
    """Folded text that grows. Positions count from the beginning of the text; what lies before `base` was dropped."""

    def __init__(self) -> None:
        self.text = ""
        self.base = 0
        # The position after the last folded character.
        self.end = 0
        self.raw_length = 0
        # The raw text is folded up to here. The rest is the last segment, which the next character may extend.
        self.raw_end = 0
        # The visible characters of the last segment, and their kinds.
        self._pending = ""
        self._pending_kinds = ""
        # Where each run of folded text begins, there and in the raw text, and whether each of its characters stands for
        # one raw character.
        self._runs: list[tuple[int, int, bool]] = []

    def copy(self) -> "FoldedText":
        """Another one that grows on its own."""
        copied = copy(self)
        copied._runs = self._runs[:]
        return copied

    def feed(self, raw: str) -> None:
        """Add raw text."""
        text = self._pending + raw
        offset = self.raw_length - len(self._pending)
        self.raw_length += len(raw)
        if not raw:
            return
        if self._pending_kinds in {"", "s"} and (last := _kind(raw[-1])) == "s":
            folded = _fold_one_by_one(text)
            if folded is not None:
                self._append(folded[:-1], offset + len(text) - 1, is_plain=True)
                self._pending, self._pending_kinds = raw[-1], last
                return
        kinds = self._pending_kinds + "".join(map(_kind, raw))
        start = 0
        for segment in _SEGMENT.finditer(kinds):
            start, stop = segment.span()
            if stop < len(text):
                self._fold(text[start:stop], offset + stop, is_simple=segment[1] is not None)
        self._pending, self._pending_kinds = _INVISIBLE.sub("", text[start:]), kinds[start:].replace("i", "")
        if not self._pending:
            self.raw_end = self.raw_length
        elif len(self._pending) < self.raw_length - self.raw_end:
            # No longer simple: in the raw text invisible characters follow it.
            self._pending_kinds = "o" + self._pending_kinds[1:]

    def finish(self) -> None:
        """Fold the last segment: there is no more text."""
        self._fold(self._pending, self.raw_length, is_simple=False)
        self._pending, self._pending_kinds = "", ""

    def forget(self, place: int) -> None:
        """Drop the text before this position."""
        if place > self.base:
            place = min(place, self.end)
            self.text = self.text[place - self.base :]
            self.base = place
            del self._runs[: max(0, self._run_at(place))]

    def raw_start(self, place: int) -> int:
        """Where in the raw text the segment of the character at this position begins."""
        if place >= self.end:
            return self.raw_end
        start, raw_start, is_plain = self._runs[self._run_at(place)]
        return raw_start + (place - start if is_plain else 0)

    def raw_stop(self, place: int) -> int:
        """Where in the raw text the segment of the character before this position ends."""
        index = self._run_at(place - 1)
        start, raw_start, is_plain = self._runs[index]
        if is_plain:
            return raw_start + place - start
        return self._runs[index + 1][1] if index + 1 < len(self._runs) else self.raw_end

    def _run_at(self, place: int) -> int:
        return bisect_right(self._runs, place, key=itemgetter(0)) - 1

    def _fold(self, segment: str, raw_stop: int, *, is_simple: bool) -> None:
        """Add the raw text from `raw_end` to `raw_stop`. `segment` holds at least its visible characters."""
        folded = _fold_one_by_one(segment) if len(segment) == raw_stop - self.raw_end else None
        if folded is None:
            self._append(fold(segment), raw_stop, is_plain=is_simple)
        else:
            self._append(folded, raw_stop, is_plain=True)

    def _append(self, folded: str, raw_stop: int, *, is_plain: bool) -> None:
        if folded:
            self._runs.append((self.end, self.raw_end, is_plain))
            self.text += folded
            self.end += len(folded)
        self.raw_end = raw_stop


def _fold_one_by_one(text: str) -> str | None:
    """The folded form where each character is folded on its own into one, otherwise None."""
    if _INVISIBLE.search(text) is not None:
        return None
    folded = text.casefold()
    is_normalized = unicodedata.is_normalized("NFKC", text) and unicodedata.is_normalized("NFKC", folded)
    return folded if is_normalized and len(folded) == len(text) else None


@lru_cache(4096)
def _kind(character: str) -> str:
    """`i` for an invisible character, `c` for one that may compose with the one before it, `s` for a simple one, whose
    folded form is one character, and `o` for every other.
    """
    if _INVISIBLE.match(character):
        return "i"
    first = unicodedata.normalize("NFKD", character)[0]
    if unicodedata.combining(first) or first in COMPOSES_BACK:
        return "c"
    return "s" if len(fold(character)) == 1 else "o"
