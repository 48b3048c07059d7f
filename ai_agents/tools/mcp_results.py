"""Results of MCP tools, read as servers really write them: a call that was made is not lost for an odd word."""

from typing import Any

from ai_agents.core import json
from ai_agents.core.types import JsonObject
from ai_agents.tools.base import ToolError

# The longest word of a server that is quoted in a note.
_MAX_QUOTED = 200
_ASKS_A_PERSON = "The tool asks for something that only a person can give it, and it cannot ask a person here."


def read_result(result: JsonObject) -> tuple[Any, bool]:
    """Return a result's value and whether it is an error.

    The value is the structured content if there is any, else the texts. Other content is named, not shown. Raises
    `ToolError` for a tool that asks for more.
    """
    if result.get("resultType") == "input_required" or "inputRequests" in result:
        raise ToolError(_ASKS_A_PERSON)
    is_error = result.get("isError") in (True, "true", 1)
    structured = result.get("structuredContent")
    if structured is not None and not is_error:
        # Servers of the SDK wrap a value that is not an object.
        is_wrapped = isinstance(structured, dict) and structured.keys() == {"result"}
        return (structured["result"] if is_wrapped else structured), False
    content = result.get("content")
    blocks = content if isinstance(content, list) else [] if content is None else [content]
    return "\n".join(map(_text, blocks)), is_error


def _text(block: Any) -> str:
    if not isinstance(block, dict):
        return block if isinstance(block, str) else json.dumps(block)
    match block.get("type"):
        case "text":
            text = block.get("text", "")
            return text if isinstance(text, str) else json.dumps(text)
        case "image" | "audio" as kind:
            size = len(block["data"]) * 3 // 4 if isinstance(block.get("data"), str) else 0
            return f"[{quotable(block.get('mimeType', kind))}, about {size} bytes, not shown]"
        case "resource":
            resource = block.get("resource")
            found = resource if isinstance(resource, dict) else {}
            text = found.get("text")
            return text if isinstance(text, str) else f"[a file, {quotable(found.get('uri', ''))}, not shown]"
        case "resource_link":
            return f"[a link: {quotable(block.get('uri', ''))}]"
        case kind:
            return f"[{quotable(kind)}, not shown]"


def quotable(said: Any) -> str:
    """Return a server's word for use in a note of ours. It can end neither the note nor the line."""
    return "".join("." if letter in "[]" or not letter.isprintable() else letter for letter in str(said)[:_MAX_QUOTED])
