"""Patterns in linear time, whose longest match is known, and whose beginnings can be told.

A regular expression is read with Python's own parser and written anew for RE2, so that what is run is exactly what was
measured. Beside it stands another one, which finds the beginnings of matches at the end of a text: what a stream has to
hold back. What stands in a pattern is folded as texts are, so upper and lower case are one.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails.folding import fold

# RE2's own limit of counted repetitions, nested ones multiplied.
_MOST_REPEATS = 1000
_MAX_MEMORY = 64 * 1024 * 1024
# A stream is held by as much as its longest match, and each character costs as much as the pattern is long.
LONGEST = 2000
_ENDLESS = 1 << 40
# What beginnings take to compile rises with the square of their length: this much takes half a second.
_MAX_BEGINNINGS = 60_000
_CATEGORIES = {"DIGIT": r"\p{Nd}", "WORD": r"\p{L}\p{N}_", "SPACE": r"\s\x0b\x1c-\x1f\x{85}\p{Z}"}
_PLACES = {
    "AT_BEGINNING": "^", "AT_BEGINNING_STRING": r"\A", "AT_END": r"\z", "AT_END_STRING": r"\z",
    "AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B",
}  # fmt: skip


class _Refused(Exception):
    """What is wrong with a pattern, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a pattern: its source for RE2, that of its proper beginnings, and the length of its matches.

    Where matches may be longer than `longest`, they are known by as much of them.
    """

    source: str
    beginnings: str
    shortest: int
    longest: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """Compiled patterns as one: leftmost-longest, one match after the other. No more characters are held than `window`
    says: so many where there was no room for `beginnings`, which is None then.
    """

    matches: Any
    beginnings: Any | None
    window: int


_NOTHING = Node("", "", 0, 0)


def one_of(nodes: Sequence[Node]) -> Node:
    """Any of these."""
    if len(nodes) == 1:
        return nodes[0]
    return Node(
        _group("|".join(node.source for node in nodes)),
        _group("|".join(dict.fromkeys(node.beginnings for node in nodes))),
        min(node.shortest for node in nodes),
        max(node.longest for node in nodes),
    )


def literal(text: str) -> Node:
    """The text itself, as guardrails compare texts."""
    return _sequence([Node(_escaped(character), "", 1, 1) for character in fold(text)])


def regex(pattern: str, *, known_by: int = 0) -> Node:
    """A regular expression in Python's syntax. Raises `InvalidRequest` for one that cannot be run on a stream.

    With `known_by` its repetitions may be without end: whether a match is one has to be seen by so many characters.
    """
    try:
        node = _parsed(pattern, endless=known_by > 0)
        if not node.shortest:
            raise _Refused("matches the empty text")
        if node.longest > LONGEST and not known_by:
            raise _Refused(f"matches texts of more than {LONGEST} characters")
    except _Refused as refused:
        raise InvalidRequest(f"The pattern {refused}.") from None
    return replace(node, longest=known_by) if known_by else node


# Room for all that the registry keeps: of each of its 512 sets two rules, and one of all of them at each stage.
@lru_cache(2048)
def compiled(node: Node) -> Pattern:
    """The pattern, ready to run. Raises `InvalidRequest` for one that is too large."""
    import re2

    options = re2.Options()
    options.longest_match = True
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        matches = re2.compile(node.source, options)
    except re2.error as error:
        raise InvalidRequest("The patterns are too large.") from error
    beginnings = None
    if len(node.beginnings) <= _MAX_BEGINNINGS:
        with suppress(re2.error):
            beginnings = re2.compile(_group(node.beginnings) + r"\z", options)
    # Whether a whole match is one may depend on what comes next.
    looks_ahead = any(place in node.source for place in (r"\b", r"\B", r"\z", "(?m:"))
    return Pattern(matches, beginnings, node.longest - (not looks_ahead))


def _parsed(pattern: str, *, endless: bool) -> Node:
    from re import _parser  # type: ignore[attr-defined]  # private, and the only one that tells what Python would match

    try:
        tree = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise _Refused(f"is not a regular expression ({error})") from None
    flags = tree.state.flags
    writer = _Writer(is_multiline=bool(flags & re.MULTILINE), has_dot_all=bool(flags & re.DOTALL), endless=endless)
    body = writer.sequence(tree)
    if r"\b" in body.source.lower() and any(ord(each) > 127 and each.isalnum() for each in pattern):
        raise _Refused(r"has \b beside letters that are not ASCII: it knows only those")
    return body


class _Writer:
    """Writes a tree of Python's parser for RE2."""

    def __init__(self, *, is_multiline: bool, has_dot_all: bool, endless: bool) -> None:
        self._endless = endless
        self._is_multiline = is_multiline
        self._has_dot_all = has_dot_all

    def sequence(self, tree: Iterable[tuple[Any, Any]]) -> Node:
        nodes: list[Node] = []
        text = ""
        for operation, argument in tree:
            if str(operation) == "LITERAL":
                text += chr(argument)
                continue
            nodes += [literal(text), self.node(str(operation), argument)]
            text = ""
        return _sequence([node for node in (*nodes, literal(text)) if node is not _NOTHING])

    def node(self, operation: str, argument: Any) -> Node:
        match operation:
            case "NOT_LITERAL":
                return self._set([("NEGATE", None), ("LITERAL", argument)])
            case "ANY":
                return _one("(?s:.)" if self._has_dot_all else r"[^\n]")
            case "IN":
                return self._set(argument)
            case "BRANCH":
                return one_of([self.sequence(branch) for branch in argument[1]])
            case "SUBPATTERN":
                return self._subpattern(*argument)
            case "MAX_REPEAT" | "MIN_REPEAT":
                return self._repeat(*argument)
            case "AT":
                return self._place(str(argument))
        raise _Refused(f"uses what cannot be run in linear time ({operation.lower()})")

    def _subpattern(self, _group: int | None, added: int, removed: int, tree: Any) -> Node:
        if removed & re.IGNORECASE or (added | removed) & re.ASCII:
            raise _Refused("changes flags that cannot be changed here")
        inner = _Writer(
            is_multiline=bool((self._is_multiline or added & re.MULTILINE) and not removed & re.MULTILINE),
            has_dot_all=bool((self._has_dot_all or added & re.DOTALL) and not removed & re.DOTALL),
            endless=self._endless,
        )
        return inner.sequence(tree)

    def _repeat(self, least: int, most: Any, tree: Any) -> Node:
        without_end = str(most) == "MAXREPEAT"
        if without_end and not self._endless:
            raise _Refused("has no longest match: give *, + and {n,} an end, as in {1,50}")
        if not without_end and most > _MOST_REPEATS:
            raise _Refused(f"repeats more than {_MOST_REPEATS} times")
        body = self.sequence(tree)
        if not body.longest:
            return body if least else _NOTHING
        if not most:
            return _NOTHING
        repeated = _group(body.source)
        before = f"{repeated}*" if without_end else f"{repeated}{{0,{most - 1}}}"
        return Node(
            f"{repeated}{{{least},{'' if without_end else most}}}",
            before + (_group(body.beginnings) if body.beginnings else ""),
            least * body.shortest,
            _ENDLESS if without_end else most * body.longest,
        )

    def _place(self, name: str) -> Node:
        place = _PLACES[name]
        if self._is_multiline and name in {"AT_BEGINNING", "AT_END"}:
            place = "(?m:^)" if name == "AT_BEGINNING" else "(?m:$)"
        elif name == "AT_BEGINNING":
            place = r"\A"
        return Node(place, "", 0, 0)

    def _set(self, items: Sequence[tuple[Any, Any]]) -> Node:
        """A set; what is in it by not being something, or becomes several characters, is an alternative to the rest."""
        negated = bool(items) and str(items[0][0]) == "NEGATE"
        members, alternatives = _Members(), list[Node]()
        for kind, value in ((str(kind), value) for kind, value in items[negated:]):
            name = str(value).removeprefix("CATEGORY_")
            if kind == "LITERAL":
                members.add(chr(value))
            elif kind == "RANGE":
                members.add_range(*value)
            elif name in _CATEGORIES:
                members.source += _CATEGORIES[name]
            elif not negated:
                alternatives.append(_one(f"[^{_CATEGORIES[name.removeprefix('NOT_')]}]"))
            else:
                raise _Refused("has a set that leaves out what is not something")
        if negated:
            return members.others()
        alternatives += map(literal, members.expanded)
        if members.source:
            alternatives.append(_one(f"[{members.source}]"))
        if not alternatives:
            raise _Refused("has a set of characters that cannot be seen")
        return one_of(alternatives)


class _Members:
    """What is in a set, folded: as one, or as the several characters that it becomes."""

    def __init__(self) -> None:
        self.source = ""
        self.expanded: dict[str, None] = {}

    def add(self, character: str) -> None:
        folded = fold(character)
        if len(folded) > 1:
            self.expanded[folded] = None
        elif folded:
            self.source += _escaped(folded)

    def add_range(self, first: int, last: int) -> None:
        """With upper case its lower case. What is compared as other characters stands for those only where there is
        nothing else in the range, as in `[\u2460-\u2468]`: whoever writes `[\x80-\uffff]` does not mean `a`.
        """
        lowered, replaced, has_more = _folded_range(first, last)
        if has_more:
            self.source += _range(first, last)
        self.source += lowered
        if not (has_more or lowered):
            for each in replaced:
                self.add(each)

    def others(self) -> Node:
        """What is not in the set."""
        if not self.source and not self.expanded:
            return _one("(?s:.)")
        inside = compiled(_one(f"[{self.source}]")).matches if self.source else None
        for each in self.expanded:
            if inside is None or not all(map(inside.fullmatch, each)):
                raise _Refused(f"has a set that leaves out what is compared as several characters ({each})")
        return _one(f"[^{self.source}]")


@lru_cache(1024)
def _folded_range(first: int, last: int) -> tuple[str, str, bool]:
    """Of a range the lower case of its upper case, as the source of a set, as far as it lies outside; what is compared
    as something else; and whether there is more.
    """
    lowered, replaced, has_more = list[int](), "", False
    for start in range(first, last + 1, 256):
        characters = "".join(map(chr, range(start, min(start + 256, last + 1))))
        if fold(characters) == characters:
            has_more = has_more or any(unicodedata.category(each) != "Cn" for each in characters)
            continue
        for each in characters:
            folded = fold(each)
            if folded == each:
                has_more = has_more or unicodedata.category(each) != "Cn"
            elif len(folded) == 1 and unicodedata.is_normalized("NFKC", each):
                lowered.append(ord(folded))
            elif folded:
                replaced += each
    outside = sorted({code for code in lowered if not (has_more and first <= code <= last)})
    return "".join(_range(start, stop) for start, stop in _runs(outside)), replaced, has_more


def _runs(codes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Sorted numbers as stretches, each from its first to its last."""
    for _, group in groupby(enumerate(codes), lambda each: each[1] - each[0]):
        run = [code for _, code in group]
        yield run[0], run[-1]


def _range(first: int, last: int) -> str:
    return f"{_escaped(chr(first))}-{_escaped(chr(last))}"


def _one(source: str) -> Node:
    return Node(source, "", 1, 1)


def _sequence(nodes: Sequence[Node]) -> Node:
    """One after the other; a beginning of it is one of the first, or all of that and one of the rest."""
    if not nodes:
        return _NOTHING
    if len(nodes) == 1:
        return nodes[0]
    opened = "".join(f"(?:{node.beginnings}|{node.source}" for node in nodes[:-1])
    beginnings = opened + nodes[-1].beginnings + ")" * (len(nodes) - 1)
    return Node(
        _group("".join(node.source for node in nodes)),
        beginnings,
        sum(node.shortest for node in nodes),
        sum(node.longest for node in nodes),
    )


def _group(source: str) -> str:
    return f"(?:{source})"


def _escaped(character: str) -> str:
    """One character of a pattern, whatever it means to RE2."""
    code = ord(character)
    if code < 128 and character.isalnum():
        return character
    return f"\\x{{{code:x}}}"


def is_regex(pattern: str) -> bool:
    """Whether an element of a blocklist is a regular expression: `/…/`."""
    return len(pattern) > 2 and pattern[0] == pattern[-1] == "/"


def parse(pattern: str) -> Node:
    """A literal or a `/…/`. Raises `InvalidRequest`."""
    if is_regex(pattern):
        return regex(pattern[1:-1])
    node = literal(pattern)
    if not node.longest:
        raise InvalidRequest("The pattern has no character that can be seen.")
    return node
