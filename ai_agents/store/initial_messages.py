"""A new thread's initial messages: from the request that creates it, or from the thread that it is forked from.

They become rows `message.completed` of the new log, numbered from 1, and belong to no run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest, ThreadBusy
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.limits import NO_LIMITS, UserLimits
from ai_agents.core.parts import part_from_stored, part_to_stored
from ai_agents.core.table_rows import MessageRow
from ai_agents.core.types import (
    FilePart,
    JsonObject,
    MessageRole,
    MessageStatus,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from ai_agents.store import files, runs, thread_log, tombstones, totals
from ai_agents.store.messages import insert_messages
from ai_agents.store.models import MessageTable
from ai_agents.store.thread_log import Entry

# Messages per statement: enough to make a round trip cheap, few enough to be small.
_BATCH = 500
# Which parts a role can have, and the fields of each part that a request may contain, with their types.
_PARTS: Mapping[MessageRole, tuple[type[Part], ...]] = {
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

# A request may name a file by its id alone.
_UNKNOWN_FILE = {"filename": "", "media_type": "", "size_bytes": 0}


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """An initial message. `parts` are in their stored form; `from_seq` is its place in the thread that was forked."""

    role: MessageRole
    parts: Sequence[JsonObject]
    user_id: str | None
    metadata: Mapping[str, Any]
    created_at: str
    status: MessageStatus = "completed"
    from_seq: int = 0
    refused: bool = False
    id: str | None = None
    superseded: bool = False


def from_messages(
    connection: Connection,
    messages: Sequence[Mapping[str, Any]],
    *,
    user_id: str | None,
    known_files: Mapping[str, FilePart] | None = None,
) -> list[MessageDraft]:
    """Messages as a client gives them: `{"role", "content"}`, content a text or parts, and perhaps `metadata` and `id`.

    `user_id` is the author of the user messages. Of a file only the `file_id` is used, without a check of rights; the
    rest comes from `known_files` or from the stored file. Raises `InvalidRequest`, which names the place.
    """
    now = utc_now()
    found = [_from_message(message, ("messages", index), user_id, now) for index, message in enumerate(messages)]
    return _with_files(connection, found, known_files or {})


def from_history(connection: Connection, thread_id: str, *, through_seq: int) -> list[MessageDraft]:
    """The messages of a thread up to and including `through_seq`, unchanged. Their files stay until the commit.

    Where the last one is an answer that a retry has superseded, that answer counts in the copy, with its tool steps.
    """
    statement = (
        select(
            MessageTable.role,
            MessageTable.parts,
            MessageTable.user_id,
            MessageTable.meta,
            MessageTable.created_at,
            MessageTable.status,
            MessageTable.seq.label("from_seq"),
            MessageTable.refused,
            MessageTable.superseded,
            MessageTable.run_id,
        )
        .where(MessageTable.thread_id == thread_id, MessageTable.seq <= through_seq)
        .order_by(MessageTable.seq)
    )
    rows = connection.execute(statement).mappings().all()
    restored = rows[-1]["run_id"] if rows and rows[-1]["superseded"] else None
    drafts = [
        MessageDraft(
            **{name: value for name, value in row.items() if name not in ("run_id", "superseded")},
            superseded=row["superseded"] and (restored is None or row["run_id"] != restored),
        )
        for row in rows
    ]
    parts = tombstones.forget_deleted(connection, [draft.parts for draft in drafts])
    return [replace(draft, parts=its_parts) for draft, its_parts in zip(drafts, parts, strict=True)]


def insert(connection: Connection, thread_id: str, drafts: Sequence[MessageDraft], *, after_seq: int = 0) -> None:
    """Write the messages and their log rows, numbered from the one after `after_seq` on: these numbers are reserved."""
    for start in range(0, len(drafts), _BATCH):
        rows: list[MessageRow] = [
            {
                "id": message.id or new_id(),
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
                "refused": message.refused,
                "superseded": message.superseded,
            }
            for seq, message in enumerate(drafts[start : start + _BATCH], after_seq + start + 1)
        ]
        told = [
            Entry("message.completed", facts={"message": public}, resets=True)
            for public in insert_messages(connection, rows)
        ]
        thread_log.write(connection, thread_id, after_seq + start + 1, told)


def append(
    connection: Connection,
    thread_id: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    user_id: str | None,
    known_files: Mapping[str, FilePart] | None = None,
    limits: UserLimits = NO_LIMITS,
) -> None:
    """Add messages to a thread, without an answer; see `from_messages`.

    Raises `ThreadNotFound`, `ThreadBusy` while a run is under way, `InvalidRequest`, `QuotaExceeded`.
    """
    thread_log.lock(connection, thread_id)
    if (active := runs.find_active(connection, thread_id)) is not None:
        raise ThreadBusy(run_id=active["id"])
    drafts = from_messages(connection, messages, user_id=user_id, known_files=known_files)
    first = thread_log.reserve(connection, thread_id, len(drafts))
    totals.require_rows_in(connection, thread_id, limits, first + len(drafts) - 1, added=len(drafts))
    insert(connection, thread_id, drafts, after_seq=first - 1)


def _with_files(
    connection: Connection, drafts: list[MessageDraft], given: Mapping[str, FilePart]
) -> list[MessageDraft]:
    """The messages, with the stored facts about their files in place of what the request says."""
    asked = {part["file_id"] for message in drafts for part in message.parts if part["type"] == "file"}
    if not asked:
        return drafts
    held = files.hold_files(connection, asked)
    known = {file_id: part_to_stored(given.get(file_id, part)) for file_id, part in held.items() if not part.deleted}
    for number, message in enumerate(drafts):
        for index, part in enumerate(message.parts):
            if part["type"] == "file" and part["file_id"] not in known:
                raise InvalidRequest("There is no such file.", loc=("messages", number, "content", index, "file_id"))
    return [
        replace(message, parts=[known[part["file_id"]] if part["type"] == "file" else part for part in message.parts])
        for message in drafts
    ]


def _from_message(
    message: Mapping[str, Any], loc: tuple[str | int, ...], user_id: str | None, now: str
) -> MessageDraft:
    role = next((known for known in _PARTS if known == message.get("role")), None)
    content = message.get("content")
    if role is None:
        raise InvalidRequest("A message's role is user, assistant or tool.", loc=(*loc, "role"))
    given = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(given, Sequence) or not given or content == "":
        raise InvalidRequest("A message's content is a text or parts, and not empty.", loc=(*loc, "content"))
    parts = [_checked_part(part, role, (*loc, "content", index)) for index, part in enumerate(given)]
    metadata = message.get("metadata") or {}
    return MessageDraft(role, parts, user_id if role == "user" else None, metadata, now, id=message.get("id"))


def _checked_part(given: Any, role: MessageRole, loc: tuple[str | int, ...]) -> JsonObject:
    """The part in its stored form, which every database accepts. Raises `InvalidRequest`."""
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
