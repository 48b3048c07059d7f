"""Finds the matches of one rule in a text that is still growing, as soon as more text cannot change them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails.folding import FoldedText
from ai_agents.guardrails.patterns import Node, Pattern, compiled, one_of


@dataclass(frozen=True, slots=True)
class Yes:
    """What was found is one, up to this place."""

    end: int


@dataclass(frozen=True, slots=True)
class No:
    """What was found is none; the next one can begin here at the earliest."""

    next_start: int


# Whether what a pattern found between two places of a text is what is looked for. It may look at the character before.
Check = Callable[[str, int, int], Yes | No]


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, and what else has to be so."""

    node: Node
    check: Check | None = None


class Scanner:
    """A rule at work. `place` is how far everything is decided; what it found lies before."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._pattern = compiled(rule.node)
        self._check = rule.check
        self.place = 0

    def scan(self, folded: FoldedText, *, final: bool) -> Sequence[tuple[int, int]]:
        """Matches, from left to right, that are new and certain; with `final` there is no more text."""
        text, base = folded.text, folded.base
        at, size = self.place - base, len(text)
        found: list[tuple[int, int]] = []
        held = -1
        while at > held:
            held = size if final else self._held(text, at)
            at = self._collect(text, at, held, found)
        self.place = base + at
        return [(base + start, base + end) for start, end in found]

    def _held(self, text: str, at: int) -> int:
        """From where on the text could be the beginning of a match.

        A match that begins before is certain: were there more of it to come, or an earlier one, it would be held.
        """
        if self._pattern.beginnings is None:
            return max(at, len(text) - self._pattern.window)
        start: int = self._pattern.beginnings.search(text, at).start()
        return start

    def _collect(self, text: str, at: int, held: int, found: list[tuple[int, int]]) -> int:
        """Add the matches that begin before `held`; how far all is decided then. That may be beyond `held`, where a
        match reaches there: what is to be held is another question then.
        """
        while at < held:
            match = self._pattern.matches.search(text, at)
            if match is None or match.start() >= held:
                return held
            start, end = match.span()
            checked = Yes(end) if self._check is None else self._check(text, start, end)
            if isinstance(checked, No):
                at = max(checked.next_start, start + 1)
            else:
                at = checked.end
                found.append((start, at))
        return at


class Together:
    """Several scanners at once, for text in which none of them finds anything: that is, for most."""

    def __init__(self, scanners: Sequence[Scanner], pattern: Pattern) -> None:
        self._scanners = scanners
        self._pattern = pattern

    def pass_over(self, folded: FoldedText, *, final: bool) -> bool:
        """Move all of them to where any of them has to hold the text; False where one might find something before."""
        at, text = min(scanner.place for scanner in self._scanners) - folded.base, folded.text
        found = self._pattern.matches.search(text, at)
        if found is not None:
            return False
        held = len(text) if final else self._pattern.beginnings.search(text, at).start()  # type: ignore[union-attr]  # see `all_of`
        for scanner in self._scanners:
            scanner.place = max(scanner.place, folded.base + held)
        return True


def all_of(scanners: Sequence[Scanner]) -> Together | None:
    """Scanners as one; None where there is one alone, or where they are too large together."""
    if len(scanners) < 2:
        return None
    try:
        pattern = compiled(one_of([scanner.rule.node for scanner in scanners]))
    except InvalidRequest:
        return None
    return None if pattern.beginnings is None else Together(scanners, pattern)
