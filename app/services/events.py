"""Reading what happens in threads, as it happens and afterwards."""

from collections.abc import Awaitable, Callable, Sequence

import orjson
from sqlalchemy import Connection

from ai_agents.core.types import JsonObject, LogRow
from ai_agents.store import thread_log
from ai_agents.streams.reader import StreamReader
from ai_agents.streams.resume import cursor_in_thread
from app.container import Container
from app.dependencies import PageOf, Reading


async def read_run(services: Container, reads: Reading, run_id: str, *, after: str | None) -> StreamReader | None:
    """A reader of a run's events; None where the last one has been read. Raises `RunNotFound`, `InvalidEventId`."""
    may_read = _right_to_read(services, reads)
    return await services.runner.read_run(reads.thread.thread_id, run_id, after=after, may_read=may_read)


async def read_thread(services: Container, reads: Reading, *, after: str | None) -> StreamReader:
    """A reader of all that happens in a thread. Raises `ThreadNotFound`, `InvalidEventId`."""
    may_read = _right_to_read(services, reads)
    return await services.runner.read_thread(reads.thread.thread_id, after=after, may_read=may_read)


async def list_events(services: Container, thread_id: str, page: PageOf, *, newest_first: bool) -> JsonObject:
    """A page of the thread's log, after an event's id. Raises `InvalidEventId`."""

    def read(connection: Connection) -> Sequence[LogRow]:
        # The same rules for ids as streams have.
        seq = None if page.after is None else cursor_in_thread(connection, thread_id, page.after).seq
        if newest_first:
            return thread_log.list_before(connection, thread_id, seq, limit=page.limit + 1)
        return thread_log.list_after(connection, thread_id, seq or 0, limit=page.limit + 1)

    rows = await services.conn.database.read(read)
    shown = rows[: page.limit]
    following = f"{shown[-1].seq}-0" if len(rows) > page.limit else None
    return {"data": [_to_dict(row) for row in shown], "next": following}


def _to_dict(row: LogRow) -> JsonObject:
    """The row's number, event and time, then what the event says."""
    return {"seq": row.seq, "type": row.type, "created_at": row.created_at, **orjson.loads(row.data)}


def _right_to_read(services: Container, reads: Reading) -> Callable[[], Awaitable[bool]]:
    user, thread_id = reads.user, reads.thread.thread_id

    async def may_read() -> bool:
        if reads.by_ticket:
            # An open stream is a use of its ticket, which lasts as long as it is used, up to its limit.
            valid = await services.admit_by_ticket(user.token, thread_id) is not None
        else:
            valid = await services.still_valid(user)
        return valid and await services.auth.may_see(user.user_id, "thread", thread_id, is_admin=user.is_admin)

    return may_read
