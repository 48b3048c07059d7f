"""The version before goes on while the next one has migrated: what it asks of the database is answered as ever."""

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ai_agents.store import migrate
from tests.upgrades.additive import RELEASED
from tests.upgrades.recording import Statement, read_recording

# What another version may do to its tables, and this one must not.
BREAKING = (
    "ALTER TABLE runs DROP COLUMN notices",
    "ALTER TABLE threads RENAME COLUMN title TO name",
    "ALTER TABLE messages ADD COLUMN lost integer NOT NULL",
    "ALTER TABLE thread_events ALTER COLUMN seq TYPE text",
    "DROP TABLE idempotency_keys",
)


@pytest.fixture(scope="module")
def recording() -> list[Statement]:
    """The statements of the version that is released."""
    schema, statements = read_recording()
    assert schema == RELEASED, "record the statements of the release anew"
    return statements


def ask(connection: Connection, statements: list[Statement]) -> int:
    """Execute all; how many rows were written or changed. Raises `DBAPIError`."""
    written = 0
    for statement in statements:
        for parameters in statement.parameters:
            done = connection.exec_driver_sql(statement.sql, parameters)
            if statement.sql.startswith(("INSERT", "UPDATE")):
                written += done.rowcount
    return written


def test_each_statement_of_the_released_version_works_on_the_newest_schema(
    postgresql_url: str, recording: list[Statement]
) -> None:
    def work(connection: Connection) -> tuple[int, list[str]]:
        written = ask(connection, recording)
        connection.rollback()
        broken = []
        for change in BREAKING:
            connection.execute(text(change))
            try:
                ask(connection, recording)
            except DBAPIError:
                broken.append(change)
            connection.rollback()
        return written, broken

    written, broken = migrate.run_on(postgresql_url, work, alone=False)

    assert written > 150, "it does what it did"
    assert broken == list(BREAKING), "and it is seen where a schema breaks them"
