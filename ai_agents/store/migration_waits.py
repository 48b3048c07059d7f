"""How a migration waits on PostgreSQL: for another process that migrates, and for tables, without holding up others.

A statement that changes a table waits until every transaction that has used it is over, and all that comes later waits
behind it, turns too. So it gives up after a moment, lets them pass, and tries again.
"""

import asyncio
import time
from collections.abc import Callable

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ai_agents.core.exceptions import DatabaseBusy
from ai_agents.store.opening import current_revision

# The key of an advisory lock, which no other program should use: the letters "aiag".
_LOCK = 0x61696167
_LOOK_EVERY_S = 0.2
# For so long turns may wait behind a migration, which in between lets them pass.
_LOCK_TIMEOUT_S = 1.5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0
# Longer than a backup of a small database, or a report, holds a table.
_PATIENCE_S = 120.0
# It gave up waiting for a table; or the server has ended it, since a transaction that holds the table waits for another
# one that was changed already.
_IN_THE_WAY = ("55P03", "40P01")
_OLDEST = text("""
    SELECT pid, state, extract(epoch FROM now() - xact_start)::integer AS age_s FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    ORDER BY xact_start LIMIT 1
""")


async def be_alone(connection: AsyncConnection) -> None:
    """Wait until no other process migrates this database, and keep others from it until the connection is closed.

    It looks again and again: one that waits in a statement has a snapshot, for which an index that is created beside
    others' work would wait.
    """
    while True:
        # A lock of the session: it outlasts the work's commits.
        got = await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK})
        await connection.commit()
        if got:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


def patiently(connection: Connection, migrate: Callable[[], None]) -> None:
    """Migrate; where a table is held by another transaction, again and again, for two minutes.

    What is committed stays. Raises `DatabaseBusy` with the transaction that is in the way.
    """
    if connection.dialect.name != "postgresql":
        migrate()
        return
    ends_at, pause_s = time.monotonic() + _PATIENCE_S, _FIRST_PAUSE_S
    # The server's own limits are for queries, not for an index of a large table.
    for name, value in (("lock_timeout", f"{_LOCK_TIMEOUT_S}s"), ("statement_timeout", "0")):
        connection.execute(text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value})
    connection.commit()
    while True:
        try:
            migrate()
            return
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _IN_THE_WAY:
                raise
            connection.rollback()
            if time.monotonic() + pause_s > ends_at:
                raise DatabaseBusy(_in_the_way(connection)) from None
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _in_the_way(connection: Connection) -> str:
    said = f"The database stays at the schema {current_revision(connection)}: a table is held by another transaction."
    found = connection.execute(_OLDEST).one_or_none()
    connection.rollback()
    if found is not None:
        said += f" The oldest one is open for {found.age_s} s: process {found.pid} of the server, {found.state}."
    return f"{said} End it, or wait for its end, then run `ai-agents migrate` again."
