"""The events of threads and runs: as streams, and as a list."""

from collections.abc import Awaitable, Callable, Sequence

import orjson
from sqlalchemy import Connection

from ai_agents.core.exceptions import RunNotFound
from ai_agents.core.types import JsonObject, LogRow
from ai_agents.store import thread_log
from ai_agents.streams.cursor import cursor_in_thread
from ai_agents.streams.reader import StreamReader
from app.container import Container
from app.services.access import ThreadReader
from app.services.arguments import PageArguments, check_id
from app.services.identity import authenticate, authenticate_ticket


async def read_run(
    container: Container, reader: ThreadReader, run_id: str, *, after: str | None
) -> StreamReader | None:
    """A stream of a run's events; None if the last event has been read. Raises `RunNotFound`, `InvalidEventId`."""
    check_id(run_id, RunNotFound)
    may_read = _right_to_read(container, reader)
    return await container.runner.read_run(reader.thread.thread_id, run_id, after=after, may_read=may_read)


async def read_thread(container: Container, reader: ThreadReader, *, after: str | None) -> StreamReader:
    """A stream of all events of a thread. Raises `ThreadNotFound`, `InvalidEventId`."""
    may_read = _right_to_read(container, reader)
    return await container.runner.read_thread(reader.thread.thread_id, after=after, may_read=may_read)


async def list_events(container: Container, thread_id: str, page: PageArguments, *, newest_first: bool) -> JsonObject:
    """A page of the thread's log; `after` is an event id. Raises `InvalidEventId`."""

    def read(connection: Connection) -> Sequence[LogRow]:
        # Ids follow the same rules as in streams.
        seq = None if page["after"] is None else cursor_in_thread(connection, thread_id, page["after"]).seq
        if newest_first:
            return thread_log.list_before(connection, thread_id, seq, limit=page["limit"] + 1)
        return thread_log.list_after(connection, thread_id, seq or 0, limit=page["limit"] + 1)

    rows = await container.conn.database.read(read, long=True)
    shown = rows[: page["limit"]]
    following = f"{shown[-1].seq}-0" if len(rows) > page["limit"] else None
    return {"data": [_to_dict(row) for row in shown], "next": following}


def _to_dict(row: LogRow) -> JsonObject:
    """The number, type and time of the row, then the data of the event."""
    return {"seq": row.seq, "type": row.type, "created_at": row.created_at, **orjson.loads(row.data)}


def _right_to_read(container: Container, reader: ThreadReader) -> Callable[[], Awaitable[bool]]:
    user, thread_id = reader.user, reader.thread.thread_id

    async def may_read() -> bool:
        if reader.by_ticket:
            # An open stream uses its ticket, and each use extends the ticket up to its limit.
            valid = await authenticate_ticket(container, user.token, thread_id) is not None
        else:
            valid = await authenticate(container, user.token) == user
        return valid and await container.auth.may_see(user.user_id, "thread", thread_id, is_admin=user.is_admin)

    return may_read
