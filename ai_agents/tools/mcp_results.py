"""Turns an MCP server's answer to a call into a value that a model can be shown."""

from typing import Any

_MAX_NAME = 200


def to_value(result: Any) -> Any:
    """Return the structured content if there is any, else the texts. Other content is named, not shown."""
    structured = getattr(result, "structured_content", None)
    if structured is not None and not result.is_error:
        # Servers of the SDK wrap a value that is not an object.
        if isinstance(structured, dict) and structured.keys() == {"result"}:
            return structured["result"]
        return structured
    return "\n".join(_text(block) for block in getattr(result, "content", ()))


def _text(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{_quotable(block.mime_type)}, about {len(block.data) * 3 // 4} bytes, not shown]"
        case "resource":
            text = getattr(block.resource, "text", None)
            return str(text) if text is not None else f"[a file, {_quotable(block.resource.uri)}, not shown]"
        case "resource_link":
            return f"[a link: {_quotable(block.uri)}]"
        case kind:
            return f"[{_quotable(kind)}, not shown]"


def _quotable(said: Any) -> str:
    """Return a server's word for use in a note of ours. It can end neither the note nor the line."""
    return "".join("." if letter in "[]" or not letter.isprintable() else letter for letter in str(said)[:_MAX_NAME])
