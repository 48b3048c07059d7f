"""What processes share about each other: which of them does a periodic task next, and which workers are alive.

All times are by the database's clock, which all processes share.
"""

import socket

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.ids import utc_now
from ai_agents.store.clock import database_now
from ai_agents.store.job_tables import PeriodicTaskTable, WorkerHeartbeatTable

# A worker without a heartbeat for this long counts as dead. After a day its row is deleted.
ALIVE_S = 30.0
_FORGOTTEN_AFTER_S = 86_400.0


def claim_periodic_task(connection: Connection, name: str, *, every_s: float) -> bool:
    """Whether the task is due and the caller has claimed it. One process gets it every `every_s` seconds."""
    now = database_now(connection.dialect.name)
    due = update(PeriodicTaskTable).where(PeriodicTaskTable.name == name, PeriodicTaskTable.due_at <= now)
    if connection.execute(due.values(due_at=now + every_s)).rowcount:
        return True
    if connection.scalar(select(PeriodicTaskTable.name).where(PeriodicTaskTable.name == name)) is not None:
        return False
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    first = insert(PeriodicTaskTable).values(name=name, due_at=now + every_s).on_conflict_do_nothing()
    return bool(connection.execute(first).rowcount)


def make_due(connection: Connection, name: str) -> None:
    """Let a task that was claimed be due again at once."""
    now = database_now(connection.dialect.name)
    connection.execute(update(PeriodicTaskTable).where(PeriodicTaskTable.name == name).values(due_at=now))


def record_heartbeat(connection: Connection, worker_id: str) -> None:
    """Record that this worker is alive, and delete workers that have been gone for a day."""
    now = database_now(connection.dialect.name)
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(WorkerHeartbeatTable).values(id=worker_id, started_at=utc_now(), seen_at=now)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))
    connection.execute(delete(WorkerHeartbeatTable).where(WorkerHeartbeatTable.seen_at < now - _FORGOTTEN_AFTER_S))


def remove_heartbeat(connection: Connection, worker_id: str) -> None:
    """Delete the row of a worker that stops."""
    connection.execute(delete(WorkerHeartbeatTable).where(WorkerHeartbeatTable.id == worker_id))


def worker_prefix() -> str:
    """How the ids of this machine's workers begin."""
    return f"{socket.gethostname()[:40]}-"


def is_worker_alive(connection: Connection, prefix: str) -> bool:
    """Whether a worker is alive whose id begins so."""
    since = database_now(connection.dialect.name) - ALIVE_S
    alive = select(WorkerHeartbeatTable.id).where(
        WorkerHeartbeatTable.seen_at >= since, WorkerHeartbeatTable.id.startswith(prefix, autoescape=True)
    )
    return connection.execute(alive.limit(1)).first() is not None


def count_workers(connection: Connection) -> int:
    """How many workers are alive."""
    since = database_now(connection.dialect.name) - ALIVE_S
    return connection.execute(select(func.count()).where(WorkerHeartbeatTable.seen_at >= since)).scalar_one()
