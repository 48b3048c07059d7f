"""Lets a text through as it arrives, without what guardrails find in it."""

from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ai_agents.guardrails.base import ConfiguredGuardrail, Finding, LengthGuardrail, Stage
from ai_agents.guardrails.folding import FoldedText
from ai_agents.guardrails.matching import Scanner, ScannerGroup

REDACTED = "[redacted]"
# Longer pieces are judged in blocks of this many characters, because a search costs as much as the text it is given.
_BLOCK = 2048
_ENDLESS = 1 << 62


@dataclass(frozen=True, slots=True, order=True)
class _Redaction:
    """A stretch of the raw text that is replaced. `by` is the guardrail that found it, if it is a new finding."""

    start: int
    stop: int
    replacement: str = REDACTED
    by: ConfiguredGuardrail | None = field(default=None, compare=False)


class StreamGuard:
    """Judges one text that arrives in pieces. What comes out does not depend on how the text was cut.

    Each piece has a `tag`, the number of the message part that it belongs to; a match may cross parts. When a guardrail
    blocks, `blocked_by` is set, and no text after the match comes out.
    """

    def __init__(self, guardrails: Sequence[ConfiguredGuardrail], stage: Stage) -> None:
        self.blocked_by: ConfiguredGuardrail | None = None
        self.triggers: list[Finding] = []
        self._guardrails = list(guardrails)
        self._stage = stage
        self._scanners = [(each, Scanner(rule)) for each in guardrails for rule in each.rules]
        self._all = ScannerGroup([scanner for _, scanner in self._scanners])
        # Of guardrails that limit the length, until the text exceeds it.
        self._limits = [
            (each, each.guardrail.characters) for each in guardrails if isinstance(each.guardrail, LengthGuardrail)
        ]
        self._folded = FoldedText()
        # Pieces that are not out yet: where each begins in the raw text, its text, its tag.
        self._pieces: deque[tuple[int, str, int]] = deque()
        self._redactions: list[_Redaction] = []
        # Where the first text that blocks begins, and the index of its guardrail.
        self._barrier: tuple[int, int] | None = None
        # Everything before this position of the raw text has been let out or replaced.
        self._out = 0
        self._is_redacting = False

    @property
    def held(self) -> int:
        """The number of characters that have arrived and are not decided."""
        return self._folded.raw_length - self._out

    def add_finding(self, guardrail: ConfiguredGuardrail, start: int, stop: int, replacement: str = REDACTED) -> None:
        """Note that a guardrail has found something in this stretch of the raw text, which is not decided yet."""
        if guardrail.action == "redact":
            insort(self._redactions, _Redaction(start, stop, replacement, guardrail))
        else:
            barrier = start, self._guardrails.index(guardrail)
            self._barrier = min(self._barrier or barrier, barrier)

    def hide(self, start: int, stop: int) -> None:
        """Redact a stretch of text that has not arrived yet, because of an earlier finding. It is no new finding."""
        insort(self._redactions, _Redaction(start, stop))

    def feed(self, text: str, tag: int = 0) -> list[tuple[int, str]]:
        """Add text. Returns what comes out, in order, as pieces with their tags."""
        out: list[tuple[int, str]] = []
        for start in range(0, len(text), _BLOCK):
            if self.blocked_by is not None:
                break
            piece = text[start : start + _BLOCK]
            self._pieces.append((self._folded.raw_length, piece, tag))
            self._folded.feed(piece)
            out += self._advance(is_final=False)
        return out

    def finish(self) -> list[tuple[int, str]]:
        """Say that the text is complete. Returns the rest of what comes out."""
        if self.blocked_by is not None:
            return []
        self._folded.finish()
        return self._advance(is_final=True)

    def _advance(self, *, is_final: bool) -> list[tuple[int, str]]:
        folded = self._folded
        raw_end = folded.raw_end
        if not self._all.skip(folded, is_final=is_final):
            for guardrail, scanner in self._scanners:
                for start, end in scanner.scan(folded, is_final=is_final):
                    self.add_finding(guardrail, folded.raw_start(start), folded.raw_stop(end))
        position = self._all.position(folded)
        free = min(raw_end, folded.raw_start(position))
        for limit in [each for each in self._limits if folded.raw_length > each[1]]:
            self._limits.remove(limit)
            self.add_finding(*limit, _ENDLESS, "")
        # A match may depend on the character before it.
        folded.forget(position - 1)
        if self._barrier is None or (self._barrier[0] >= free and not is_final):
            return self._let_out(free)
        # Everything that begins at the barrier or before it is decided. So what comes out does not depend on the cuts.
        start, index = self._barrier
        out = self._let_out(start)
        self.blocked_by = self._guardrails[index]
        self._note(self.blocked_by)
        return out

    def _let_out(self, stop: int) -> list[tuple[int, str]]:
        """What comes out before this position. Findings after it are not noted: a guardrail may block before them."""
        out: list[tuple[int, str]] = []
        while self._out < stop:
            while self._redactions and self._redactions[0].stop <= self._out:
                self._note(self._redactions.pop(0).by)
            first = self._redactions[0] if self._redactions else _Redaction(stop, stop)
            if first.start > self._out:
                self._is_redacting = False
                out += self._take(min(stop, first.start))
                continue
            if not self._is_redacting and first.replacement:
                out.append((self._pieces[0][2], first.replacement))
            self._is_redacting = True
            self._take(min(stop, first.stop))
        for each in self._redactions:
            if each.start >= stop:
                break
            self._note(each.by)
        return out

    def _note(self, guardrail: ConfiguredGuardrail | None) -> None:
        finding = None if guardrail is None else Finding(guardrail.type, self._stage, guardrail.action)
        if finding is not None and finding not in self.triggers:
            self.triggers.append(finding)

    def _take(self, stop: int) -> list[tuple[int, str]]:
        """Remove the raw text before this position, as pieces with their tags."""
        taken: list[tuple[int, str]] = []
        while self._out < stop:
            start, text, tag = self._pieces[0]
            end = min(stop, start + len(text))
            taken.append((tag, text[self._out - start : end - start]))
            if end == start + len(text):
                self._pieces.popleft()
            self._out = end
        return taken
