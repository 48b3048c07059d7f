"""The thread's log: rows, numbered without gaps, each written in the transaction of what it reports.

They are added at its end alone, and go from its beginning alone: see `log_trimming`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Connection, Integer, Table, bindparam, func, select, update

from ai_agents.core import json
from ai_agents.core.events import EventType, event_data
from ai_agents.core.exceptions import LogTrimmed, ThreadNotFound
from ai_agents.core.ids import utc_now
from ai_agents.core.types import CHANGED, LogRow
from ai_agents.store.models import ThreadEventTable, ThreadTable
from ai_agents.store.statements import prepared, prepared_insert
from ai_agents.store.transactions import LOG_ROWS, ON_ENTRIES


@dataclass(frozen=True, slots=True)
class Entry:
    """A row to be written: its event, and the event's own facts besides the common keys."""

    type: EventType
    run_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Reserved:
    """The first of the reserved numbers, and what the thread's row says besides.

    `titled`: the thread has a title. `summary_misses`: summaries that were not usable. `is_temporary`: the thread ends
    by itself.
    """

    first_seq: int
    titled: bool
    summary_misses: Mapping[str, int] | None
    is_temporary: bool


# A run's first row is one of these.
_BEGIN_RUNS = frozenset({"run.queued", "run.started"})
_NAMES = tuple(each.name for each in fields(LogRow))
_THREADS, _EVENTS = cast(Table, ThreadTable.__table__), cast(Table, ThreadEventTable.__table__)
_LOCK = prepared(select(_THREADS.c.last_seq).where(_THREADS.c.id == bindparam("b_thread")).with_for_update())
_NUMBER = (
    update(_THREADS)
    .where(_THREADS.c.id == bindparam("b_thread"))
    .values(last_seq=_THREADS.c.last_seq + bindparam("b_count", type_=Integer))
)
# Something happens in the thread: a message or a run.
_MOVE = _NUMBER.values(
    last_activity_at=bindparam("b_at", type_=_THREADS.c.last_activity_at.type),
    activity_hour=bindparam("b_hour", type_=Integer),
)
_RESERVE, _RESERVE_QUIETLY = (
    prepared(
        statement.returning(_THREADS.c.last_seq, _THREADS.c.title, _THREADS.c.summary_misses, _THREADS.c.expires_at)
    )
    for statement in (_MOVE, _NUMBER)
)
# Locks a user as well, after the thread: the same order everywhere.
_RESERVE_FOR_USER = prepared(
    _MOVE.returning(
        _THREADS.c.last_seq,
        _THREADS.c.title,
        # Its result is void, which no driver returns as a value.
        func.pg_advisory_xact_lock(bindparam("b_user", type_=BigInteger)).is_(None),
    )
)
_INSERT = prepared_insert(_EVENTS)
_OF_THREAD = select(_EVENTS).where(_EVENTS.c.thread_id == bindparam("b_thread"))
_AFTER_OF_ANY = (
    _OF_THREAD.where(_EVENTS.c.seq > bindparam("b_seq"))
    .order_by(_EVENTS.c.seq)
    .limit(bindparam("b_limit", type_=Integer))
)
_AFTER, _AFTER_OF_RUN = (
    prepared(statement) for statement in (_AFTER_OF_ANY, _AFTER_OF_ANY.where(_EVENTS.c.run_id == bindparam("b_run")))
)
_LAST_MOVE = prepared(
    select(
        func.coalesce(
            select(_EVENTS.c.created_at)
            .where(_EVENTS.c.thread_id == _THREADS.c.id, _EVENTS.c.run_id.is_not(None))
            .order_by(_EVENTS.c.seq.desc())
            .limit(1)
            .scalar_subquery(),
            _THREADS.c.created_at,
        )
    ).where(_THREADS.c.id == bindparam("b_thread"))
)
_LAST_RESET = prepared(
    select(_EVENTS.c.seq)
    .where(_EVENTS.c.thread_id == bindparam("b_thread"), _EVENTS.c.seq <= bindparam("b_seq"), _EVENTS.c.resets)
    .order_by(_EVENTS.c.seq.desc())
    .limit(1)
)


def lock(connection: Connection, thread_id: str) -> None:
    """Make other writers of the thread wait until this transaction ends. Raises `ThreadNotFound`."""
    if not try_lock(connection, thread_id):
        raise ThreadNotFound


def try_lock(connection: Connection, thread_id: str) -> bool:
    """As `lock`; False if there is no such thread."""
    return connection.execute(_LOCK, {"b_thread": thread_id}).scalar_one_or_none() is not None


def reserve(connection: Connection, thread_id: str, count: int) -> int:
    """Reserve the next `count` numbers. Returns the first one. Locks the thread for other writers.

    Raises `ThreadNotFound`.
    """
    return reserve_and_see(connection, thread_id, count).first_seq


def reserve_for_user(connection: Connection, thread_id: str, count: int, user_id: str) -> int:
    """As `reserve`; other transactions that do this for the same user wait until this one ends.

    SQLite has only one writer, so nothing needs to be locked there. Raises `ThreadNotFound`.
    """
    if connection.dialect.name != "postgresql":
        return reserve(connection, thread_id, count)
    key = int.from_bytes(hashlib.sha256(f"user {user_id}".encode()).digest()[:8], signed=True)
    values = {**_moved(thread_id, count, utc_now()), "b_user": key}
    row = connection.execute(_RESERVE_FOR_USER, values).one_or_none()
    if row is None:
        raise ThreadNotFound
    return int(row[0]) - count + 1


def give_back(connection: Connection, thread_id: str, count: int, *, idle: bool = False) -> None:
    """Undo the last reservation of this transaction. `idle`: nothing happens in the thread instead."""
    if idle:
        at = connection.execute(_LAST_MOVE, {"b_thread": thread_id}).scalar_one()
        connection.execute(_RESERVE, _moved(thread_id, -count, at))
    else:
        connection.execute(_RESERVE_QUIETLY, {"b_thread": thread_id, "b_count": -count})


def activity_hour(time: str) -> int:
    """The time in whole hours since 1970."""
    return int(datetime.fromisoformat(time).timestamp()) // 3600


def _moved(thread_id: str, count: int, at: str) -> dict[str, str | int]:
    return {"b_thread": thread_id, "b_count": count, "b_at": at, "b_hour": activity_hour(at)}


def reserve_and_see(connection: Connection, thread_id: str, count: int, *, quietly: bool = False) -> Reserved:
    """As `reserve`, with more of the thread's row. `quietly`: this is no activity. Raises `ThreadNotFound`."""
    if quietly:
        found = connection.execute(_RESERVE_QUIETLY, {"b_thread": thread_id, "b_count": count})
    else:
        found = connection.execute(_RESERVE, _moved(thread_id, count, utc_now()))
    row = found.one_or_none()
    if row is None:
        raise ThreadNotFound
    return Reserved(int(row[0]) - count + 1, row[1] is not None, row[2], row[3] is not None)


def write(connection: Connection, thread_id: str, first_seq: int, entries: Sequence[Entry]) -> None:
    """Write entries under numbers that this transaction has reserved."""
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
    connection.execute(_INSERT, [{name: getattr(row, name) for name in _NAMES} for row in rows])
    note_rows(connection, rows)
    if (on_entries := connection.info.get(ON_ENTRIES)) is not None:
        on_entries(connection, thread_id, entries)


def note_rows(connection: Connection, rows: Sequence[LogRow]) -> None:
    """Remember rows that this transaction wrote, to be published after its commit."""
    connection.info[LOG_ROWS].extend(rows)


def note_changed(connection: Connection, thread_id: str) -> None:
    """Let those who follow many threads look at this one after the commit, although no row of its log tells of it."""
    row = LogRow(thread_id, 0, CHANGED, None, "", resets=False, created_at=utc_now())
    note_rows(connection, [row])


def rewrite(connection: Connection, row: LogRow, data: str) -> None:
    """Replace the event of a row that tells of what is gone. Streams that have not sent it yet send the new one."""
    one = (_EVENTS.c.thread_id == row.thread_id, _EVENTS.c.seq == row.seq)
    connection.execute(update(_EVENTS).where(*one).values(data=data))
    note_rows(connection, [replace(row, data=data)])


def append(connection: Connection, thread_id: str, *entries: Entry) -> int:
    """Reserve numbers for the entries and write them. Returns the first number. Raises `ThreadNotFound`.

    Entries of no run (a new title, a summary) are no activity.
    """
    quietly = all(entry.run_id is None for entry in entries)
    first = reserve_and_see(connection, thread_id, len(entries), quietly=quietly).first_seq
    write(connection, thread_id, first, entries)
    return first


def list_after(
    connection: Connection, thread_id: str, seq: int, *, run_id: str | None = None, limit: int = 200
) -> list[LogRow]:
    """Rows after `seq`, oldest first, at most `limit`; with `run_id`, only that run's."""
    values = {"b_thread": thread_id, "b_seq": seq, "b_limit": limit, "b_run": run_id}
    found = connection.execute(_AFTER if run_id is None else _AFTER_OF_RUN, values)
    return [LogRow(**row) for row in found.mappings()]


def list_before(connection: Connection, thread_id: str, seq: int | None, *, limit: int) -> list[LogRow]:
    """Rows before `seq` (None: all), newest first."""
    statement = _OF_THREAD if seq is None else _OF_THREAD.where(_EVENTS.c.seq < seq)
    statement = statement.order_by(_EVENTS.c.seq.desc()).limit(limit)
    return [LogRow(**row) for row in connection.execute(statement, {"b_thread": thread_id}).mappings()]


def exists(connection: Connection, thread_id: str) -> bool:
    """Whether the thread exists."""
    return connection.scalar(select(ThreadTable.id).where(ThreadTable.id == thread_id)) is not None


def last_reset(connection: Connection, thread_id: str, seq: int) -> int:
    """The newest row up to `seq` that reset positions; 0 if there is none."""
    found = connection.execute(_LAST_RESET, {"b_thread": thread_id, "b_seq": seq}).scalar_one_or_none()
    return int(found or 0)


def trimmed_seq(connection: Connection, thread_id: str) -> int:
    """The number of the last row that retention has removed; 0 where the log is whole. Raises `ThreadNotFound`."""
    found = connection.scalar(select(ThreadTable.trimmed_seq).where(ThreadTable.id == thread_id))
    if found is None:
        raise ThreadNotFound
    return found


def first_of_run(connection: Connection, thread_id: str, run_id: str) -> int:
    """The number of a run's first row; 0 if it has none. Raises `LogTrimmed` where its first rows are gone."""
    first = select(_EVENTS.c.seq, _EVENTS.c.type).where(_EVENTS.c.run_id == run_id).order_by(_EVENTS.c.seq).limit(1)
    row = connection.execute(first).one_or_none()
    if (row is None or row.type not in _BEGIN_RUNS) and (trimmed := trimmed_seq(connection, thread_id)):
        raise LogTrimmed(trimmed)
    return 0 if row is None else int(row.seq)


def require_rows_after(connection: Connection, thread_id: str, seq: int) -> None:
    """Raises `LogTrimmed` where rows after this number are gone."""
    if seq < (trimmed := trimmed_seq(connection, thread_id)):
        raise LogTrimmed(trimmed)


def waits_of_run(connection: Connection, run_id: str) -> list[int]:
    """The numbers of a run's rows `run.waiting`, ascending."""
    waits = select(_EVENTS.c.seq).where(_EVENTS.c.run_id == run_id, _EVENTS.c.type == "run.waiting")
    return list(connection.scalars(waits.order_by(_EVENTS.c.seq)))


def find_row(connection: Connection, thread_id: str, seq: int) -> LogRow | None:
    """The row with this number."""
    statement = _OF_THREAD.where(_EVENTS.c.seq == seq)
    row = connection.execute(statement, {"b_thread": thread_id}).mappings().one_or_none()
    return None if row is None else LogRow(**row)
