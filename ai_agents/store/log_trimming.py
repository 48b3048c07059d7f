"""Trimming the logs of threads: their first rows go after their time. Messages, runs and all else stay.

A log is trimmed from its beginning, so that one number says what is gone: `threads.trimmed_seq`. What stays:

- all rows from the first row of a run on that is not over, or whose last row is not old enough: a run's events are
  there from its first, or they are trimmed;
- the rows after the thread's newest message, and the last row: one who reads the messages and follows the thread after
  the newest of them never asks for what is gone.

`threads.log_since_hour` says when to look. Of a log that can be trimmed no further it is the hour of the oldest row,
or, where the thread is idle, of the look itself: rows to come are no older. So each look at the index finds the
threads that have something to trim, and an idle one once in the period.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Connection, Table, delete, func, select, update

from ai_agents.core.events import TERMINAL_EVENTS
from ai_agents.core.ids import utc_now
from ai_agents.store import thread_log
from ai_agents.store.models import MessageTable, ThreadEventTable, ThreadTable
from ai_agents.store.thread_log import activity_hour

_EVENTS = cast(Table, ThreadEventTable.__table__).c
# Rows of one transaction, unless a single run has more.
_BATCH = 500
# A thread with a run that is not over is looked at again after so many hours.
_AGAIN_HOURS = 24


@dataclass(slots=True)
class Trimmed:
    """What a step has removed: `rows`, and whether there may be `more` to remove in the thread."""

    rows: int
    more: bool


@dataclass(slots=True)
class _Look:
    """What was read of a log: up to where it may be cut, which runs are not over there, and its first row that stays.

    `ended`: all rows were read, and all are old.
    """

    cut: int = 0
    open_runs: set[str] = field(default_factory=set)
    first_kept: str | None = None
    ended: bool = False


def threads_to_trim(connection: Connection, before: str, *, limit: int) -> list[str]:
    """Ids of threads whose logs may have rows from before this time, those that waited longest first."""
    due = select(ThreadTable.id).where(ThreadTable.log_since_hour < activity_hour(before))
    # In the order of the index alone: after the migration all threads have one hour, and sorting takes all of them.
    return list(connection.scalars(due.order_by(ThreadTable.log_since_hour).limit(limit)))


def trim(connection: Connection, thread_id: str, before: str) -> Trimmed:
    """Remove the rows of a thread's log from before this time that may go, as many as take a moment."""
    if not thread_log.try_lock(connection, thread_id):
        return Trimmed(0, more=False)
    trimmed = thread_log.trimmed_seq(connection, thread_id)
    message = select(func.max(MessageTable.seq)).where(MessageTable.thread_id == thread_id)
    row = select(func.max(_EVENTS.seq)).where(_EVENTS.thread_id == thread_id)
    last = min(connection.scalar(message) or 0, (connection.scalar(row) or 1) - 1)
    look = _look(connection, thread_id, trimmed, before, last=last)
    rows = 0
    if look.cut > trimmed:
        rows = connection.execute(
            delete(ThreadEventTable).where(_EVENTS.thread_id == thread_id, _EVENTS.seq <= look.cut)
        ).rowcount
    values = {"trimmed_seq": max(trimmed, look.cut)}
    more = rows > 0 and look.first_kept is None and not look.ended
    if not more:
        values["log_since_hour"] = _next_look(look, before)
    connection.execute(update(ThreadTable).where(ThreadTable.id == thread_id).values(values))
    return Trimmed(rows, more=more)


def _next_look(look: _Look, before: str) -> int:
    if look.first_kept is not None and not look.open_runs:
        return activity_hour(look.first_kept)
    if look.ended and not look.open_runs:
        return activity_hour(utc_now())
    return activity_hour(before) + _AGAIN_HOURS


def _look(connection: Connection, thread_id: str, trimmed: int, before: str, *, last: int) -> _Look:
    """Read the old rows of a log, up to the first place where it may be cut after a batch of them.

    `last` is the row after which nothing is cut.
    """
    look, after = _Look(), trimmed
    statement = select(_EVENTS.seq, _EVENTS.run_id, _EVENTS.type, _EVENTS.created_at)
    statement = statement.where(_EVENTS.thread_id == thread_id).order_by(_EVENTS.seq).limit(_BATCH)
    while not look.cut:
        page = connection.execute(statement.where(_EVENTS.seq > after)).all()
        _pass(look, page, before, last=last)
        if look.first_kept is not None:
            return look
        if len(page) < _BATCH:
            look.ended = True
            break
        after = page[-1].seq
    if look.ended and not look.open_runs:
        look.cut = last
    return look


def _pass(look: _Look, rows: Iterable[Any], before: str, *, last: int) -> None:
    for seq, run_id, kind, created_at in rows:
        if created_at >= before:
            look.first_kept = created_at
            return
        if run_id is not None:
            if kind in TERMINAL_EVENTS:
                look.open_runs.discard(run_id)
            else:
                look.open_runs.add(run_id)
        if not look.open_runs and seq <= last:
            look.cut = seq
