"""Alembic's entry point: applies migrations on the connection that `ai_agents.store.migrate` passes.

The `alembic` command passes none; then the database of `-x url=…` is opened.
"""

from typing import Any

from alembic import context
from sqlalchemy import Connection

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.store.migrate import run_on
from ai_agents.store.schema import METADATA

# The index of messages, which is in no table of the models: see `store.search_tables`.
_UNSEEN = ("message_search", "ix_messages_search")


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        # SQLite can alter little of a table in place, so a changed table is created anew and filled.
        render_as_batch=connection.dialect.name == "sqlite",
        include_name=lambda name, _kind, _parents: not str(name).startswith(_UNSEEN),
        # Both databases can roll back DDL, so a failed migration leaves nothing behind.
        transactional_ddl=True,
        # On PostgreSQL each is committed by itself: it keeps no locks of others, and may be outside of a transaction.
        # On SQLite one transaction holds the file from the beginning.
        transaction_per_migration=connection.dialect.name == "postgresql",
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
