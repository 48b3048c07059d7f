"""What `connect` and the commands say where a database cannot be opened: the true cause, with its path or host."""

import os
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from ai_agents import connect
from ai_agents.core.exceptions import DatabaseBusy, DatabaseUnavailable, InvalidRequest
from ai_agents.store import migrate
from ai_agents.store.database import Database
from ai_agents.store.opening import explained
from ai_agents.store.postgres_failures import why_not_opened
from tests.support.postgres import PostgresServer
from tests.support.processes import free_port

SECRET = "a-secret-password"


async def refusal_of(url: str) -> str:
    """What `connect` says; `migrate` says the same."""
    with pytest.raises(DatabaseUnavailable) as refused:
        await connect(url)
    with pytest.raises(DatabaseUnavailable) as migrating:
        migrate.current(url)
    assert str(migrating.value) == str(refused.value)
    assert SECRET not in str(refused.value)
    return str(refused.value)


async def test_an_sqlite_file_that_cannot_be_opened_is_named_with_the_reason(tmp_path: Path) -> None:
    text_file = tmp_path / "notes.txt"
    text_file.write_text("no database at all, but long enough to be read as the head of one\n" * 20)
    damaged = tmp_path / "damaged.db"
    with closing(sqlite3.connect(damaged)) as connection:
        connection.execute("CREATE TABLE threads (id)")
        connection.commit()
    content = bytearray(damaged.read_bytes())
    content[100:200] = b"\xff" * 100
    damaged.write_bytes(content)

    assert await refusal_of(f"sqlite:///{text_file}") == f"The file {text_file} is no SQLite database."
    assert await refusal_of(f"sqlite:///{tmp_path}") == f"The database {tmp_path} is a folder, not a file."
    assert await refusal_of(f"sqlite:///{damaged}") == f"The database {damaged} is damaged: restore a backup."
    inside = text_file / "deeper" / "a.db"
    assert (
        await refusal_of(f"sqlite:///{inside}")
        == f"The database cannot be in {inside.parent}: {text_file} is no folder."
    )
    missing = await refusal_of("sqlite:////proc/none/a.db")
    assert missing.startswith("The folder /proc/none of the database does not exist and cannot be made: ")


@pytest.mark.parametrize(
    "code, sentence",
    [
        (
            sqlite3.SQLITE_CANTOPEN,
            "cannot be used: this user may not write into its folder, where SQLite keeps its log.",
        ),
        (
            sqlite3.SQLITE_READONLY,
            "cannot be used: this user may not write into its folder, where SQLite keeps its log.",
        ),
        (sqlite3.SQLITE_BUSY, "Another process holds the database {file} locked."),
        (sqlite3.SQLITE_FULL, "The disk of the database {file} is full."),
        (sqlite3.SQLITE_IOERR_READ, "The disk of the database {file} fails to read or write."),
    ],
)
def test_what_sqlite_itself_answers_has_a_sentence(
    code: int, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.db"
    file.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may write everywhere
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code

    with pytest.raises(DatabaseUnavailable) as refused, explained(make_url(f"sqlite:///{file}")):
        raise DatabaseUnavailable from error

    assert str(refused.value).endswith(sentence.format(file=file))


async def test_an_older_schema_names_the_command_and_a_newer_one_is_used_but_not_migrated(database_url: str) -> None:
    def set_revision(revision: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
            connection.commit()

        migrate.run_on(database_url, work)

    set_revision("0002")
    with pytest.raises(DatabaseUnavailable, match=r"is at the schema 0002, and this version needs .*ai-agents migrate"):
        await connect(database_url)
    set_revision("9999")
    with pytest.raises(DatabaseUnavailable, match="schema 9999, which this version does not know"):
        migrate.upgrade(database_url)
    async with await connect(database_url) as conn:
        assert not await conn.database.is_empty()


@pytest.fixture(scope="module")
def roles(postgres: PostgresServer) -> Iterator[tuple[str, str]]:
    """Two users of the server: one may open no connection, the other may make no table."""
    closed, weak = f"closed_{os.getpid()}", f"weak_{os.getpid()}"
    postgres.execute(f"CREATE ROLE {closed} LOGIN CONNECTION LIMIT 0")
    postgres.execute(f"CREATE ROLE {weak} LOGIN")
    yield closed, weak
    postgres.execute(f"DROP ROLE {closed}")
    postgres.execute(f"DROP ROLE {weak}")


async def test_what_a_postgresql_refuses_is_said_with_its_place_and_without_the_password(
    postgres: PostgresServer, roles: tuple[str, str]
) -> None:
    server = f"127.0.0.1:{postgres.port}"
    nothing = free_port()

    async def said(user: str, at: str = server, database: str = "postgres", rest: str = "") -> str:
        return await refusal_of(f"postgresql://{user}:{SECRET}@{at}/{database}{rest}")

    assert await said("postgres", at=f"127.0.0.1:{nothing}") == (
        f"PostgreSQL does not listen at 127.0.0.1:{nothing}: the connection was refused."
    )
    assert await said("postgres", database="nowhere") == f"PostgreSQL at {server} has no database nowhere."
    assert (await said("nobody_here")).startswith(f"PostgreSQL at {server} does not let the user nobody_here in: ")
    assert (await said(roles[0])).startswith(f"PostgreSQL at {server} has no connection left (max_connections): ")
    assert await said("postgres", rest="?sslmode=require") == (
        f"PostgreSQL at {server} does not speak TLS, which the database URL asks for."
    )


async def test_a_user_who_may_make_no_table_is_told_which_right_is_missing(
    postgres: PostgresServer, roles: tuple[str, str]
) -> None:
    url = f"postgresql://{roles[1]}:{SECRET}@127.0.0.1:{postgres.port}/postgres"

    with pytest.raises(
        DatabaseUnavailable, match=f"The user {roles[1]} lacks a right in the database postgres"
    ) as refused:
        migrate.upgrade(url)

    assert SECRET not in str(refused.value)


async def test_a_name_without_an_address_a_wrong_password_and_an_old_server_have_their_sentence(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", fail)
        said = await refusal_of(f"postgresql://ada:{SECRET}@db.internal/agents")
        assert said == "The host db.internal of PostgreSQL is not known: its name has no address."

    url = make_url(f"postgresql://ada:{SECRET}@db.internal:6000/agents")
    assert why_not_opened(asyncpg.InvalidPasswordError("password authentication failed"), url) == (
        "PostgreSQL at db.internal:6000 refuses the password of the user ada, or does not know the user."
    )
    assert why_not_opened(TimeoutError(), url) == "PostgreSQL at db.internal:6000 did not answer in time."

    monkeypatch.setattr("ai_agents.store.postgres_failures.OLDEST_VERSION", 99)
    assert re.search(r"has version [\d.]+; 99 is the oldest that can be used", await first_words(postgres.url))


async def first_words(url: str) -> str:
    database = Database(url)
    try:
        with pytest.raises(DatabaseUnavailable) as refused:
            await database.check()
    finally:
        await database.close()
    return str(refused.value)


async def test_an_address_that_cannot_work_is_no_outage() -> None:
    with pytest.raises(InvalidRequest, match=r"the file /none\.pem of sslrootcert cannot be read"):
        await connect("postgresql://ada@db.internal/agents?sslmode=verify-full&sslrootcert=/none.pem")
    with pytest.raises(InvalidRequest, match="like redis://host:6379/0"):
        await connect("sqlite://", redis_url="http://localhost:6379")


def test_a_pool_that_is_busy_is_told_in_its_own_words() -> None:
    assert Database("sqlite://").explain(DatabaseBusy()) == {
        "database": ":memory:",
        "reason": "Too much waits for the database.",
    }
