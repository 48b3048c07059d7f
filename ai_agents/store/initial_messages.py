"""What a thread starts from: messages that its maker gave, or the history of the thread that it is forked from.

They become rows `message.completed` of the new log, numbered from 1, and belong to no run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.parts import part_from_stored, part_to_stored
from ai_agents.core.types import FilePart, JsonObject, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from ai_agents.store import files, thread_log
from ai_agents.store.messages import insert_messages
from ai_agents.store.models import MessageTable
from ai_agents.store.thread_log import Entry

# Messages per statement: enough to make a round trip cheap, few enough to be small.
_BATCH = 500
# Which parts a role can have, and the types of their fields; no other field may come from outside.
_PARTS: Mapping[str, tuple[type[Part], ...]] = {
    "user": (TextPart, FilePart),
    "assistant": (TextPart, ReasoningPart, ToolCallPart),
    "tool": (ToolResultPart,),
}
_FIELDS: Mapping[type[Part], Mapping[str, type]] = {
    TextPart: {"text": str},
    FilePart: {"file_id": str, "filename": str, "media_type": str, "size_bytes": int},
    ReasoningPart: {"text": str},
    ToolCallPart: {"tool_call_id": str, "name": str, "arguments": dict},
    ToolResultPart: {"tool_call_id": str, "name": str, "result": object, "is_error": bool},
}

# A file may be named by its id alone.
_UNKNOWN_FILE = {"filename": "", "media_type": "", "size_bytes": 0}


@dataclass(frozen=True, slots=True)
class Beginning:
    """One message that a thread starts from. `parts` are in their stored form; `from_seq` is its place elsewhere."""

    role: str
    parts: Sequence[JsonObject]
    user_id: str | None
    metadata: Mapping[str, Any]
    created_at: str
    status: str = "completed"
    from_seq: int = 0


def from_messages(
    connection: Connection,
    messages: Sequence[Mapping[str, Any]],
    *,
    user_id: str | None,
    known_files: Mapping[str, FilePart] | None = None,
) -> list[Beginning]:
    """Messages as a client gives them: `{"role", "content"}`, content a text or parts, and perhaps `metadata`.

    `user_id` is who said what users say. Of a file only its `file_id` counts, whoever may read it: the rest is as in
    `known_files`, else as the file has it. Raises `InvalidRequest`, which names the place.
    """
    now = utc_now()
    found = [_from_message(message, ("messages", index), user_id, now) for index, message in enumerate(messages)]
    return _with_files(connection, found, known_files or {})


def from_history(connection: Connection, thread_id: str, *, through_seq: int) -> list[Beginning]:
    """The messages of a thread through one of them, as they are, whoever said them and when."""
    statement = (
        select(
            MessageTable.role,
            MessageTable.parts,
            MessageTable.user_id,
            MessageTable.meta,
            MessageTable.created_at,
            MessageTable.status,
            MessageTable.seq.label("from_seq"),
        )
        .where(MessageTable.thread_id == thread_id, MessageTable.seq <= through_seq)
        .order_by(MessageTable.seq)
    )
    return [Beginning(**row) for row in connection.execute(statement).mappings()]


def insert(connection: Connection, thread_id: str, beginning: Sequence[Beginning]) -> None:
    """Write the messages and the log rows that tell of them, from number 1 on."""
    for start in range(0, len(beginning), _BATCH):
        rows = [
            {
                "id": new_id(),
                "thread_id": thread_id,
                "run_id": None,
                "seq": seq,
                "role": message.role,
                "parts": list(message.parts),
                "status": message.status,
                "user_id": message.user_id,
                "usage": None,
                "cost": None,
                "metadata": dict(message.metadata),
                "created_at": message.created_at,
            }
            for seq, message in enumerate(beginning[start : start + _BATCH], start + 1)
        ]
        told = [
            Entry("message.completed", facts={"message": public}, resets=True)
            for public in insert_messages(connection, rows)
        ]
        thread_log.write(connection, thread_id, start + 1, told)


def _with_files(connection: Connection, beginning: list[Beginning], given: Mapping[str, FilePart]) -> list[Beginning]:
    """The messages with what is known of the files in them in place of what their maker says of them."""
    asked = {part["file_id"] for message in beginning for part in message.parts if part["type"] == "file"}
    if not asked:
        return beginning
    held = files.hold_files(connection, asked)
    known = {file_id: part_to_stored(given.get(file_id, part)) for file_id, part in held.items()}
    for number, message in enumerate(beginning):
        for index, part in enumerate(message.parts):
            if part["type"] == "file" and part["file_id"] not in known:
                raise InvalidRequest("There is no such file.", loc=("messages", number, "content", index, "file_id"))
    return [
        replace(message, parts=[known[part["file_id"]] if part["type"] == "file" else part for part in message.parts])
        for message in beginning
    ]


def _from_message(message: Mapping[str, Any], loc: tuple[str | int, ...], user_id: str | None, now: str) -> Beginning:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in _PARTS:
        raise InvalidRequest("A message's role is user, assistant or tool.", loc=(*loc, "role"))
    given = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(given, Sequence) or not given or content == "":
        raise InvalidRequest("A message's content is a text or parts, and not empty.", loc=(*loc, "content"))
    parts = [_checked_part(part, role, (*loc, "content", index)) for index, part in enumerate(given)]
    metadata = message.get("metadata") or {}
    return Beginning(role, parts, user_id if role == "user" else None, metadata, now)


def _checked_part(given: Any, role: str, loc: tuple[str | int, ...]) -> JsonObject:
    """The part as it is stored, made safe for every database. Raises `InvalidRequest`."""
    if isinstance(given, Mapping) and given.get("type") == "file":
        given = {**_UNKNOWN_FILE, **given}
    try:
        part = part_from_stored(given)
        fields = _FIELDS[type(part)]
        right = given.keys() <= {"type", *fields} and isinstance(part, _PARTS[role])
        if not right or not all(isinstance(getattr(part, name), kind) for name, kind in fields.items()):
            raise ValueError
        stored: JsonObject = json.loads(json.dumps(part_to_stored(part)))
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidRequest(f"A message of role {role} cannot have this part.", loc=loc) from error
    return stored
