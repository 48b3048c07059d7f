"""Alembic's entry: applies migrations on the connection that `ai_agents.store.migrate` hands over.

Called by the `alembic` command itself there is none; it opens the database named by `-x url=…`.
"""

from typing import Any

from alembic import context
from sqlalchemy import Connection

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.store.migrate import run_on
from ai_agents.store.models import Base


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        # SQLite cannot alter most of a table in place: there a changed one is made anew and filled.
        render_as_batch=connection.dialect.name == "sqlite",
        # Both databases can undo DDL, so a migration that fails leaves nothing behind.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run() -> None:
    given: Connection | None = context.config.attributes.get("connection")
    if given is not None:
        _migrate(given)
        return
    arguments: dict[str, Any] = context.get_x_argument(as_dictionary=True)
    if "url" not in arguments:
        raise InvalidRequest("Name the database: alembic -x url=sqlite:///var/dev.db …")
    run_on(str(arguments["url"]), _migrate)


_run()
