"""Finds the matches of one rule in a text that is still growing, as soon as more text cannot change them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails.folding import FoldedText
from ai_agents.guardrails.patterns import Node, Pattern, compiled, one_of

# What is held is looked at with each piece that comes; where it is longer than this, when it has grown by one part in
# so many: else a text in small pieces would take the square of its length.
_SHORT, _PATIENCE = 512, 64
# From here on those that hold little are not made to search what one of them holds.
_LITTLE = 64


@dataclass(frozen=True, slots=True)
class Yes:
    """What was found is one, up to this place."""

    end: int


@dataclass(frozen=True, slots=True)
class No:
    """What was found is none; the next one can begin here at the earliest."""

    next_start: int


@dataclass(frozen=True, slots=True)
class Rest:
    """What was found goes on up to this place; with `goes_on` more of it may follow, which is asked for from there."""

    end: int
    goes_on: bool = False


# Whether what a pattern found between two places of a text is what is looked for. It may look at the character before.
Check = Callable[[str, int, int], Yes | No]
# How far what was found goes on from a place of a text, and whether there is no more text. What it takes of a text must
# not depend on how much of it is there by then: either it waits, or more text does not change what it has taken.
Follow = Callable[[str, int, bool], Rest]


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, what else has to be so, and what follows of what was found: that may be of any length."""

    node: Node
    check: Check | None = None
    follow: Follow | None = None


def is_in_word(text: str, start: int) -> bool:
    """Whether what begins there is the middle of a word. Only with ASCII: not all writing parts its words."""
    before = text[start - 1] if start else ""
    return before.isascii() and before.isalnum()


class Scanner:
    """A rule at work. `place` is how far everything is decided; what it found lies before."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.place = 0
        # Whether what was found last goes on.
        self.is_inside = False
        self._pattern = compiled(rule.node)
        self._check = rule.check

    def scan(self, folded: FoldedText, *, final: bool) -> Sequence[tuple[int, int]]:
        """Matches, from left to right, that are new and certain; with `final` there is no more text."""
        text, base = folded.text, folded.base
        at, size = self.place - base, len(text)
        found: list[tuple[int, int]] = []
        if self.is_inside:
            at = self._follow(text, at, final, found)
        held = -1
        while at > held and not self.is_inside:
            held = size if final else _held(self._pattern, text, at)
            at = self._collect(text, at, held, final, found)
        self.place = base + at
        return [(base + start, base + end) for start, end in found]

    def _collect(self, text: str, at: int, held: int, final: bool, found: list[tuple[int, int]]) -> int:
        """Add the matches that begin before `held`; how far all is decided then. That may be beyond `held`, where a
        match reaches there: what is to be held is another question then.
        """
        while at < held and not self.is_inside:
            match = _search(self._pattern.matches, text, at)
            if match is None or match[0] >= held:
                return held
            start, end = match
            checked = Yes(end) if self._check is None else self._check(text, start, end)
            if isinstance(checked, No):
                at = max(checked.next_start, start + 1)
            else:
                at = checked.end
                found.append((start, at))
                if self.rule.follow is not None:
                    at = self._follow(text, at, final, found)
        return at

    def _follow(self, text: str, at: int, final: bool, found: list[tuple[int, int]]) -> int:
        rest = Rest(at, goes_on=True)
        while rest.goes_on:
            before, rest = rest.end, self.rule.follow(text, rest.end, final)  # type: ignore[misc]  # there is one
            if rest.end > before:
                # With the character before, so that nothing leaves between what was found first and this.
                found.append((before - 1, rest.end))
            elif rest.goes_on:
                break
        self.is_inside = rest.goes_on
        return rest.end


class Together:
    """Several scanners at once, for text in which none of them finds anything: that is, for most.

    `pattern` is None where they are too large together.
    """

    def __init__(self, scanners: Sequence[Scanner], pattern: Pattern | None) -> None:
        self._scanners = scanners
        self._pattern = pattern
        self._seen = 0

    def pass_over(self, folded: FoldedText, *, final: bool) -> bool:
        """Move all of them to where any of them has to hold the text; False where one might find something before."""
        place = min(scanner.place for scanner in self._scanners)
        held = self._seen - place
        if not final and held > _SHORT and (folded.end - self._seen) * _PATIENCE < held:
            return True
        self._seen = folded.end
        if self._pattern is None or held > _LITTLE or any(scanner.is_inside for scanner in self._scanners):
            return False
        at, text = place - folded.base, folded.text
        held = len(text) if final else _held(self._pattern, text, at)
        found = _search(self._pattern.matches, text, at)
        if found is not None and found[0] < held:
            return False
        for scanner in self._scanners:
            scanner.place = max(scanner.place, folded.base + held)
        return True


def _held(pattern: Pattern, text: str, at: int) -> int:
    """From where on the text could be the beginning of a match.

    A match that begins before is certain: were there more of it to come, or an earlier one, it would be held.
    """
    longest = max(at, len(text) - pattern.window)
    beginning = None if pattern.beginnings is None else _search(pattern.beginnings, text, at)
    return longest if beginning is None else max(longest, beginning[0])


def _search(compiled_pattern: Any, text: str, at: int) -> tuple[int, int] | None:
    """The first match from there on. It is not told more of the text than the character before, nor, where they are
    the same, characters rather than bytes: it would count them each time.
    """
    before = max(0, at - 1)
    rest = text[before:]
    found = compiled_pattern.search(rest.encode() if rest.isascii() else rest, at - before)
    return None if found is None else (before + found.start(), before + found.end())


def all_of(scanners: Sequence[Scanner]) -> Together | None:
    """Scanners as one; None where there are none."""
    if not scanners:
        return None
    pattern = None
    if len(scanners) > 1:
        with suppress(InvalidRequest):
            pattern = compiled(one_of([scanner.rule.node for scanner in scanners]))
    return Together(scanners, None if pattern is None or pattern.beginnings is None else pattern)
