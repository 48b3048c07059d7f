"""Finds the matches of a rule in a text that is still growing, as soon as more text cannot change them."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from ai_agents.guardrails.compiled import CompiledPattern, compiled, together
from ai_agents.guardrails.folding import FoldedText
from ai_agents.guardrails.patterns import Node

# Held text up to this length is searched with each new piece. Longer held text is searched after it has grown by one
# part in 64: otherwise a text in small pieces would take quadratic time.
_SHORT, _PATIENCE = 512, 64
# Where one rule holds more than this, the rules are searched for one by one, so that the others skip what it holds.
_LITTLE = 64


@dataclass(frozen=True, slots=True)
class Accepted:
    """The candidate is a match, up to this position."""

    end: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """The candidate is no match. The next one begins at this position at the earliest."""

    next_start: int


@dataclass(frozen=True, slots=True)
class Continuation:
    """The match continues up to this position. If it `is_open`, more may follow, and `Follow` is called again."""

    end: int
    is_open: bool = False


# Decides whether what a pattern found between two positions of a text is a match. It may look at the character before.
Check = Callable[[str, int, int], Accepted | Rejected]
# Says how far a match continues from a position of a text; the last argument says whether the text is complete. The
# result must not depend on how much text is there: either it waits, or more text does not change what it has taken.
Follow = Callable[[str, int, bool], Continuation]


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, an optional check of its candidates, and what may follow a match, which may be of any length."""

    node: Node
    check: Check | None = None
    follow: Follow | None = None


def is_in_word(text: str, start: int) -> bool:
    """Whether the character before this position is a letter or a digit of ASCII: not every script separates words."""
    before = text[start - 1] if start else ""
    return before.isascii() and before.isalnum()


class Scanner:
    """Searches one text for a rule. Everything before `position` is decided."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.position = 0
        # Whether the last match is still open.
        self.is_inside = False
        self._pattern = compiled(rule.node)

    def copy(self) -> "Scanner":
        """One at the same position, for a text that goes on otherwise."""
        return copy(self)

    def scan(self, folded: FoldedText, *, is_final: bool) -> Sequence[tuple[int, int]]:
        """New matches that are certain, from left to right. `is_final` says that the text is complete."""
        text, base = folded.text, folded.base
        at, size = self.position - base, len(text)
        found: list[tuple[int, int]] = []
        if self.is_inside:
            at = self._follow(text, at, is_final, found)
        held = -1
        while at > held and not self.is_inside:
            held = size if is_final else _held_from(self._pattern, text, at)
            at = self._collect(text, at, held, is_final, found)
        self.position = base + at
        return [(base + start, base + end) for start, end in found]

    def _collect(self, text: str, at: int, held: int, is_final: bool, found: list[tuple[int, int]]) -> int:
        """Add the matches that begin before `held`, and return the position up to which everything is decided.

        A match may end after `held`; then the text to hold has to be determined again.
        """
        while at < held and not self.is_inside:
            candidate = _search(self._pattern.matches, text, at)
            if candidate is None or candidate[0] >= held:
                return held
            start, end = candidate
            checked = Accepted(end) if self.rule.check is None else self.rule.check(text, start, end)
            if isinstance(checked, Rejected):
                at = max(checked.next_start, start + 1)
                continue
            at = checked.end
            found.append((start, at))
            if self.rule.follow is not None:
                at = self._follow(text, at, is_final, found)
        return at

    def _follow(self, text: str, at: int, is_final: bool, found: list[tuple[int, int]]) -> int:
        assert self.rule.follow is not None  # noqa: S101  # only a match of a rule that has one is followed
        self.is_inside = True
        while self.is_inside:
            rest = self.rule.follow(text, at, is_final)
            self.is_inside = rest.is_open
            if rest.end == at:
                break
            # It overlaps the match by one character, so that nothing between them is let out.
            found.append((at - 1, rest.end))
            at = rest.end
        return at


class ScannerGroup:
    """Scanners of one text, which skip together the text in which none of them finds anything: most text."""

    def __init__(self, scanners: Sequence[Scanner]) -> None:
        self._scanners = scanners
        self._searched = 0
        # None where the patterns are too large together.
        self._pattern = group_pattern([scanner.rule for scanner in scanners])

    def position(self, folded: FoldedText) -> int:
        """Everything before it is decided by all scanners."""
        return min((scanner.position for scanner in self._scanners), default=folded.end)

    def skip(self, folded: FoldedText, *, is_final: bool) -> bool:
        """Move all scanners to where the text has to be held. False if one of them may find something before."""
        position = self.position(folded)
        held = self._searched - position
        if not is_final and held > _SHORT and (folded.end - self._searched) * _PATIENCE < held:
            return True
        self._searched = folded.end
        if self._pattern is None or held > _LITTLE or any(scanner.is_inside for scanner in self._scanners):
            return False
        at, text = position - folded.base, folded.text
        held_from = len(text) if is_final else _held_from(self._pattern, text, at)
        found = _search(self._pattern.matches, text, at)
        if found is not None and found[0] < held_from:
            return False
        for scanner in self._scanners:
            scanner.position = max(scanner.position, folded.base + held_from)
        return True


def group_pattern(rules: Sequence[Rule]) -> CompiledPattern | None:
    """The pattern that finds whatever any of the rules may find; None where there is none of a fair size."""
    node = together([rule.node for rule in rules])
    found = None if node is None else compiled(node)
    return None if found is None or found.beginnings is None or found.is_oversize else found


def _held_from(pattern: CompiledPattern, text: str, at: int) -> int:
    """The position from which the text could be the beginning of a match.

    A match that begins before it is certain: if more of it could come, or an earlier match, the text would be held.
    """
    longest = max(at, len(text) - pattern.window)
    beginning = None if pattern.beginnings is None else _search(pattern.beginnings, text, at)
    return longest if beginning is None else max(longest, beginning[0])


def _search(pattern: Any, text: str, at: int) -> tuple[int, int] | None:
    """The first match from this position on.

    RE2 gets only the text from the character before, and ASCII as bytes: it counts the characters of a str each time.
    """
    before = max(0, at - 1)
    rest = text[before:]
    found = pattern.search(rest.encode() if rest.isascii() else rest, at - before)
    return None if found is None else (before + found.start(), before + found.end())
