"""How much work a JSON Schema makes for each value that is held against it, worked out before anything is.

A schema of a few lines can have a validator look at one place of a value a million times over: by definitions that use
each other twice, or by ways that lead to the same member of an object again and again, a level deeper each time. And a
validator goes one step down its stack for each reference that it follows. What nobody can afford is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ai_agents.core.types import JsonObject

MAX_DEPTH = 64
# More in one place is no description of anything.
_MAX_STEPS = 50_000
# A validator takes 40 nanoseconds for a step.
_MAX_WORK = 10_000_000
_MAX_CHAIN = 64
# A pattern is as much work as so many steps; one that looks around or back may go over a text again and again.
_PATTERN_STEPS, _BACKTRACKING_STEPS = 20, 5_000
_BACKTRACKS = re.compile(r"\(\?<?[=!]|\(\?>|\\[1-9k]|[+*?}]\+")
# Keywords by what their schemas are held against: the same value, or the members of an object or a list in it.
_HERE = ("$ref", "$dynamicRef", "$recursiveRef", "not", "if", "then", "else")
_HERE_LISTS = ("allOf", "anyOf", "oneOf")
_HERE_MAPS = ("dependentSchemas", "dependencies")
_ITEMS = ("items", "prefixItems", "additionalItems", "contains", "unevaluatedItems")


class TooMuch(Exception):
    """Why a schema is refused, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What there is to do at the most in any one place of a value.

    `steps` are the schemas that are held against it, `ways` those of them that lead on to one and the same place in it.
    """

    steps: int
    ways: int

    def allows(self, value: Any) -> bool:
        """Whether this value can be held against the schema."""
        count = deepest = 0
        stack = [(value, 1)]
        while stack:
            each, depth = stack.pop()
            count, deepest = count + 1, max(deepest, depth)
            if depth > MAX_DEPTH:
                return False
            if isinstance(each, dict):
                stack.extend((inner, depth + 1) for inner in each.values())
            elif isinstance(each, list | tuple):
                stack.extend((inner, depth + 1) for inner in each)
        return bool(count * self.steps * self.ways ** (deepest - 1) <= _MAX_WORK)


@dataclass(slots=True)
class _Place:
    """What a schema comes to in the place that it is held against, with all that it brings along.

    `members`: how many ways lead to a member of this name; `others`: to one of any other name; `items`: to an item.
    """

    steps: int = 1
    chain: int = 1
    others: int = 0
    items: int = 0
    members: dict[str, int] = field(default_factory=dict)

    def add(self, other: "_Place") -> None:
        """Both are held against the same place."""
        self.steps += other.steps
        self.chain = max(self.chain, 1 + other.chain)
        self.items += other.items
        # Kept as what they have more than `others`, or less.
        self.others += other.others
        for name, more in other.members.items():
            self.members[name] = self.members.get(name, 0) + more

    @property
    def ways(self) -> int:
        """Those that lead to one and the same place in the value, at the most."""
        return max(1, self.items, self.others, self.others + max(self.members.values(), default=0))


def measure(schema: JsonObject) -> Effort:
    """Raises `TooMuch`. References that lead nowhere are left to the validator."""
    measuring = _Measuring(schema)
    places = [measuring.place(each, 1) for each in measuring.objects]
    return Effort(max(each.steps for each in places), max(each.ways for each in places))


class _Measuring:
    def __init__(self, schema: JsonObject) -> None:
        self._root = schema
        self.objects: list[JsonObject] = list(_objects(schema))
        self._anchors = {
            each[name]: each
            for each in self.objects
            for name in ("$anchor", "$dynamicAnchor")
            if isinstance(each.get(name), str)
        }
        self._known: dict[int, _Place] = {}
        self._open: set[int] = set()

    def place(self, schema: JsonObject, chain: int) -> _Place:
        """What this part of the schema comes to."""
        found = self._known.get(id(schema))
        if found is not None:
            return found
        if id(schema) in self._open:
            raise TooMuch("refers to itself in the same place")
        if chain > _MAX_CHAIN:
            raise TooMuch(f"has more than {_MAX_CHAIN} references in a row")
        self._open.add(id(schema))
        found = _own(schema)
        for each in self._here(schema):
            found.add(self.place(each, chain + 1))
            if found.steps > _MAX_STEPS:
                raise TooMuch("holds too many schemas and patterns against one place")
            if found.chain > _MAX_CHAIN:
                raise TooMuch(f"has more than {_MAX_CHAIN} references in a row")
        self._open.discard(id(schema))
        self._known[id(schema)] = found
        return found

    def _here(self, schema: JsonObject) -> Iterator[JsonObject]:
        for name in _HERE:
            given = schema.get(name)
            target = self._target(given) if isinstance(given, str) else given
            if isinstance(target, dict):
                yield target
        for name in _HERE_LISTS:
            yield from _schemas(schema.get(name))
        for name in _HERE_MAPS:
            given = schema.get(name)
            yield from _schemas(list(given.values()) if isinstance(given, dict) else None)

    def _target(self, reference: str) -> Any:
        pointer = unquote(reference.removeprefix("#"))
        if not pointer.startswith("/"):
            return self._anchors.get(pointer) if pointer else self._root
        found: Any = self._root
        for step in pointer[1:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping):
                found = found.get(name)
            elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return found


def _own(schema: JsonObject) -> _Place:
    """What the schema says itself."""
    named, patterns = schema.get("properties"), schema.get("patternProperties")
    texts = [schema.get("pattern"), *(patterns if isinstance(patterns, dict) else ())]
    place = _Place(steps=1 + sum(_steps(each) for each in texts if isinstance(each, str)))
    every = len(patterns) if isinstance(patterns, dict) else 0
    every += isinstance(schema.get("unevaluatedProperties"), dict)
    rest = isinstance(schema.get("additionalProperties"), dict)
    place.others = every + rest
    place.members = dict.fromkeys(named, 1 - rest) if isinstance(named, dict) else {}
    place.items = sum(bool(schema.get(name)) for name in _ITEMS)
    return place


def _steps(pattern: str) -> int:
    return _BACKTRACKING_STEPS if _BACKTRACKS.search(pattern) else _PATTERN_STEPS


def _schemas(given: Any) -> Iterator[JsonObject]:
    if isinstance(given, list):
        yield from (each for each in given if isinstance(each, dict))


def _objects(schema: Any) -> Iterator[JsonObject]:
    stack = [schema]
    while stack:
        each = stack.pop()
        if isinstance(each, dict):
            yield each
            stack.extend(each.values())
        elif isinstance(each, list):
            stack.extend(each)
