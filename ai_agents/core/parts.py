"""Parts and definitions of tools as JSON: whole in the database, without their private fields for clients."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from ai_agents.core.rows import (
    PublicFilePart,
    PublicPart,
    PublicReasoningPart,
    PublicTextPart,
    PublicToolCallPart,
    PublicToolResultPart,
)
from ai_agents.core.types import (
    FilePart,
    JsonObject,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolDefinition,
    ToolResultPart,
)

_PRIVATE = ("origin", "malformed", "facts")
# The class of each kind, and what clients see of it.
_KINDS: Mapping[str, tuple[type[Part], type[PublicPart]]] = {
    "text": (TextPart, PublicTextPart),
    "file": (FilePart, PublicFilePart),
    "reasoning": (ReasoningPart, PublicReasoningPart),
    "tool_call": (ToolCallPart, PublicToolCallPart),
    "tool_result": (ToolResultPart, PublicToolResultPart),
}


def part_to_public(part: Part) -> PublicPart:
    """The part as clients see it."""
    _, public = _KINDS[part.type]
    shown = {name: getattr(part, name) for name in public.__annotations__}
    if shown.get("deleted") is False:
        del shown["deleted"]
    return cast("PublicPart", shown)


def part_to_stored(part: Part) -> JsonObject:
    """The part as it is stored: its public form and its private fields."""
    private = {name: value for name in _PRIVATE if (value := getattr(part, name, None)) is not None}
    return {**part_to_public(part), **private}


def stored_to_public(row: Mapping[str, Any]) -> PublicPart:
    """A stored part without its private fields."""
    return cast("PublicPart", {name: value for name, value in row.items() if name not in _PRIVATE})


def part_from_stored(row: Mapping[str, Any]) -> Part:
    """The inverse of `part_to_stored`. Raises ValueError for an unknown type."""
    kind = row.get("type", "")
    if kind not in _KINDS:
        raise ValueError(f"unknown part type {row.get('type')!r}")
    return _KINDS[kind][0](**row)


def tools_to_stored(definitions: Sequence[ToolDefinition]) -> list[JsonObject]:
    """The tools of a client as their run keeps them."""
    return [{"name": each.name, "description": each.description, "parameters": each.parameters} for each in definitions]


def tools_from_stored(stored: Sequence[JsonObject] | None) -> tuple[ToolDefinition, ...]:
    """The inverse of `tools_to_stored`; empty for a run without such tools."""
    return tuple(ToolDefinition(**each) for each in stored or ())


def text_of(parts: Iterable[Part]) -> str:
    """The content of a message: its text parts joined."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))
