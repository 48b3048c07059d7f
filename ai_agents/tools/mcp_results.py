"""What an MCP server answers to a call, as a value that a model can be shown."""

from typing import Any

_MAX_WORD = 200


def to_value(result: Any) -> Any:
    """The structured content where there is some, else the texts; what is neither is named and not shown."""
    structured = getattr(result, "structured_content", None)
    if structured is not None and not result.is_error:
        # The SDK's servers wrap what is no object of itself.
        if isinstance(structured, dict) and structured.keys() == {"result"}:
            return structured["result"]
        return structured
    return "\n".join(_text(block) for block in getattr(result, "content", ()))


def _text(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{_word(block.mime_type)}, about {len(block.data) * 3 // 4} bytes, not shown]"
        case "resource":
            text = getattr(block.resource, "text", None)
            return str(text) if text is not None else f"[a file, {_word(block.resource.uri)}, not shown]"
        case "resource_link":
            return f"[a link: {_word(block.uri)}]"
        case kind:
            return f"[{_word(kind)}, not shown]"


def _word(said: Any) -> str:
    """What a server says within a note of ours: it ends neither the note nor the line."""
    return "".join("." if letter in "[]" or not letter.isprintable() else letter for letter in str(said)[:_MAX_WORD])
