"""Items: what stands in the output of a response, and in a conversation.

Calls that are made here are `mcp_call`, the protocol's form for what a server has run: a client runs every
`function_call` itself. Source: `ItemField` of the Open Responses document; for `mcp_*`, which it does not have, the
types of PyPI `openai` 3.57.0 (`types/responses/response_output_item.py`). Both read 2026-11-29.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

from ai_agents.core import json
from ai_agents.core.rows import Message
from ai_agents.core.types import JsonObject
from app.doors.responses.ids import call_item_id, reasoning_item_id, text_item_id

TextKind = Literal["text", "reasoning"]

# What stands for the server of a tool that belongs to no MCP server.
OWN_SERVER = "ai-agents"


def in_namespace(namespace: str, name: str) -> str:
    """The name of a function of the client that is in a namespace, as models are told it."""
    return f"{namespace}__{name}"


def function_item(call: Mapping[str, Any], status: str, namespaces: Sequence[str] = ()) -> JsonObject:
    """A call that the client makes. `namespaces` are those of its functions."""
    item: JsonObject = {
        "type": "function_call",
        "id": call_item_id("fc", call["tool_call_id"]),
        "call_id": call["tool_call_id"],
        "name": call["name"],
        "arguments": json.dumps(call["arguments"]),
        "status": status,
    }
    for namespace in namespaces:
        if call["name"].startswith(prefix := in_namespace(namespace, "")):
            item |= {"name": call["name"].removeprefix(prefix), "namespace": namespace}
    return item


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


def approval_answer_item(call: Mapping[str, Any], *, approved: bool) -> JsonObject:
    """What a person decided on a call."""
    return {
        "type": "mcp_approval_response",
        "id": call_item_id("mcpa", call["tool_call_id"]),
        "approval_request_id": call_item_id("mcpr", call["tool_call_id"]),
        "approve": approved,
        "reason": None,
    }


def message_items(
    message: Message, client_calls: Collection[str], results: Mapping[str, JsonObject]
) -> list[JsonObject]:
    """What a message is in a conversation.

    `client_calls` are the ids of the calls that the client made; `results` are the results of others, by their calls.
    """
    match message["role"]:
        case "user":
            return [_user_item(message)]
        case "tool":
            return [
                function_output_item(part)
                for part in message["parts"]
                if part["type"] == "tool_result" and part["tool_call_id"] in client_calls
            ]
    found: list[JsonObject] = []
    status = "completed" if message["status"] == "completed" else "incomplete"
    numbers: Counter[str] = Counter()
    for kind, text in texts_of(message["parts"]):
        nth = numbers[kind]
        numbers[kind] += 1
        if kind == "text":
            found.append(text_item(text_item_id(message["id"], nth), status, [text_part(text)]))
        else:
            found.append(reasoning_item(reasoning_item_id(message["id"], nth), [summary_part(text)]))
    for part in message["parts"]:
        if part["type"] == "tool_call":
            if part["tool_call_id"] in client_calls:
                found.append(function_item(part, "completed"))
            else:
                result = results.get(part["tool_call_id"])
                found.append(mcp_item(part) | (call_output(result) if result else {"status": "incomplete"}))
    return found


def texts_of(parts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[TextKind, str]]:
    """The texts and reasonings of a message in their order; what follows each other of one kind is one."""
    said = [each for each in parts if each["type"] in ("text", "reasoning") and each["text"]]
    for kind, group in groupby(said, key=lambda each: each["type"]):
        yield kind, "".join(each["text"] for each in group)


def text_item(item_id: str, status: str, content: list[JsonObject]) -> JsonObject:
    """A text of the assistant."""
    return {"type": "message", "id": item_id, "status": status, "role": "assistant", "content": content}


def text_part(text: str) -> JsonObject:
    """The text in the item of one."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning_item(item_id: str, summary: list[JsonObject]) -> JsonObject:
    """A reasoning of the assistant."""
    return {"type": "reasoning", "id": item_id, "summary": summary}


def summary_part(text: str) -> JsonObject:
    """The text in the item of a reasoning."""
    return {"type": "summary_text", "text": text}


def _user_item(message: Message) -> JsonObject:
    content: list[JsonObject] = []
    for part in message["parts"]:
        if part["type"] == "text":
            content.append({"type": "input_text", "text": part["text"]})
        elif part["type"] == "file" and part["media_type"].startswith("image/"):
            content.append({"type": "input_image", "image_url": None, "file_id": part["file_id"], "detail": "auto"})
        elif part["type"] == "file":
            content.append({"type": "input_file", "file_id": part["file_id"], "filename": part["filename"]})
    item_id = text_item_id(message["id"], 0)
    return {"type": "message", "id": item_id, "status": "completed", "role": "user", "content": content}


def as_text(result: Any) -> str:
    """A result as this protocol has it: text, or JSON as text."""
    return result if isinstance(result, str) else json.dumps(result)


def _server_and_tool(name: str) -> tuple[str, str]:
    label, slash, tool = name.partition("/")
    return (label, tool) if slash else (OWN_SERVER, name)
