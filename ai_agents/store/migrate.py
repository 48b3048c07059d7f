"""Brings a database to the schema of this version, on SQLite and PostgreSQL alike, whoever else does so at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.core.extras import require
from ai_agents.store.database import normalize_url
from ai_agents.store.models import SCHEMA_REVISION

if TYPE_CHECKING:
    from alembic.config import Config

T = TypeVar("T")
# Any number that nobody else locks in the same database: the letters "aiag".
_LOCK = 0x61696167
# One process at a time migrates a SQLite file; this is how long the others wait for it.
_SQLITE_BUSY_S = 120


def upgrade(url: str, revision: str = "head") -> None:
    """Apply the migrations that are missing, all or none. May be called with an event loop running in this thread.

    Several processes may do so at once: one works, the others wait and find nothing to do.
    Raises `DatabaseUnavailable`, also where a newer version of this program has migrated the database already.
    """
    require("alembic")
    from alembic import command

    _command(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Undo the migrations after `revision`; `base` undoes all, and their data is gone. Raises `DatabaseUnavailable`."""
    require("alembic")
    from alembic import command

    _command(url, lambda config: command.downgrade(config, revision))


def current(url: str) -> str | None:
    """The revision that the database is at; None where it has none of our tables. Raises `DatabaseUnavailable`."""
    return run_on(url, _current, alone=False)


def is_current(url: str) -> bool:
    """Whether nothing is to be migrated. Cheap: it asks the database one question. Raises `DatabaseUnavailable`."""
    return current(url) == SCHEMA_REVISION


def config_for(connection: Connection) -> "Config":
    """Alembic's configuration to work on this connection with our migrations."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    return config


def migrations_directory() -> Path:
    """Where the migrations are: within the package once it is installed from a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "migrations"
    return inside if (inside / "env.py").exists() else package.parent / "migrations"


def run_on(url: str, work: Callable[[Connection], T], *, alone: bool = True) -> T:
    """The result of work on a connection of its own; the work commits.

    With `alone` it begins when nobody else's such work is under way. Raises `DatabaseUnavailable`.
    """
    parsed = normalize_url(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            return _on_sqlite(parsed, work, alone=alone)
        # A thread of its own, since the caller's may have a running event loop.
        with ThreadPoolExecutor(1, thread_name_prefix="migrate") as thread:
            return thread.submit(asyncio.run, _on_postgres(parsed, work, alone=alone)).result()
    except DBAPIError as error:
        raise DatabaseUnavailable("The database cannot be migrated now: it does not answer or refuses.") from error
    except OSError as error:
        raise DatabaseUnavailable from error


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _command(url: str, run: Callable[["Config"], Any]) -> None:
    from alembic.util import CommandError

    def work(connection: Connection) -> None:
        run(config_for(connection))
        connection.commit()

    try:
        run_on(url, work)
    except CommandError as error:
        raise DatabaseUnavailable(
            f"The database is at a revision that this version does not know (its own is {SCHEMA_REVISION})."
        ) from error


def _on_sqlite(url: URL, work: Callable[[Connection], T], *, alone: bool) -> T:
    if url.database not in (None, "", ":memory:"):
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _SQLITE_BUSY_S})

    @event.listens_for(engine, "connect")
    def prepare(dbapi_connection: Any, _record: Any) -> None:
        # Left to itself the driver commits before DDL. Foreign keys stay unchecked, SQLite's default: a table that is
        # made anew for a change is dropped on the way, which must not delete what refers to it.
        dbapi_connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Taken at once: two that first read the revision and then write would both have work to do.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if alone else "BEGIN")

    try:
        with engine.connect() as connection:
            return work(connection)
    finally:
        engine.dispose()


async def _on_postgres(url: URL, work: Callable[[Connection], T], *, alone: bool) -> T:
    require("asyncpg")
    import asyncpg

    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 10})
    try:
        async with engine.connect() as connection:
            if alone:
                # Of the session, not the transaction: it outlasts the work's commits and ends with the connection.
                await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
                await connection.commit()
            return await connection.run_sync(work)
    except asyncpg.PostgresError as error:  # unwrapped, from where the connection is made
        raise DatabaseUnavailable(f"The database cannot be opened: {error}.") from error
    finally:
        await engine.dispose()
