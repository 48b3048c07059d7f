"""Messages of a thread as the AI SDK's: all that a run has said is one message. Pure."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ai_agents.core.rows import Message
from ai_agents.core.types import JsonObject


def to_ui_messages(messages: Sequence[Message]) -> list[JsonObject]:
    """The messages, as `useChat` takes them at its start, without answers that others have superseded."""
    found: list[JsonObject] = []
    stand = [message for message in messages if not message.get("superseded")]
    for (is_user, _run_id), group in groupby(stand, key=lambda each: (each["role"] == "user", each["run_id"])):
        if is_user:
            found.extend(_user_message(message) for message in group)
        else:
            found.append(_answer(list(group)))
    return found


def _user_message(message: Message) -> JsonObject:
    parts = [
        {"type": "text", "text": part["text"]}
        if part["type"] == "text"
        else {
            "type": "file",
            "mediaType": part["media_type"],
            "filename": part["filename"],
            "url": f"/files/{part['file_id']}/content",
        }
        for part in message["parts"]
        if part["type"] in ("text", "file")
    ]
    return {"id": message["id"], "role": "user", "parts": parts}


def _answer(messages: Sequence[Message]) -> JsonObject:
    """What a run has said and done. Its id is the run's, as in its stream."""
    results: dict[str, Mapping[str, Any]] = {
        part["tool_call_id"]: part for message in messages for part in message["parts"] if part["type"] == "tool_result"
    }
    parts: list[JsonObject] = []
    for message in messages:
        if message["role"] == "assistant":
            parts.append({"type": "step-start"})
            parts.extend(_part(part, results) for part in message["parts"])
    return {"id": messages[0]["run_id"] or messages[0]["id"], "role": "assistant", "parts": parts}


def _part(part: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> JsonObject:
    if part["type"] != "tool_call":
        return {"type": part["type"], "text": part["text"], "state": "done"}
    found: JsonObject = {
        "type": "dynamic-tool",
        "toolName": part["name"],
        "toolCallId": part["tool_call_id"],
        "input": part["arguments"],
        "providerExecuted": True,
    }
    result = results.get(part["tool_call_id"])
    if result is None:
        return found | {"state": "input-available"}
    if result["is_error"]:
        return found | {"state": "output-error", "errorText": str(result["result"])}
    return found | {"state": "output-available", "output": result["result"]}
