"""Parts as JSON: whole in the database, without their private fields for clients."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from ai_agents.core.rows import PublicPart
from ai_agents.core.types import FilePart, JsonObject, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

_PRIVATE = ("origin", "malformed", "facts")
_KINDS: Mapping[str, type[Part]] = {
    "text": TextPart,
    "file": FilePart,
    "reasoning": ReasoningPart,
    "tool_call": ToolCallPart,
    "tool_result": ToolResultPart,
}


def part_to_public(part: Part) -> PublicPart:
    """The part as clients see it."""
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case FilePart():
            return {
                "type": "file",
                "file_id": part.file_id,
                "filename": part.filename,
                "media_type": part.media_type,
                "size_bytes": part.size_bytes,
            }
        case ReasoningPart():
            return {"type": "reasoning", "text": part.text}
        case ToolCallPart():
            return {
                "type": "tool_call",
                "tool_call_id": part.tool_call_id,
                "name": part.name,
                "arguments": part.arguments,
            }
        case ToolResultPart():
            return {
                "type": "tool_result",
                "tool_call_id": part.tool_call_id,
                "name": part.name,
                "result": part.result,
                "is_error": part.is_error,
            }


def part_to_stored(part: Part) -> JsonObject:
    """The part as it is stored: its public form and its private fields."""
    private = {name: value for name in _PRIVATE if (value := getattr(part, name, None)) is not None}
    return {**part_to_public(part), **private}


def stored_to_public(row: Mapping[str, Any]) -> PublicPart:
    """A stored part without its private fields."""
    return cast("PublicPart", {name: value for name, value in row.items() if name not in _PRIVATE})


def part_from_stored(row: Mapping[str, Any]) -> Part:
    """The inverse of `part_to_stored`. Raises ValueError for an unknown type."""
    kind = _KINDS.get(row.get("type", ""))
    if kind is None:
        raise ValueError(f"unknown part type {row.get('type')!r}")
    return kind(**row)


def text_of(parts: Iterable[Part]) -> str:
    """The content of a message: its text parts joined."""
    return "".join(part.text for part in parts if isinstance(part, TextPart))
