"""The thread's log: append-only rows, numbered without gaps, written in the transaction of what they tell of.

It lives in the store since not only runs write it: a title, a deletion and a summary do too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from ai_agents.core import json
from ai_agents.core.events import EventType, event_data
from ai_agents.core.exceptions import ThreadNotFound
from ai_agents.core.ids import utc_now
from ai_agents.core.types import LogRow
from ai_agents.store.database import note_rows
from ai_agents.store.models import Thread, ThreadEvent


@dataclass(frozen=True, slots=True)
class Entry:
    """A row to be: its event and the facts it brings besides the common keys."""

    type: EventType
    run_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    resets: bool = False


def lock(connection: Connection, thread_id: str) -> None:
    """Make other writers of the thread wait until this transaction ends. Raises `ThreadNotFound`."""
    statement = select(Thread.last_seq).where(Thread.id == thread_id).with_for_update()
    if connection.execute(statement).scalar_one_or_none() is None:
        raise ThreadNotFound


def reserve(connection: Connection, thread_id: str, count: int) -> int:
    """Take the next `count` numbers; the first of them. Locks the thread, so writers of one thread follow one another.

    Raises `ThreadNotFound`.
    """
    statement = (
        update(Thread).where(Thread.id == thread_id).values(last_seq=Thread.last_seq + count).returning(Thread.last_seq)
    )
    last = connection.execute(statement).scalar_one_or_none()
    if last is None:
        raise ThreadNotFound
    return last - count + 1


def write(connection: Connection, thread_id: str, first_seq: int, entries: Sequence[Entry]) -> None:
    """Write entries under numbers that were reserved in this transaction."""
    now = utc_now()
    rows = [
        LogRow(
            thread_id=thread_id,
            seq=first_seq + offset,
            type=entry.type,
            run_id=entry.run_id,
            data=json.dumps(event_data(entry.type, thread_id, entry.run_id, entry.facts)),
            resets=entry.resets,
            created_at=now,
        )
        for offset, entry in enumerate(entries)
    ]
    connection.execute(
        insert(ThreadEvent),
        [
            {
                "thread_id": row.thread_id,
                "seq": row.seq,
                "type": row.type,
                "run_id": row.run_id,
                "data": row.data,
                "resets": row.resets,
                "created_at": row.created_at,
            }
            for row in rows
        ],
    )
    note_rows(connection, rows)


def append(connection: Connection, thread_id: str, *entries: Entry) -> int:
    """Reserve numbers for the entries and write them; the first number. Raises `ThreadNotFound`."""
    first = reserve(connection, thread_id, len(entries))
    write(connection, thread_id, first, entries)
    return first


_COLUMNS = (
    ThreadEvent.thread_id,
    ThreadEvent.seq,
    ThreadEvent.type,
    ThreadEvent.run_id,
    ThreadEvent.data,
    ThreadEvent.resets,
    ThreadEvent.created_at,
)


def list_after(
    connection: Connection, thread_id: str, seq: int, *, run_id: str | None = None, limit: int = 200
) -> list[LogRow]:
    """Rows after `seq` in order, at most `limit`; with `run_id` only that run's."""
    statement = select(*_COLUMNS).where(ThreadEvent.thread_id == thread_id, ThreadEvent.seq > seq)
    if run_id is not None:
        statement = statement.where(ThreadEvent.run_id == run_id)
    return [_from_row(row) for row in connection.execute(statement.order_by(ThreadEvent.seq).limit(limit)).mappings()]


def list_before(connection: Connection, thread_id: str, seq: int | None, *, limit: int) -> list[LogRow]:
    """Rows before `seq` (None: from the end), newest first."""
    statement = select(*_COLUMNS).where(ThreadEvent.thread_id == thread_id)
    if seq is not None:
        statement = statement.where(ThreadEvent.seq < seq)
    statement = statement.order_by(ThreadEvent.seq.desc()).limit(limit)
    return [_from_row(row) for row in connection.execute(statement).mappings()]


def exists(connection: Connection, thread_id: str) -> bool:
    """Whether the thread is there."""
    return connection.execute(select(Thread.id).where(Thread.id == thread_id)).scalar_one_or_none() is not None


def last_reset(connection: Connection, thread_id: str, seq: int) -> int:
    """The newest row up to `seq` that reset positions; 0 if there is none."""
    statement = (
        select(ThreadEvent.seq)
        .where(ThreadEvent.thread_id == thread_id, ThreadEvent.seq <= seq, ThreadEvent.resets)
        .order_by(ThreadEvent.seq.desc())
        .limit(1)
    )
    return connection.execute(statement).scalar_one_or_none() or 0


def find_row(connection: Connection, thread_id: str, seq: int) -> LogRow | None:
    """The row with this number."""
    statement = select(*_COLUMNS).where(ThreadEvent.thread_id == thread_id, ThreadEvent.seq == seq)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else _from_row(row)


def _from_row(row: RowMapping) -> LogRow:
    return LogRow(**row)
