"""What is done again and again by whichever process comes first, and which workers are alive.

All by the database's clock, the one that all processes share.
"""

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.ids import utc_now
from ai_agents.store.models import PeriodicTaskTable, WorkerHeartbeatTable
from ai_agents.store.runs import database_now

# A worker that has not been heard of for this long is taken for dead, and after a day forgotten.
ALIVE_S = 30.0
_FORGOTTEN_AFTER_S = 86_400.0


def take_turn(connection: Connection, name: str, *, every_s: float) -> bool:
    """Whether it is due, and the caller's to do: of all processes that ask, one is told so every `every_s` seconds."""
    now = database_now(connection.dialect.name)
    due = update(PeriodicTaskTable).where(PeriodicTaskTable.name == name, PeriodicTaskTable.due_at <= now)
    if connection.execute(due.values(due_at=now + every_s)).rowcount:
        return True
    if (
        connection.execute(select(PeriodicTaskTable.name).where(PeriodicTaskTable.name == name)).scalar_one_or_none()
        is not None
    ):
        return False
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    first = insert(PeriodicTaskTable).values(name=name, due_at=now + every_s).on_conflict_do_nothing()
    return bool(connection.execute(first).rowcount)


def beat(connection: Connection, worker_id: str) -> None:
    """Note that this worker is alive, and forget those that have long been gone."""
    now = database_now(connection.dialect.name)
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(WorkerHeartbeatTable).values(id=worker_id, started_at=utc_now(), seen_at=now)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))
    connection.execute(delete(WorkerHeartbeatTable).where(WorkerHeartbeatTable.seen_at < now - _FORGOTTEN_AFTER_S))


def say_goodbye(connection: Connection, worker_id: str) -> None:
    """Forget a worker that stops in order."""
    connection.execute(delete(WorkerHeartbeatTable).where(WorkerHeartbeatTable.id == worker_id))


def count_workers(connection: Connection) -> int:
    """How many workers are alive."""
    since = database_now(connection.dialect.name) - ALIVE_S
    return connection.execute(select(func.count()).where(WorkerHeartbeatTable.seen_at >= since)).scalar_one()
