"""Items: what stands in the output of a response, and in a conversation.

Calls that are made here are `mcp_call`, the protocol's form for what a server has run: a client runs every
`function_call` itself. Source: `ItemField` of the Open Responses document; for `mcp_*`, which it does not have, the
types of PyPI `openai` 3.57.0 (`types/responses/response_output_item.py`). Both read 2026-11-29.
"""

from collections.abc import Mapping
from typing import Any

from ai_agents.core import json
from ai_agents.core.types import JsonObject
from app.doors.responses.ids import call_item_id

# What stands for the server of a tool that belongs to no MCP server.
OWN_SERVER = "ai-agents"


def function_item(call: Mapping[str, Any], status: str) -> JsonObject:
    """A call that the client makes."""
    return {
        "type": "function_call",
        "id": call_item_id("fc", call["tool_call_id"]),
        "call_id": call["tool_call_id"],
        "name": call["name"],
        "arguments": json.dumps(call["arguments"]),
        "status": status,
    }


def function_output_item(result: Mapping[str, Any]) -> JsonObject:
    """What the client answered to a call."""
    return {
        "type": "function_call_output",
        "id": call_item_id("fco", result["tool_call_id"]),
        "call_id": result["tool_call_id"],
        "output": as_text(result["result"]),
        "status": "completed",
    }


def approval_item(call: Mapping[str, Any]) -> JsonObject:
    """A call that waits for a person."""
    label, name = _server_and_tool(call["name"])
    return {
        "type": "mcp_approval_request",
        "id": call_item_id("mcpr", call["tool_call_id"]),
        "server_label": label,
        "name": name,
        "arguments": json.dumps(call["arguments"]),
    }


def mcp_item(call: Mapping[str, Any], *, is_approved: bool = False) -> JsonObject:
    """A call that is made here and has no result yet. `is_approved`: a person was asked before."""
    label, name = _server_and_tool(call["name"])
    return {
        "type": "mcp_call",
        "id": call_item_id("mcp", call["tool_call_id"]),
        "server_label": label,
        "name": name,
        "arguments": json.dumps(call["arguments"]),
        "status": "in_progress",
        "approval_request_id": call_item_id("mcpr", call["tool_call_id"]) if is_approved else None,
        "output": None,
        "error": None,
    }


def call_output(result: Mapping[str, Any]) -> JsonObject:
    """What the result of a call adds to its item."""
    text = as_text(result["result"])
    if result["is_error"]:
        content = [{"type": "text", "text": text}]
        return {"status": "failed", "error": {"type": "mcp_tool_execution_error", "content": content}}
    return {"status": "completed", "output": text}


def as_text(result: Any) -> str:
    """A result as this protocol has it: text, or JSON as text."""
    return result if isinstance(result, str) else json.dumps(result)


def _server_and_tool(name: str) -> tuple[str, str]:
    label, slash, tool = name.partition("/")
    return (label, tool) if slash else (OWN_SERVER, name)
