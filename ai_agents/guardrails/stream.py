"""Lets a text through as it comes, but for what guardrails find in it: not one character of that leaves."""

from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ai_agents.guardrails.base import ConfiguredGuardrail, Finding, LengthGuardrail
from ai_agents.guardrails.folding import FoldedText
from ai_agents.guardrails.matching import Scanner, all_of

REDACTED = "[redacted]"
# So much is looked at in one go: each search costs as much as the text it is given.
_BLOCK = 2048
_EVERYTHING = 1 << 62


@dataclass(frozen=True, slots=True, order=True)
class _Forbidden:
    """A stretch of the raw text that does not leave, what does in its place, and who forbids it."""

    start: int
    stop: int
    replacement: str = REDACTED
    by: ConfiguredGuardrail | None = field(default=None, compare=False)


class StreamGuard:
    """One text on its way, in pieces. What comes out does not depend on how it was cut.

    Each piece has a `tag`, a number that says which part of a message it belongs to: what is found may lie across
    parts. Where something blocks, `blocked_by` is set, and nothing comes out any more but what lay before it.
    """

    def __init__(self, placed: Sequence[ConfiguredGuardrail], stage: Literal["input", "output"]) -> None:
        self.blocked_by: ConfiguredGuardrail | None = None
        self.triggers: list[Finding] = []
        self._stage = stage
        self._scanners = [(each, Scanner(rule)) for each in placed for rule in each.rules]
        self._all = all_of([scanner for _, scanner in self._scanners])
        self._limits = [
            (each, each.guardrail.characters) for each in placed if isinstance(each.guardrail, LengthGuardrail)
        ]
        self._folded = FoldedText()
        self._pieces: deque[tuple[int, str, int]] = deque()
        self._past: list[ConfiguredGuardrail] = []
        self._forbidden: list[_Forbidden] = []
        # Where the first thing that blocks begins, and the place of its guardrail among all.
        self._barrier: tuple[int, int] | None = None
        self._placed = list(placed)
        self._out = 0
        self._inside = False

    @property
    def held(self) -> int:
        """How many characters have come in and are not decided upon."""
        return self._folded.raw_length - self._out

    def forbid(self, placed: ConfiguredGuardrail, start: int, stop: int) -> None:
        """Somebody else has found something, in text that has not come yet."""
        self._found(placed, start, stop)

    def hide(self, start: int, stop: int) -> None:
        """Something was found earlier, in text that has not come yet: it is redacted again."""
        insort(self._forbidden, _Forbidden(start, stop))

    def feed(self, text: str, tag: int = 0) -> list[tuple[int, str]]:
        """More text; what may leave by now, in order, with the tag of each piece."""
        out: list[tuple[int, str]] = []
        for start in range(0, len(text), _BLOCK):
            if self.blocked_by is not None:
                break
            piece = text[start : start + _BLOCK]
            self._pieces.append((self._folded.raw_length, piece, tag))
            self._folded.feed(piece)
            out += self._advance(final=False)
        return out

    def finish(self) -> list[tuple[int, str]]:
        """There is no more text; the rest that may leave."""
        if self.blocked_by is not None:
            return []
        self._folded.finish()
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> list[tuple[int, str]]:
        folded = self._folded
        free = folded.raw_end
        if self._all is None or not self._all.pass_over(folded, final=final):
            for placed, scanner in self._scanners:
                for start, end in scanner.scan(folded, final=final):
                    self._found(placed, folded.raw_start(start), folded.raw_stop(end))
        place = min((scanner.place for _, scanner in self._scanners), default=folded.end)
        free = min(free, folded.raw_start(place))
        for placed, characters in self._limits:
            if folded.raw_length > characters and placed not in self._past:
                self._past.append(placed)
                self._found(placed, characters, _EVERYTHING, "")
        # What is looked for may depend on the character before it.
        folded.forget(place - 1)
        if self._barrier is not None and (self._barrier[0] < free or final):
            # Not before all that begins before it, or with it, is decided: so it does not depend on what came when.
            free, number = self._barrier
            out = self._emit(free)
            self.blocked_by = self._placed[number]
            self._note(self.blocked_by)
            return out
        return self._emit(free)

    def _found(self, placed: ConfiguredGuardrail, start: int, stop: int, replacement: str = REDACTED) -> None:
        if placed.action == "redact":
            insort(self._forbidden, _Forbidden(start, stop, replacement, placed))
        else:
            barrier = start, self._placed.index(placed)
            self._barrier = min(self._barrier or barrier, barrier)

    def _note(self, placed: ConfiguredGuardrail) -> None:
        trigger = Finding(placed.type, self._stage, placed.action)
        if trigger not in self.triggers:
            self.triggers.append(trigger)

    def _emit(self, stop: int) -> list[tuple[int, str]]:
        """What may leave before this place. What was found beyond is not spoken of: something may block before it."""
        out: list[tuple[int, str]] = []
        while self._out < stop:
            while self._forbidden and self._forbidden[0].stop <= self._out:
                self._pass(self._forbidden.pop(0))
            first = self._forbidden[0] if self._forbidden else _Forbidden(stop, stop)
            if first.start <= self._out:
                self._pass(first)
                if not self._inside and first.replacement:
                    out.append((self._pieces[0][2], first.replacement))
                self._inside = True
                self._take(min(stop, first.stop))
            else:
                self._inside = False
                out += self._take(min(stop, first.start))
        for each in self._forbidden:
            if each.start >= stop:
                break
            self._pass(each)
        return out

    def _pass(self, forbidden: _Forbidden) -> None:
        if forbidden.by is not None:
            self._note(forbidden.by)

    def _take(self, stop: int) -> list[tuple[int, str]]:
        """The raw text up to there, with its tags; it is decided upon with this."""
        taken: list[tuple[int, str]] = []
        while self._out < stop:
            start, text, tag = self._pieces[0]
            end = min(stop, start + len(text))
            taken.append((tag, text[self._out - start : end - start]))
            if end == start + len(text):
                self._pieces.popleft()
            self._out = end
        return taken
