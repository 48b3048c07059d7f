"""Writing what is imported. A thread is temporary until all of it is there: in no list, and removed if it stays so.

Rows that are there already are left as they are. So an import that was broken off goes on where it was, and a second
one changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from sqlalchemy import Connection, delete, insert, select, tuple_, update

from ai_agents.core import json
from ai_agents.core.events import event_data
from ai_agents.core.ids import format_time, new_id, utc_now
from ai_agents.core.limits import NO_LIMITS
from ai_agents.core.table_rows import MessageRow, RunRow
from ai_agents.core.types import JsonObject
from ai_agents.moving.records import TABLES, BadRecord
from ai_agents.store import files, roles, runs, thread_log, totals
from ai_agents.store.agents import DEFAULTS
from ai_agents.store.messages import insert_messages, place_message
from ai_agents.store.thread_log import Entry

Row = Mapping[str, Any]
# An import that was broken off may go on for so long.
_KEPT = timedelta(days=2)
_KEYS = {
    "summary": ("thread_id", "covers_through_seq", "number"),
    "event": ("thread_id", "seq"),
    "message": ("id",),
    "run": ("id",),
    "feedback": ("id",),
}
# What a row has that no record has.
_OWN: Mapping[str, Row] = {"run": {"fence": 0, "cancel_requested": False}}
_AGENTS, _THREADS, _FILES = (TABLES[kind] for kind in ("agent", "thread", "file"))


def has(connection: Connection, kind: Literal["agent", "file"], id: str) -> bool:  # as everywhere in rows
    """Whether there is such an agent or file."""
    table = TABLES[kind]
    return connection.scalar(select(table.c.id).where(table.c.id == id)) is not None


def check_spec(spec: JsonObject) -> None:
    """Raises `BadRecord` unless an agent can have these fields."""
    if spec.keys() - DEFAULTS.keys():
        raise BadRecord(f"an agent has no field {min(spec.keys() - DEFAULTS.keys())}")
    if not isinstance(spec.get("name"), str):
        raise BadRecord("an agent has a name")
    for name, value in spec.items():
        default = DEFAULTS[name]
        if isinstance(default, dict | list) and not isinstance(value, type(default)):
            raise BadRecord(f"an agent's {name} has another form")
        if name in ("description", "system_prompt", "provider", "model") and not isinstance(value, str | None):
            raise BadRecord(f"an agent's {name} has another form")


def write_agent(
    connection: Connection, agent: Row, versions: Sequence[Row], given: Sequence[Row], *, owner_id: str | None
) -> None:
    """Write an agent with its versions and roles; with `owner_id`, that of its owner instead of those.

    Its versions count for the owner. Raises `BadRecord`.
    """
    if agent["version"] not in {version["version"] for version in versions}:
        raise BadRecord(f"its version {agent['version']} is missing")
    for row in (agent, *versions):
        check_spec(row["spec"])
    connection.execute(insert(_AGENTS), dict(agent))
    payer = owner_id or _first_owner(given)
    counted = {"counted_for": payer or totals.NO_USER}
    connection.execute(insert(TABLES["agent_version"]), [{**version, **counted} for version in versions])
    if agent["deleted_at"] is None:
        _write_roles(connection, "agent", agent["id"], given, owner_id)
    totals.add(connection, payer, NO_LIMITS, {"agent_versions": len(versions)})


def begin_thread(connection: Connection, thread: Row) -> bool:
    """Write the row of a thread, which is temporary until `end_thread`. False if the thread is there already.

    Raises `BadRecord` where its agent is not there.
    """
    found = connection.execute(select(_THREADS.c.expires_at).where(_THREADS.c.id == thread["id"])).one_or_none()
    if found is not None:
        return found.expires_at is not None
    if not has(connection, "agent", thread["agent_id"]):
        raise BadRecord(f"its agent {thread['agent_id']} is not here")
    row = {**thread, "counted_for": totals.NO_USER, "expires_at": format_time(datetime.now(UTC) + _KEPT)}
    row["activity_hour"] = thread_log.activity_hour(thread["last_activity_at"])
    row["log_since_hour"] = thread_log.activity_hour(thread["created_at"])
    connection.execute(insert(_THREADS), row)
    return True


def write_rows(connection: Connection, kind: str, rows: Sequence[Row]) -> int:
    """Write rows of a thread that are not there yet; how many."""
    table, names = TABLES[kind], _KEYS[kind]
    keys = [tuple(row[name] for name in names) for row in rows]
    columns = [table.c[name] for name in names]
    there = {tuple(row) for row in connection.execute(select(*columns).where(tuple_(*columns).in_(keys)))}
    missing = {key: row for key, row in zip(keys, rows, strict=True) if key not in there}
    if not missing:
        return 0
    if kind == "message":
        _hold_files(connection, list(missing.values()))
        insert_messages(connection, cast("Sequence[MessageRow]", list(missing.values())))
    else:
        connection.execute(insert(table), [{**row, **_OWN.get(kind, {})} for row in missing.values()])
    return len(missing)


def end_thread(
    connection: Connection, thread_id: str, given: Sequence[Row], unfinished: Sequence[Row], *, owner_id: str | None
) -> None:
    """End a thread's import: unfinished runs are cancelled, its roles are written, and it is in lists from now on."""
    for run in sorted(unfinished, key=lambda row: str(row["id"])):
        _cancel(connection, run)
    _write_roles(connection, "thread", thread_id, given, owner_id)
    payer = owner_id or _first_owner(given)
    done = {"expires_at": None, "counted_for": payer or totals.NO_USER}
    connection.execute(update(_THREADS).where(_THREADS.c.id == thread_id).values(done))
    totals.add(connection, payer, NO_LIMITS, {"threads": 1})


def set_last_seq(connection: Connection, thread_id: str, seq: int) -> None:
    """Say how many rows the log of a thread has that is being imported."""
    connection.execute(update(_THREADS).where(_THREADS.c.id == thread_id).values(last_seq=seq))


def drop_thread(connection: Connection, thread_id: str) -> None:
    """Remove a thread whose import failed."""
    connection.execute(delete(_THREADS).where(_THREADS.c.id == thread_id, _THREADS.c.expires_at.is_not(None)))


def write_file(connection: Connection, row: Row) -> None:
    """Write the row of a file, whose bytes are stored, or that of a deleted one."""
    if row["deleted_at"] is None:
        files.lock_content(connection, row["sha256"])
        totals.add(connection, row["user_id"], NO_LIMITS, {"files": 1, "files_bytes": row["size_bytes"]})
    connection.execute(insert(_FILES), dict(row))


def tombstone(part: Row, user_id: str) -> JsonObject:
    """The row of a file whose content is not there. `part` is the file, or a message's part that refers to it."""
    return {
        "id": part.get("file_id") or part["id"],
        "user_id": user_id,
        "filename": part["filename"],
        "media_type": part["media_type"],
        "size_bytes": part["size_bytes"],
        "sha256": "",
        "facts": {},
        "created_at": part.get("created_at") or utc_now(),
        "deleted_at": part.get("deleted_at") or utc_now(),
    }


def _hold_files(connection: Connection, rows: Sequence[Row]) -> None:
    """Let every file that messages refer to have a row, and mark in the messages those that are deleted."""
    parts = {part["file_id"]: (part, row) for row in rows for part in row["parts"] if part["type"] == "file"}
    held = files.hold_files(connection, parts)
    for file_id, (part, row) in parts.items():
        if file_id not in held:
            connection.execute(insert(_FILES), tombstone(part, row["user_id"] or ""))
    gone = {file_id for file_id in parts if file_id not in held or held[file_id].deleted}
    for row in rows:
        for part in row["parts"]:
            if part["type"] == "file" and part["file_id"] in gone:
                part["deleted"] = True
                part.pop("facts", None)


def _cancel(connection: Connection, run: Row) -> None:
    """A run that was under way when it was exported is cancelled: no process has it.

    The messages that waited for it, or to join it, get their places.
    """
    thread_id: str = run["thread_id"]
    row = {**run, "status": "cancelled", "finished_at": utc_now(), "message_id": None, "steered": None}
    if not write_rows(connection, "run", [row]):
        return
    messages = TABLES["message"].c
    of_run = (messages.thread_id == thread_id, messages.run_id == run["id"], messages.seq.is_(None))
    waiting = connection.scalars(select(messages.id).where(*of_run).order_by(messages.id)).all()
    first = thread_log.reserve_and_see(connection, thread_id, len(waiting) + 1, quietly=True).first_seq
    placed = [place_message(connection, message_id, seq) for seq, message_id in enumerate(waiting, first)]
    discard = [] if run["message_id"] is None else [run["message_id"]]
    facts = {"run": runs.to_public(cast("RunRow", row)), "discard": discard}
    entries = [Entry("message.completed", run["id"], facts={"message": message}, resets=True) for message in placed]
    entries.append(Entry("run.cancelled", run["id"], facts=facts, resets=True))
    thread_log.write(connection, thread_id, first, entries)


def _write_roles(
    connection: Connection,
    kind: Literal["agent", "thread"],
    resource_id: str,
    given: Sequence[Row],
    owner_id: str | None,
) -> None:
    if owner_id is not None:
        roles.insert_role(connection, user_id=owner_id, role="owner", resource_type=kind, resource_id=resource_id)
        return
    table = TABLES["role"]
    if given:
        # An id of a role may be there already, of a thread that has been deleted since.
        connection.execute(insert(table), [{**row, "id": new_id()} for row in given])


def _first_owner(given: Sequence[Row]) -> str | None:
    return next((row["user_id"] for row in given if row["role"] == "owner"), None)


def event_row(thread_id: str, seq: int, message: Any, created_at: str) -> JsonObject:
    """The row of the log that tells of a message without a run."""
    data = event_data("message.completed", thread_id, None, {"message": message})
    return {
        "thread_id": thread_id,
        "seq": seq,
        "type": "message.completed",
        "run_id": None,
        "data": json.dumps(data),
        "resets": True,
        "created_at": created_at,
    }
