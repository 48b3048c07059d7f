"""Logs that are older than they are kept, and are trimmed."""

from sqlalchemy import Connection, update

from ai_agents.core.ids import utc_now
from ai_agents.store import log_trimming
from ai_agents.store.database import Database
from ai_agents.store.models import MessageTable, ThreadEventTable, ThreadTable

LONG_AGO = "2020-01-01T00:00:00.000000Z"


def grow_old(connection: Connection) -> None:
    """Let all that the logs tell of be long ago."""
    connection.execute(update(ThreadEventTable).values(created_at=LONG_AGO))
    connection.execute(update(MessageTable).values(created_at=LONG_AGO))
    connection.execute(update(ThreadTable).values(log_since_hour=0))


def trim_now(connection: Connection) -> None:
    """Let all that the logs tell of be long ago, and trim them as far as they can be."""
    grow_old(connection)
    before = utc_now()
    while found := log_trimming.threads_to_trim(connection, before, limit=100):
        for thread_id in found:
            log_trimming.trim(connection, thread_id, before)
    connection.commit()


async def trim_logs(database: Database) -> None:
    """As `trim_now`, in the steps of a service."""
    await database.write(grow_old)
    before = utc_now()
    while found := await database.read(lambda c: log_trimming.threads_to_trim(c, before, limit=100)):
        for thread_id in found:
            await database.write(lambda c: log_trimming.trim(c, thread_id, before))  # noqa: B023  # called at once
