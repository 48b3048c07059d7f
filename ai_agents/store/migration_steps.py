"""Steps of migrations that would otherwise stand in the way of the processes that go on serving."""

from collections.abc import Sequence

from alembic import op
from sqlalchemy import text


def create_index_beside(name: str, table: str, columns: Sequence[str], *, where: str | None = None) -> None:
    """Create an index while others write to the table. It is the only step of its migration.

    On PostgreSQL it takes two passes over the table, and no lock that a turn waits for. It is outside of any
    transaction: one that failed half-way has left an index that does not count, which goes first.
    """
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(name, table, list(columns), sqlite_where=None if where is None else text(where))
        return
    with op.get_context().autocommit_block():
        # It waits for transactions that are older, and nothing waits for it.
        usual = op.get_bind().execute(text("SHOW lock_timeout")).scalar_one()
        op.execute("SET lock_timeout = 0")
        op.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')
        condition = "" if where is None else f" WHERE {where}"
        named = ", ".join(f'"{column}"' for column in columns)
        op.execute(f'CREATE INDEX CONCURRENTLY "{name}" ON "{table}" ({named}){condition}')
        op.execute(f"SET lock_timeout = '{usual}'")
