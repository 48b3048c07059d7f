"""The records of an export: rows of tables, each as a line of JSON that says which it is.

An agent is a record `agent`, its `agent_version`s and `role`s, and `agent_end`; a thread `thread`, its `summary`s,
`event`s, `message`s, `run`s, `feedback` and `role`s, and `thread_end`; a file `file` and its `file_content`. The first
line is the header, the last one `end`. What belongs to one installation is in none of them: leases, keys, what counts
for quotas.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast, get_args

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, String, Table

from ai_agents.core import json
from ai_agents.core.events import LastingEventType
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.ids import format_time, is_id
from ai_agents.core.parts import part_from_stored
from ai_agents.core.types import JsonObject, MessageRole, MessageStatus, ResourceType, RoleName, RunStatus
from ai_agents.store.access_tables import RoleAssignmentTable
from ai_agents.store.feedback_tables import FeedbackTable
from ai_agents.store.models import (
    AgentTable,
    AgentVersionTable,
    FileTable,
    MessageTable,
    RunTable,
    SummaryTable,
    ThreadEventTable,
    ThreadTable,
)

# Which record a line is.
KIND = "record"
HEADER = "ai_agents_export"
FORMAT = 1
TABLES: Mapping[str, Table] = {
    "agent": cast(Table, AgentTable.__table__),
    "agent_version": cast(Table, AgentVersionTable.__table__),
    "file": cast(Table, FileTable.__table__),
    "thread": cast(Table, ThreadTable.__table__),
    "summary": cast(Table, SummaryTable.__table__),
    "event": cast(Table, ThreadEventTable.__table__),
    "message": cast(Table, MessageTable.__table__),
    "run": cast(Table, RunTable.__table__),
    "feedback": cast(Table, FeedbackTable.__table__),
    "role": cast(Table, RoleAssignmentTable.__table__),
}
# Columns that say something of the installation alone. They get their defaults again.
_LEFT_OUT: Mapping[str, frozenset[str]] = {
    "agent_version": frozenset({"counted_for"}),
    "file": frozenset({"token_id", "expires_at"}),
    "thread": frozenset({"counted_for", "expires_at", "activity_hour", "log_since_hour"}),
    "message": frozenset({"search"}),
    "run": frozenset(
        {"lease_owner", "lease_expires_at", "fence", "key_id", "cancel_requested", "queue_position", "trace"}
    ),
}
# What columns are where an export is older than they are.
_BEFORE: Mapping[tuple[str, str], int] = {("thread", "trimmed_seq"): 0}
_WORDS: Mapping[tuple[str, str], frozenset[str]] = {
    ("message", "role"): frozenset(get_args(MessageRole)),
    ("message", "status"): frozenset(get_args(MessageStatus)),
    ("run", "status"): frozenset(get_args(RunStatus)),
    ("event", "type"): frozenset(get_args(LastingEventType)),
    ("role", "role"): frozenset(get_args(RoleName)),
    ("role", "resource_type"): frozenset(get_args(ResourceType)),
}
_TEXTS = {
    "text": ("text",),
    "reasoning": ("text",),
    "file": ("file_id", "filename", "media_type"),
    "tool_call": ("tool_call_id", "name"),
    "tool_result": ("tool_call_id", "name"),
}
_OBJECTS = frozenset({"spec", "metadata", "facts"})
# Other texts of a bounded length are shorter or longer.
_ID_LENGTH = 36
_INTEGERS = {Integer: 2**31, BigInteger: 2**63}


class BadRecord(InvalidRequest):
    """A record has not the form that its type has. The message says where."""


def columns_of(kind: str) -> list[Column[Any]]:
    """The columns of a record's table that are in the record."""
    left_out = _LEFT_OUT.get(kind, frozenset())
    return [column for column in TABLES[kind].columns if column.name not in left_out]


def to_line(kind: str, values: Mapping[str, Any]) -> str:
    """A record as a line, without its end."""
    return json.dumps({KIND: kind, **values})


def row_to_line(kind: str, row: Mapping[Any, Any]) -> str:
    """A row as a record. An event has its data as JSON."""
    values: dict[str, Any] = {str(column.name): row[column.name] for column in columns_of(kind)}
    if kind == "event":
        values["data"] = json.loads(values["data"])
    return to_line(kind, values)


def parse_line(line: bytes) -> JsonObject:
    """The record of a line. Raises `BadRecord`."""
    try:
        found = json.loads(line)
    except ValueError as error:
        raise BadRecord("it is no JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get(KIND), str):
        raise BadRecord(f"it is no object with a `{KIND}`")
    return found


def to_row(kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a record, by the names of its columns. Raises `BadRecord`."""
    columns = {str(column.name): column for column in columns_of(kind)}
    unknown = record.keys() - columns.keys() - {KIND}
    if unknown:
        raise BadRecord(f"{kind}: {min(unknown)} is not known")
    row = {name: _checked(kind, column, record.get(name)) for name, column in columns.items()}
    if kind == "message":
        check_parts(row["parts"])
    return row


def _checked(kind: str, column: Column[Any], value: Any) -> Any:
    name = f"{kind}.{column.name}"
    if value is None:
        if (before := _BEFORE.get((kind, column.name))) is not None:
            return before
        if not column.nullable:
            raise BadRecord(f"{name} is missing")
        return None
    if kind == "event" and column.name == "data":
        if not isinstance(value, dict):
            raise BadRecord(f"{name} is no object")
        return json.dumps(value)
    words = _WORDS.get((kind, column.name))
    if words is not None and not (isinstance(value, str) and value in words):
        raise BadRecord(f"{name} is none of {', '.join(sorted(words))}")
    checked = _checked_type(column, value, name)
    if isinstance(column.type, String) and column.type.length == _ID_LENGTH and not is_id(checked):
        raise BadRecord(f"{name} is no id")
    return checked


def _checked_type(column: Column[Any], value: Any, name: str) -> Any:
    if column.name.endswith("_at"):
        return _checked_time(value, name)
    kind = column.type
    if isinstance(kind, JSON):
        if column.name in _OBJECTS and not isinstance(value, dict):
            raise BadRecord(f"{name} is no object")
        return value
    match kind:
        case Boolean():
            right = isinstance(value, bool)
        case Float():
            right = isinstance(value, int | float) and not isinstance(value, bool)
        case Integer():
            most = _INTEGERS.get(type(kind), 2**15)
            right = type(value) is int and -most <= value < most
        case String():
            right = isinstance(value, str) and "\0" not in value and len(value) <= (kind.length or len(value))
        case _:
            right = False
    if not right:
        raise BadRecord(f"{name} has another form")
    return value


def _checked_time(value: Any, name: str) -> str:
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise ValueError
        return format_time(time)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRecord(f"{name} is no time of RFC 3339") from error


def check_parts(parts: Any) -> None:
    """Raises `BadRecord` unless these are parts of a message in their stored form."""
    if not isinstance(parts, list):
        raise BadRecord("message.parts is no list")
    for number, part in enumerate(parts):
        place = f"message.parts[{number}]"
        try:
            part_from_stored(part)
        except (TypeError, ValueError, AttributeError) as error:
            raise BadRecord(f"{place} is no part of a message") from error
        if not all(isinstance(part[name], str) for name in _TEXTS[part["type"]]):
            raise BadRecord(f"{place} has another form")
        if part["type"] == "tool_call" and not isinstance(part["arguments"], dict):
            raise BadRecord(f"{place} has another form")
        if part["type"] == "file" and not (type(part["size_bytes"]) is int and is_id(part["file_id"])):
            raise BadRecord(f"{place} has another form")
