"""Patterns that run in linear time, whose longest match is known, and whose matches can be seen to begin.

Python's own parser reads a regular expression, which is then written anew for RE2: what runs is exactly what was
measured. A second expression matches the beginnings of matches at the end of a text, which a stream has to hold back.
Patterns are folded as texts are, so that case does not matter.
"""

import re
import sys
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails.folding import fold
from ai_agents.guardrails.programs import compile_program

# RE2's own limit of counted repetitions, with nested ones multiplied.
_MOST_REPEATS = 1000
# A stream is held back by up to its longest match, and each character costs time in proportion to the pattern's length.
LONGEST = 2000
_ENDLESS = 1 << 40
_CATEGORIES = {"DIGIT": r"\p{Nd}", "WORD": r"\p{L}\p{N}_", "SPACE": r"\s\x0b\x1c-\x1f\x{85}\p{Z}"}
_ANCHORS = {
    "AT_BEGINNING": "^", "AT_BEGINNING_STRING": r"\A", "AT_END": "$", "AT_END_STRING": r"\z",
    "AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B",
}  # fmt: skip
# Whether a match that has one of these is complete may depend on the next character.
_LOOK_AHEAD = (r"\b", r"\B", r"\z", "$")


# About how many instructions RE2 makes of a category of characters, measured with google-re2 1.1.20251105.
_WEIGHTS = {r"\p{L}": 1200, r"\p{Nd}": 100, r"\p{N}": 200, r"\p{Z}": 10}


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a pattern: its source for RE2, the source of its matches' proper beginnings, and its matches' length.

    Where matches may be longer than `longest`, that many characters are enough to recognize one. `weight` is about how
    many instructions RE2 makes of the source.
    """

    source: str
    beginnings: str
    shortest: int
    longest: int
    weight: int = 1


_NOTHING = Node("", "", 0, 0, 0)


def parse(pattern: str) -> Node:
    """A literal text, or a regular expression between slashes. Raises `InvalidRequest`."""
    if len(pattern) > 2 and pattern[0] == pattern[-1] == "/":
        return regex(pattern[1:-1])
    node = literal(pattern)
    if not node.longest:
        raise InvalidRequest("The pattern has no character that can be seen.")
    return node


def literal(text: str) -> Node:
    """The text itself, folded."""
    return _sequence([_character(_escaped(ord(character))) for character in fold(text)])


def regex(pattern: str, *, known_by: int = 0) -> Node:
    """A regular expression in Python's syntax. Raises `InvalidRequest` for one that cannot run on a stream.

    With `known_by` repetitions may be endless, and that many characters have to be enough to recognize a match.
    """
    from re import _parser  # type: ignore[attr-defined]  # private, but it alone tells how Python reads an expression

    try:
        tree = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise _refusal(f"is not a regular expression ({error})") from None
    node = _with_flags(_from_tree(tree), added=tree.state.flags & ~re.ASCII)
    if r"\b" in node.source.lower() and any(ord(each) > 127 and each.isalnum() for each in pattern):
        raise _refusal(r"has \b and letters that are not ASCII, which \b does not know")
    if not node.shortest:
        raise _refusal("matches the empty text")
    if known_by:
        return replace(node, longest=known_by)
    if node.longest >= _ENDLESS:
        raise _refusal("has no longest match: limit *, + and {n,}, for example with {1,50}")
    if node.longest > LONGEST:
        raise _refusal(f"matches texts of more than {LONGEST} characters")
    return node


def one_of(nodes: Sequence[Node]) -> Node:
    """Any of these."""
    if len(nodes) == 1:
        return nodes[0]
    return Node(
        _group("|".join(node.source for node in nodes)),
        _group("|".join(dict.fromkeys(node.beginnings for node in nodes))),
        min(node.shortest for node in nodes),
        max(node.longest for node in nodes),
        sum(node.weight for node in nodes),
    )


def _from_tree(tree: Iterable[tuple[Any, Any]]) -> Node:
    """What Python's parser has read. Literals that follow each other are folded as one text."""
    nodes: list[Node] = []
    text = ""
    for operation, argument in tree:
        if str(operation) == "LITERAL":
            text += chr(argument)
            continue
        nodes += [literal(text), _from_operation(str(operation), argument)]
        text = ""
    return _sequence([node for node in (*nodes, literal(text)) if node is not _NOTHING])


def _from_operation(operation: str, argument: Any) -> Node:
    match operation:
        case "NOT_LITERAL":
            return _set([("NEGATE", None), ("LITERAL", argument)])
        case "ANY":
            return _character(".")
        case "IN":
            return _set(argument)
        case "BRANCH":
            return one_of([_from_tree(branch) for branch in argument[1]])
        case "SUBPATTERN":
            _number, added, removed, tree = argument
            return _with_flags(_from_tree(tree), added, removed)
        case "MAX_REPEAT" | "MIN_REPEAT":
            return _repeat(*argument)
        case "AT":
            return Node(_ANCHORS[str(argument)], "", 0, 0)
    raise _refusal(f"uses a construct that cannot run in linear time ({operation.lower()})")


def _with_flags(node: Node, added: int, removed: int = 0) -> Node:
    if removed & re.IGNORECASE or (added | removed) & re.ASCII:
        raise _refusal("changes flags that cannot be changed here")
    on = "m" * bool(added & re.MULTILINE) + "s" * bool(added & re.DOTALL)
    off = "m" * bool(removed & re.MULTILINE) + "s" * bool(removed & re.DOTALL)
    if not on and not off:
        return node
    opened = f"(?{on}-{off}:" if off else f"(?{on}:"
    return replace(node, source=f"{opened}{node.source})", beginnings=f"{opened}{node.beginnings})")


def _repeat(least: int, most: Any, tree: Any) -> Node:
    is_endless = str(most) == "MAXREPEAT"
    if not is_endless and most > _MOST_REPEATS:
        raise _refusal(f"repeats more than {_MOST_REPEATS} times")
    body = _from_tree(tree)
    if not body.longest:
        return body if least else _NOTHING
    if not most:
        return _NOTHING
    repeated = _group(body.source)
    before = f"{repeated}*" if is_endless else f"{repeated}{{0,{most - 1}}}"
    return Node(
        f"{repeated}{{{least},{'' if is_endless else most}}}",
        before + (_group(body.beginnings) if body.beginnings else ""),
        least * body.shortest,
        _ENDLESS if is_endless else most * body.longest,
        (least + 1 if is_endless else most) * body.weight,
    )


def _sequence(nodes: Sequence[Node]) -> Node:
    """One after the other. A beginning of it is one of the first node, or all of that and one of the rest."""
    if not nodes:
        return _NOTHING
    if len(nodes) == 1:
        return nodes[0]
    opened = "".join(f"(?:{node.beginnings}|{node.source}" for node in nodes[:-1])
    return Node(
        _group("".join(node.source for node in nodes)),
        opened + nodes[-1].beginnings + ")" * (len(nodes) - 1),
        sum(node.shortest for node in nodes),
        sum(node.longest for node in nodes),
        sum(node.weight for node in nodes),
    )


def _set(items: Sequence[tuple[Any, Any]]) -> Node:
    """A set of characters. Negated categories, and members that fold to several characters, become alternatives."""
    is_negated = str(items[0][0]) == "NEGATE"
    members, several, alternatives = "", dict[str, None](), list[Node]()
    for kind, value in items[is_negated:]:
        name = str(value).removeprefix("CATEGORY_")
        if str(kind) != "CATEGORY":
            source, expanded = _folded_range(*(value if str(kind) == "RANGE" else (value, value)))
            members += source
            several |= dict.fromkeys(expanded)
        elif name in _CATEGORIES:
            members += _CATEGORIES[name]
        elif is_negated:
            raise _refusal("has a negated category in a negated set")
        else:
            alternatives.append(_character(f"[^{_CATEGORIES[name.removeprefix('NOT_')]}]"))
    if not is_negated:
        alternatives += [*map(literal, several), *([_character(f"[{members}]")] if members else [])]
        if not alternatives:
            raise _refusal("has a set of characters that cannot be seen")
        return one_of(alternatives)
    if several and not _all_in(members, "".join(several)):
        raise _refusal(f"has a negated set with what is compared as several characters ({', '.join(several)})")
    return _character(f"[^{members}]" if members else "(?s:.)")


# The largest entry takes some 20 KB.
@lru_cache(256)
def _folded_range(first: int, last: int) -> tuple[str, Sequence[str]]:
    """A range of characters, folded: as the inside of a set, and those that fold to several characters.

    Upper case stands for its lower case. Other characters stand for what they fold to only where nothing else is in the
    range, as in `[\u2460-\u2468]`: the author of `[\x80-\uffff]` does not mean `a`.
    """
    changes = _changes()
    changed = dict(changes[bisect_left(changes, (first, "")) : bisect_left(changes, (last + 1, ""))])
    has_more = any(code not in changed and unicodedata.category(chr(code)) != "Cn" for code in range(first, last + 1))
    is_normalized = partial(unicodedata.is_normalized, "NFKC")
    lowered = {folded for code, folded in changed.items() if len(folded) == 1 and is_normalized(chr(code))}
    found = sorted(lowered if has_more or lowered else set(changed.values()))
    codes = [ord(each) for each in found if len(each) == 1]
    if has_more:
        codes = [code for code in codes if not first <= code <= last]
        return _source(range(first, last + 1)) + _source(codes), ()
    return _source(codes), [each for each in found if len(each) > 1]


@lru_cache(1)
def _changes() -> list[tuple[int, str]]:
    """All characters that folding changes, in order, with what they become."""
    changes: list[tuple[int, str]] = []
    for start in range(0, sys.maxunicode, 256):
        block = "".join(map(chr, range(start, start + 256)))
        if fold(block) != block:
            changes += [(ord(each), folded) for each in block if (folded := fold(each)) != each]
    return changes


def _all_in(members: str, text: str) -> bool:
    """Whether all characters of the text are in the set with these members."""
    return bool(members) and compile_program(f"[{members}]*").matches.fullmatch(text) is not None


def _source(codes: Sequence[int]) -> str:
    """Sorted characters as the inside of a set."""
    if len(codes) > 2 and codes[-1] - codes[0] == len(codes) - 1:
        return f"{_escaped(codes[0])}-{_escaped(codes[-1])}"
    return "".join(map(_escaped, codes))


def _character(source: str) -> Node:
    weight = 1 + 4 * source.count(r"\x{") + sum(n * source.count(name) for name, n in _WEIGHTS.items())
    return Node(source, "", 1, 1, weight)


def _group(source: str) -> str:
    return f"(?:{source})"


def _escaped(code: int) -> str:
    """A character as itself, whatever it means to RE2."""
    character = chr(code)
    return character if character.isascii() and character.isalnum() else f"\\x{{{code:x}}}"


def _refusal(reason: str) -> InvalidRequest:
    return InvalidRequest(f"The pattern {reason}.")
