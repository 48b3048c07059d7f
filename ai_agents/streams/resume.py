"""Where a reader begins: after an event id, at a run's first event, or now."""

from sqlalchemy import Connection, func, select

from ai_agents.core.events import TERMINAL_EVENTS
from ai_agents.core.exceptions import InvalidEventId, ThreadNotFound
from ai_agents.store import runs, thread_log
from ai_agents.store.models import ThreadEventTable, ThreadTable
from ai_agents.store.runs import OwnedRun
from ai_agents.streams.cursor import Cursor, parse_event_id


def cursor_in_run(connection: Connection, thread_id: str, run_id: str, after: str | None) -> Cursor | None:
    """The cursor after an event id of a run's stream, else before its first event.

    None where the id is the one of the run's terminal event, after which nothing comes.
    Raises `RunNotFound`, and `InvalidEventId` for an id that is not of this run's stream.
    """
    runs.get_row(connection, thread_id, run_id)
    if after is None:
        first = connection.execute(
            select(func.min(ThreadEventTable.seq)).where(ThreadEventTable.run_id == run_id)
        ).scalar_one()
        return _cursor_at(connection, thread_id, run_id, seq=first - 1, position=0)
    seq, position = parse_event_id(after)
    row = thread_log.find_row(connection, thread_id, seq)
    if row is None or row.run_id != run_id:
        raise InvalidEventId
    if row.type in TERMINAL_EVENTS:
        return None
    return _cursor_at(connection, thread_id, run_id, seq=seq, position=position)


def cursor_in_thread(connection: Connection, thread_id: str, after: str | None) -> Cursor:
    """The cursor after an event id of a thread's stream, else after the newest row of its log.

    Raises `ThreadNotFound`, and `InvalidEventId` for an id beyond the newest row.
    """
    newest = connection.execute(select(ThreadTable.last_seq).where(ThreadTable.id == thread_id)).scalar_one_or_none()
    if newest is None:
        raise ThreadNotFound
    seq, position = (newest, 0) if after is None else parse_event_id(after)
    if seq > newest:
        raise InvalidEventId
    return _cursor_at(connection, thread_id, None, seq=seq, position=position)


def cursor_at_start(run: OwnedRun) -> Cursor:
    """The cursor before the first event of a run that was just admitted; this needs no query."""
    before = run.reset_seq - 1
    return Cursor(run.thread_id, run.id, seq=before, position=0, sent_seq=before, reset_seq=before)


def _cursor_at(connection: Connection, thread_id: str, run_id: str | None, *, seq: int, position: int) -> Cursor:
    reset_seq = thread_log.last_reset(connection, thread_id, seq)
    return Cursor(thread_id, run_id, seq=seq, position=position, sent_seq=seq, reset_seq=reset_seq)
