"""Marks of deleted files in the messages that refer to them, and in the log rows that report those messages."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from ai_agents.core import json
from ai_agents.core.types import JsonObject, LogRow
from ai_agents.store import files, thread_log
from ai_agents.store.models import MessageFileTable, MessageTable

# Threads of one look. Each is marked in a transaction of its own, so that its writers wait a moment at most.
_PAGE = 100


def list_threads(connection: Connection, file_id: str, *, after_id: str = "") -> list[str]:
    """A page of the threads with messages that refer to the file, ascending by id."""
    thread_id = MessageFileTable.thread_id
    found = select(thread_id).where(MessageFileTable.file_id == file_id, thread_id > after_id)
    return list(connection.scalars(found.distinct().order_by(thread_id).limit(_PAGE)))


def mark_in_thread(connection: Connection, thread_id: str, file_id: str) -> None:
    """Mark the file as deleted wherever a message of this thread refers to it.

    What is known of its content is removed from those messages, of queued ones too, and readers who come later get the
    log as it is then. Locks the thread for other writers.
    """
    if not thread_log.try_lock(connection, thread_id):
        return
    refers = select(MessageFileTable.message_id).where(
        MessageFileTable.file_id == file_id, MessageFileTable.thread_id == thread_id
    )
    found = select(MessageTable.id, MessageTable.seq, MessageTable.parts).where(MessageTable.id.in_(refers))
    told: list[int] = []
    for row in connection.execute(found).all():
        parts = [_marked(part) if part.get("file_id") == file_id else part for part in row.parts]
        if parts != row.parts:
            connection.execute(update(MessageTable).where(MessageTable.id == row.id).values(parts=parts))
            # A message has the number of the log row that reports it.
            told += [] if row.seq is None else [row.seq]
    for seq in told:
        if (told_by := thread_log.find_row(connection, thread_id, seq)) is not None:
            _mark_in_log(connection, told_by, file_id)


def forget_deleted(connection: Connection, parts: Sequence[Sequence[JsonObject]]) -> list[list[JsonObject]]:
    """Stored parts of messages, with the files that were deleted meanwhile marked. Holds the others, as `hold_files`.

    For a copy of messages: a deletion marks them before, or waits until it finds the copies, too.
    """
    asked = {part["file_id"] for each in parts for part in each if part["type"] == "file"}
    held = files.hold_files(connection, asked)
    gone = asked - {file_id for file_id, part in held.items() if not part.deleted}
    return [[_marked(part) if part.get("file_id") in gone else part for part in each] for each in parts]


def _mark_in_log(connection: Connection, row: LogRow, file_id: str) -> None:
    event = json.loads(row.data)
    for name in ("message", "user_message"):
        if name in event:
            parts = event[name]["parts"]
            event[name]["parts"] = [_marked(part) if part.get("file_id") == file_id else part for part in parts]
    thread_log.rewrite(connection, row, json.dumps(event))


def _marked(part: Mapping[str, Any]) -> JsonObject:
    return {name: value for name, value in part.items() if name != "facts"} | {"deleted": True}
