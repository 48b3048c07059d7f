"""Migrates a database to the schema of this version, on SQLite and PostgreSQL; several processes may do so at once."""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.core.extras import require
from ai_agents.store.database import normalize_url
from ai_agents.store.migration_waits import be_alone, patiently
from ai_agents.store.models import SCHEMA_REVISION
from ai_agents.store.opening import check_server, current_revision, explained, is_newer, newer_schema
from ai_agents.store.postgres_urls import connect_arguments
from ai_agents.store.sqlite_files import make_file

if TYPE_CHECKING:
    from alembic.config import Config

T = TypeVar("T")
# How long a process waits for another one that migrates the same SQLite file.
_SQLITE_BUSY_S = 120
_CONNECT_S = 10.0


def upgrade(url: str, revision: str = "head") -> None:
    """Apply the missing migrations. An event loop may be running in this thread.

    Each is applied as a whole or not at all; on SQLite all together. If several processes do so at once, one of them
    works, and the others wait and find nothing to do. Raises `DatabaseUnavailable`, also if a newer version of this
    program has migrated the database, and `DatabaseBusy` where a transaction holds a table for too long.
    """
    require("alembic")
    from alembic import command
    from alembic.util import CommandError

    def work(connection: Connection) -> None:
        check_server(connection, normalize_url(url))
        patiently(connection, lambda: command.upgrade(config_for(connection), revision))
        connection.commit()

    try:
        run_on(url, work)
    except CommandError as error:
        raise DatabaseUnavailable(newer_schema(normalize_url(url), current(url))) from error


def current(url: str, *, connect_s: float = _CONNECT_S) -> str | None:
    """The database's revision; None if it has no tables of this program. Raises `DatabaseUnavailable`."""
    return run_on(url, current_revision, alone=False, connect_s=connect_s)


def is_current(url: str) -> bool:
    """Whether no migration is missing; it takes one query. Raises `DatabaseUnavailable`."""
    return current(url) == SCHEMA_REVISION


def is_usable(url: str) -> bool:
    """Whether this version works with the database as it is: at its schema, or at one of a newer version.

    What a migration adds does not stand in the way of the version before it, which goes on, and may be started again,
    while processes are replaced one by one. Raises `DatabaseUnavailable`.
    """
    revision = current(url)
    return revision is not None and (revision == SCHEMA_REVISION or is_newer(revision))


def config_for(connection: Connection) -> "Config":
    """Alembic's configuration for our migrations on this connection."""
    from alembic.config import Config

    # As it is now: by default it is what it was when Alembic was imported.
    config = Config(stdout=sys.stdout, attributes={"connection": connection})
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    return config


def migrations_directory() -> Path:
    """Where the migrations are: inside the package if it was installed from a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "migrations"
    return inside if (inside / "env.py").exists() else package.parent / "migrations"


def run_on(url: str, work: Callable[[Connection], T], *, alone: bool = True, connect_s: float = _CONNECT_S) -> T:
    """The result of work on a new connection. The work commits.

    With `alone`, it waits until no other process does such work. Raises `DatabaseUnavailable`.
    """
    parsed = normalize_url(url)
    with explained(parsed):
        if parsed.get_backend_name() == "sqlite":
            return _on_sqlite(parsed, work, alone=alone)
        # In a new thread, since the caller's may have a running event loop.
        with ThreadPoolExecutor(1, thread_name_prefix="migrate") as thread:
            return thread.submit(asyncio.run, _on_postgres(parsed, work, alone=alone, connect_s=connect_s)).result()


def _on_sqlite(url: URL, work: Callable[[Connection], T], *, alone: bool) -> T:
    make_file(url)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _SQLITE_BUSY_S})

    @event.listens_for(engine, "connect")
    def prepare(dbapi_connection: Any, _record: Any) -> None:
        # By default the driver commits before DDL. Foreign keys stay unchecked, SQLite's default: a migration that
        # replaces a table drops it, which must not delete the rows that refer to it.
        dbapi_connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Locked from the beginning: two processes that first read the revision would both migrate.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if alone else "BEGIN")

    try:
        with engine.connect() as connection:
            return work(connection)
    finally:
        engine.dispose()


async def _on_postgres(url: URL, work: Callable[[Connection], T], *, alone: bool, connect_s: float) -> T:
    require("asyncpg")
    from ai_agents.store.postgres import DRIVERS_ERRORS

    # A time limit for each statement is for queries, not for an index of a large table.
    address, arguments = connect_arguments(url.difference_update_query(["command_timeout"]), timeout=connect_s)
    engine = create_async_engine(address, poolclass=NullPool, connect_args=arguments)
    try:
        async with engine.connect() as connection:
            if alone:
                await be_alone(connection)
            return await connection.run_sync(work)
    except DRIVERS_ERRORS as error:  # opening a connection raises the driver's own error
        raise DatabaseUnavailable from error
    finally:
        await engine.dispose()
