"""Patterns as they run. Equal ones are shared as long as one is in use; the agent's set of guardrails keeps them."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails.patterns import Node, one_of
from ai_agents.guardrails.programs import (
    BYTES_PER_CHARACTER,
    FORMER_MAX_MEMORY,
    MAX_MEMORY,
    MOST_ROOM,
    Program,
    ProgramTooLarge,
    compile_program,
)

# The time to compile beginnings grows with the square of their length: this length takes a tenth of a second.
_MAX_BEGINNINGS = 60_000
# One program has patterns of so many instructions and characters together; it is compiled within 50 ms.
_MOST_TOGETHER, _MOST_BEGINNINGS_TOGETHER = 50_000, 40_000
# For each instruction of both programs of a pattern.
_LEAST_BYTES = 45
_SHORT_MATCH = 64
# Whether a match that has one of these is complete may depend on the next character.
_LOOK_AHEAD = (r"\b", r"\B", r"\z", "$")


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class CompiledPattern:
    """A pattern that finds the leftmost of the longest matches.

    `window` is the number of characters that a stream has to hold back at most. It holds back that many where
    `beginnings` is None, because they were too large. `size_bytes` is the most memory that it ever takes. `is_oversize`
    says that it is larger than new patterns may be.
    """

    matches: Any
    beginnings: Any | None
    window: int
    size_bytes: int = 0
    instructions: int = 0
    is_oversize: bool = False

    @property
    def busyness(self) -> int:
        """About how many instructions may be busy with each character of a text that is made for it.

        Those of a long match with repetitions all are; of a list of words few are.
        """
        return self.instructions if self.window > _SHORT_MATCH else self.instructions // 10


_in_use: "WeakValueDictionary[Node, CompiledPattern]" = WeakValueDictionary()
_lock = threading.Lock()


def compiled(node: Node, *, only_new: bool = False, room_bytes: int = MOST_ROOM) -> CompiledPattern:
    """The pattern, ready to run. Raises `InvalidRequest` for one that is too large.

    With `only_new` it has to be as small as new patterns must be. It takes no more than `room_bytes` for each of its
    two programs if it can do with that; then searches may be slow.
    """
    with _lock:
        found = _in_use.get(node)
    if found is None:
        found = _compile(node, only_new=only_new, room_bytes=room_bytes)
        with _lock:
            found = _in_use.setdefault(node, found)
    if only_new and found.is_oversize:
        raise _too_large()
    return found


def packed(nodes: Sequence[Node]) -> list[Node]:
    """The alternatives in as few nodes as are compiled in a short time each."""
    groups: list[list[Node]] = []
    weight = beginnings = 0
    for node in nodes:
        weight, beginnings = weight + node.weight, beginnings + len(node.beginnings)
        if not groups or weight > _MOST_TOGETHER or beginnings > _MOST_BEGINNINGS_TOGETHER:
            groups.append([])
            weight, beginnings = node.weight, len(node.beginnings)
        groups[-1].append(node)
    return [one_of(group) for group in groups]


def together(nodes: Sequence[Node]) -> Node | None:
    """One node that finds whatever any of these find; None where there are not several, or they are too large."""
    if len(nodes) < 2:
        return None
    weight, beginnings = sum(node.weight for node in nodes), sum(len(node.beginnings) for node in nodes)
    return one_of(nodes) if weight <= _MOST_TOGETHER and beginnings <= _MOST_BEGINNINGS_TOGETHER else None


def least_size(node: Node) -> int:
    """Bytes that the pattern takes at least, before it is compiled: about two thirds of what was measured."""
    return BYTES_PER_CHARACTER * (len(node.source) + len(node.beginnings)) + _LEAST_BYTES * node.weight


def _compile(node: Node, *, only_new: bool, room_bytes: int) -> CompiledPattern:
    is_oversize = False
    try:
        matches = compile_program(node.source, weight=node.weight, room_bytes=room_bytes)
    except ProgramTooLarge:
        if only_new:
            raise _too_large() from None
        is_oversize = True
        try:
            matches = compile_program(node.source, max_memory=FORMER_MAX_MEMORY)
        except ProgramTooLarge:
            raise _too_large() from None
    beginnings: Program | None = None
    if len(node.beginnings) <= _MAX_BEGINNINGS:
        with suppress(ProgramTooLarge):
            max_memory = FORMER_MAX_MEMORY if is_oversize else MAX_MEMORY
            beginnings = compile_program(
                f"(?:{node.beginnings})\\z", weight=node.weight * 3 // 2, room_bytes=room_bytes, max_memory=max_memory
            )
    looks_ahead = any(anchor in node.source for anchor in _LOOK_AHEAD)
    return CompiledPattern(
        matches.matches,
        None if beginnings is None else beginnings.matches,
        node.longest - (not looks_ahead),
        matches.size_bytes + (0 if beginnings is None else beginnings.size_bytes),
        matches.instructions,
        is_oversize,
    )


def _too_large() -> InvalidRequest:
    return InvalidRequest("The patterns are too large.")
