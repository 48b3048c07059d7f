"""The outbox: one row for each piece of background work, however often it is asked for."""

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.types import JsonObject
from ai_agents.store.models import Job

_PUBLIC = (
    Job.id,
    Job.thread_id,
    Job.kind,
    Job.range_key,
    Job.status,
    Job.attempts,
    Job.error,
    Job.created_at,
    Job.finished_at,
)


def enqueue(connection: Connection, thread_id: str, kind: str, range_key: str) -> JsonObject:
    """The job for this thread, kind and range: a new one, or the one that was asked for before."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {
        "id": new_id(),
        "thread_id": thread_id,
        "kind": kind,
        "range_key": range_key,
        "status": "queued",
        "attempts": 0,
        "created_at": utc_now(),
    }
    connection.execute(insert(Job).values(**values).on_conflict_do_nothing())
    found = select(*_PUBLIC).where(Job.thread_id == thread_id, Job.kind == kind, Job.range_key == range_key)
    return dict(connection.execute(found).mappings().one())
