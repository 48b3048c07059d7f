"""What an MCP server answers to a call, as a value that a model can be shown."""

from typing import Any


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
            return f"[{block.mime_type}, about {len(block.data) * 3 // 4} bytes, not shown]"
        case "resource":
            text = getattr(block.resource, "text", None)
            return str(text) if text is not None else f"[a file, {block.resource.uri}, not shown]"
        case "resource_link":
            return f"[a link: {block.uri}]"
        case kind:
            return f"[{kind}, not shown]"
