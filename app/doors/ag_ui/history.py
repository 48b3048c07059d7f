"""Messages of a thread as AG-UI's messages. Pure.

A tool message has an id made of its call's, since the event of a result has none of its message; reasoning, which is a
part of a message here, is a message of its own there.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ai_agents.core import json
from ai_agents.core.rows import Message
from ai_agents.core.types import JsonObject

# In the metadata of a message that came from such a client, its id there.
OWN_ID = "ag_ui_id"


def result_id(tool_call_id: str) -> str:
    """The id of the message with a call's result."""
    return f"result-{tool_call_id}"


def reasoning_id(message_id: str, number: int) -> str:
    """The id of a message's reasoning, of which there may be several."""
    return f"reasoning-{message_id}-{number}"


def as_text(result: object) -> str:
    """A result as text: JSON, unless it is one."""
    return result if isinstance(result, str) else json.dumps(result)


def to_call(part: JsonObject) -> JsonObject:
    """A call as a member of `toolCalls`."""
    function = {"name": part["name"], "arguments": json.dumps(part["arguments"])}
    return {"id": part["tool_call_id"], "type": "function", "function": function}


def result_message(part: JsonObject) -> JsonObject:
    """A result as a message. `part` is a part of a message, or the data of `tool.completed`."""
    content = as_text(part["result"])
    found = {
        "id": result_id(part["tool_call_id"]),
        "role": "tool",
        "toolCallId": part["tool_call_id"],
        "content": content,
    }
    return found | ({"error": content} if part["is_error"] else {})


def to_messages(messages: Sequence[Message]) -> list[JsonObject]:
    """What a client has of these messages, without answers that others have superseded."""
    stand = [message for message in messages if not message.get("superseded")]
    return [found for message in stand for found in message_to_ag_ui(message)]


def message_to_ag_ui(message: Mapping[str, Any]) -> Iterator[JsonObject]:
    """What a client has of a message; files of a user's message by their names."""
    parts: Sequence[JsonObject] = message["parts"]
    if message["role"] == "tool":
        yield from (result_message(part) for part in parts if part["type"] == "tool_result")
        return
    if message["role"] == "user":
        named = [part["text"] if part["type"] == "text" else f"[{part['filename']}]" for part in parts]
        own = (message["metadata"] or {}).get(OWN_ID) or message["id"]
        yield {"id": own, "role": "user", "content": "\n".join(named)}
        return
    thoughts = [part["text"] for part in parts if part["type"] == "reasoning"]
    for number, text in enumerate(thoughts):
        yield {"id": reasoning_id(message["id"], number), "role": "reasoning", "content": text}
    found: JsonObject = {"id": message["id"], "role": "assistant"}
    if text := "".join(part["text"] for part in parts if part["type"] == "text"):
        found["content"] = text
    if calls := [to_call(part) for part in parts if part["type"] == "tool_call"]:
        found["toolCalls"] = calls
    yield found


def snapshots(known: Sequence[str], messages: list[JsonObject]) -> list[list[JsonObject]]:
    """What brings a client that has messages with the `known` ids to these messages, in their order.

    A client keeps those of a snapshot that it has where they stand, and adds the others at its end. So what comes too
    early there is taken away first. Source: npm `@ag-ui/client` 1.0.0, `defaultApplyEvents` (read 2026-11).
    """
    ids = [message["id"] for message in messages]
    there = set(ids)
    kept = [each for each in known if each in there]
    same = next((n for n, pair in enumerate(zip(kept, ids, strict=False)) if pair[0] != pair[1]), len(kept))
    return [messages] if same == len(kept) else [messages[:same], messages]
