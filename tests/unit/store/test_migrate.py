"""Migrations on both databases: from empty to the schema of the models and back, by several processes at once."""

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select, text

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.table_rows import RunValues
from ai_agents.core.types import RunStatus, ToolCallPart
from ai_agents.store import migrate, thread_log
from ai_agents.store.access_tables import ApiKeyTable, RoleAssignmentTable
from ai_agents.store.agents import create_agent, delete_agent, update_agent
from ai_agents.store.database import Database
from ai_agents.store.files import insert_file
from ai_agents.store.models import SCHEMA_REVISION, AdminToolTable, AgentTable, ThreadTable, ToolCallTable
from ai_agents.store.roles import insert_role
from ai_agents.store.runs import insert_run
from ai_agents.store.threads import create_thread, delete_thread
from ai_agents.store.tool_calls import insert_calls
from ai_agents.store.totals import find_totals
from ai_agents.store.transactions import LOG_ROWS
from tests.support.postgres import PostgresServer

_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'empty.db'}"
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    name = f"empty_{os.getpid()}_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


def test_an_empty_database_is_brought_to_the_newest_revision(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    assert not migrate.is_current(empty_url)
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == SCHEMA_REVISION
    assert migrate.is_current(empty_url)
    migrate.upgrade(empty_url)  # nothing left to do


def test_the_revision_in_the_models_is_the_newest_migration(empty_url: str) -> None:
    def head(connection: Connection) -> str | None:
        return ScriptDirectory.from_config(migrate.config_for(connection)).get_current_head()

    assert migrate.run_on(empty_url, head) == SCHEMA_REVISION


def test_models_and_migrations_say_the_same(database_url: str) -> None:
    migrate.run_on(database_url, lambda connection: command.check(migrate.config_for(connection)))


async def test_tables_made_at_once_equal_migrated_ones(empty_url: str, request: pytest.FixtureRequest) -> None:
    database = Database(empty_url)
    migrated_url = request.getfixturevalue(f"{database.dialect}_url")
    assert await database.is_empty()
    await database.create_all()
    assert not await database.is_empty()
    await database.create_all()  # creates only what is missing
    await database.close()
    assert migrate.is_current(empty_url)
    assert migrate.run_on(empty_url, _schema) == migrate.run_on(migrated_url, _schema)


def test_going_back_to_the_beginning_leaves_nothing(database_url: str) -> None:
    def undo(connection: Connection) -> None:
        command.downgrade(migrate.config_for(connection), "base")
        connection.commit()

    migrate.run_on(database_url, undo)
    assert migrate.current(database_url) is None
    assert migrate.run_on(database_url, lambda c: inspect(c).get_table_names()) == ["alembic_version"]
    migrate.upgrade(database_url)
    assert migrate.is_current(database_url)


def test_owners_of_agents_that_name_a_tool_of_an_admin_get_the_role_on_it(database_url: str) -> None:
    def go_back(connection: Connection) -> None:
        command.downgrade(migrate.config_for(connection), "0010")
        at = utc_now()
        times = {"created_at": at, "updated_at": at}
        tool: dict[str, Any] = {"type": "http", "spec": {}, "version": 1, **times}
        connection.execute(insert(AdminToolTable), [{"name": name, **tool} for name in ("orders", "shop", "unused")])
        lists = {"a": ["orders", {"name": "shop/*"}], "b": ["calculator"], "c": ["shop/price"], "gone": ["unused"]}
        for agent_id, tools in lists.items():
            agent = {"id": agent_id, "name": "a", "version": 1, "spec": {"name": "a", "tools": tools}, **times}
            connection.execute(insert(AgentTable), agent | {"deleted_at": at if agent_id == "gone" else None})
        held = (
            ("a", "ann", "owner"),
            ("a", "bea", "editor"),
            ("b", "cy", "owner"),
            ("c", "ann", "owner"),
            ("gone", "di", "owner"),
        )
        for agent_id, user_id, role in held:
            row = {"id": new_id(), "user_id": user_id, "role": role, "resource_type": "agent", "resource_id": agent_id}
            connection.execute(insert(RoleAssignmentTable), row | {"created_at": at})
        connection.commit()

    def given(connection: Connection) -> set[tuple[str, ...]]:
        found = connection.execute(text("SELECT user_id, resource_id, role FROM roles WHERE resource_type = 'tool'"))
        return {(row[0], row[1], row[2]) for row in found}

    migrate.run_on(database_url, go_back)
    migrate.upgrade(database_url)
    assert migrate.run_on(database_url, given) == {("ann", "orders", "user"), ("ann", "shop", "user")}


def test_agents_of_admins_and_of_the_program_stay_in_every_list(database_url: str) -> None:
    def go_back(connection: Connection) -> None:
        at = utc_now()
        agent: dict[str, Any] = {"name": "a", "version": 1, "spec": {"name": "a"}, "created_at": at, "updated_at": at}
        for agent_id, owner in (("free", None), ("root", "admin"), ("carol", "carol"), ("bob", "bob")):
            connection.execute(insert(AgentTable), agent | {"id": agent_id})
            place: dict[str, Any] = {"resource_type": "agent", "resource_id": agent_id}
            insert_role(connection, user_id="*", role="viewer", **place)
            if owner is not None:
                insert_role(connection, user_id=owner, role="owner", **place)
        key = {"user_id": "carol", "name": "", "prefix": "", "secret_hash": "0", "admin": True, "created_at": at}
        connection.execute(insert(ApiKeyTable), key | {"id": new_id()})
        connection.commit()
        command.downgrade(migrate.config_for(connection), "0011")
        connection.commit()

    def listed(connection: Connection) -> set[str]:
        return set(connection.scalars(text("SELECT resource_id FROM roles WHERE listed")))

    migrate.run_on(database_url, go_back)
    migrate.upgrade(database_url)
    assert migrate.run_on(database_url, listed) == {"free", "root", "carol"}


async def test_migrating_works_while_an_event_loop_runs_in_the_thread(empty_url: str) -> None:
    assert asyncio.get_running_loop().is_running()
    migrate.upgrade(empty_url)
    assert migrate.is_current(empty_url)


def test_four_processes_may_migrate_one_database_at_once(empty_url: str) -> None:
    program = "import sys; from ai_agents.store.migrate import upgrade; upgrade(sys.argv[1])"
    started = [
        subprocess.Popen([sys.executable, "-c", program, empty_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0, 0], said
    assert migrate.is_current(empty_url)


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(database_url: str) -> None:
    def pretend(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()

    migrate.run_on(database_url, pretend)
    with pytest.raises(DatabaseUnavailable, match="a newer version has migrated it"):
        migrate.upgrade(database_url)
    assert migrate.current(database_url) == "9999"


def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    def get_in_the_way(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE roles (id INTEGER)"))
        connection.commit()

    migrate.run_on(empty_url, get_in_the_way)
    with pytest.raises(DatabaseUnavailable):
        migrate.upgrade(empty_url)
    assert migrate.run_on(empty_url, lambda c: inspect(c).get_table_names()) == ["roles"]


def test_a_database_that_is_not_there_is_said_to_be_unavailable(postgres: PostgresServer) -> None:
    for url in ("postgresql+asyncpg://postgres@127.0.0.1:1/none", postgres.url_of("none"), "sqlite:////proc/none/x.db"):
        with pytest.raises(DatabaseUnavailable):
            migrate.upgrade(url)


def test_the_alembic_command_finds_the_migrations_and_the_database(sqlite_url: str) -> None:
    root = migrate.migrations_directory().parent
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "-x", f"url={sqlite_url}", "check"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _schema(connection: Connection) -> dict[str, Any]:
    """All that the database says about its tables, in a fixed order."""
    seen = inspect(connection)

    def indexes(table: str) -> list[str]:
        found = seen.get_indexes(table)
        for index in found:
            index["dialect_options"] = {name: str(said) for name, said in index.get("dialect_options", {}).items()}
        return sorted(map(str, found))

    triggers = (
        "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
        if connection.dialect.name == "postgresql"
        else "SELECT sql FROM sqlite_master WHERE type = 'trigger'"
    )
    return {"triggers": sorted(connection.scalars(text(triggers)))} | {
        table: {
            "columns": [{**column, "type": str(column["type"])} for column in seen.get_columns(table)],
            "primary key": seen.get_pk_constraint(table),
            "foreign keys": sorted(map(str, seen.get_foreign_keys(table))),
            "indexes": indexes(table),
            "unique": sorted(map(str, seen.get_unique_constraints(table))),
        }
        for table in seen.get_table_names()
    }


def test_what_there_was_before_totals_counts_for_its_first_owners(database_url: str) -> None:
    def make_and_go_back(connection: Connection) -> tuple[str, str]:
        connection.info[LOG_ROWS] = []
        agent_id = create_agent(connection, {"name": "a"}, owner_id="ann")["id"]
        update_agent(connection, agent_id, {"description": "b"}, user_id="bea")
        deleted = create_agent(connection, {"name": "a"}, owner_id="cy")["id"]
        thread_id = create_thread(connection, agent_id, owner_id="bea")["id"]
        create_thread(connection, deleted, owner_id="cy")
        delete_agent(connection, deleted)
        place: dict[str, Any] = {"resource_type": "thread", "resource_id": thread_id}
        insert_role(connection, user_id="cy", role="owner", **place)
        for user_id, size in (("ann", 3), ("ann", 4), ("cy", 5)):
            facts: dict[str, Any] = {"media_type": "text/plain", "sha256": "0" * 64, "facts": {}}
            insert_file(connection, user_id, filename="a.txt", size_bytes=size, **facts)
        connection.execute(text("UPDATE files SET deleted_at = created_at WHERE user_id = 'cy'"))
        connection.commit()
        command.downgrade(migrate.config_for(connection), "0016")
        connection.commit()
        return agent_id, thread_id

    def totals(connection: Connection) -> dict[str, tuple[int, ...]]:
        return {user_id: tuple(find_totals(connection, user_id).values()) for user_id in ("ann", "bea", "cy")}

    agent_id, thread_id = migrate.run_on(database_url, make_and_go_back)
    migrate.upgrade(database_url)
    assert migrate.run_on(database_url, totals) == {"ann": (2, 7, 0, 2), "bea": (0, 0, 1, 0), "cy": (0, 0, 1, 0)}

    def delete(connection: Connection) -> None:
        connection.info[LOG_ROWS] = []
        delete_thread(connection, thread_id)
        delete_agent(connection, agent_id)
        connection.commit()

    migrate.run_on(database_url, delete)
    assert migrate.run_on(database_url, totals) == {"ann": (2, 7, 0, 0), "bea": (0, 0, 0, 0), "cy": (0, 0, 1, 0)}


def test_threads_that_were_there_before_have_the_activity_that_their_log_tells_of(database_url: str) -> None:
    def make_and_go_back(connection: Connection) -> tuple[str, str]:
        connection.info[LOG_ROWS] = []
        agent_id = create_agent(connection, {"name": "a"}, owner_id="ann")["id"]
        idle, used = (create_thread(connection, agent_id)["id"] for _ in range(2))
        thread_log.append(connection, used, thread_log.Entry("run.queued", new_id(), {"position": 1}))
        thread_log.append(connection, used, thread_log.Entry("thread.updated"))
        connection.commit()
        command.downgrade(migrate.config_for(connection), "0022")
        connection.commit()
        return idle, used

    def activity(connection: Connection) -> dict[str, tuple[str, int]]:
        columns = ThreadTable.id, ThreadTable.last_activity_at, ThreadTable.activity_hour
        return {row.id: (row.last_activity_at, row.activity_hour) for row in connection.execute(select(*columns))}

    def expected(connection: Connection) -> dict[str, str]:
        created = select(ThreadTable.created_at).where(ThreadTable.id == idle)
        (queued, _) = thread_log.list_after(connection, used, 0)
        return {idle: connection.scalars(created).one(), used: queued.created_at}

    idle, used = migrate.run_on(database_url, make_and_go_back)
    migrate.upgrade(database_url)
    times = migrate.run_on(database_url, expected)
    hours = {thread_id: (time, thread_log.activity_hour(time)) for thread_id, time in times.items()}
    assert migrate.run_on(database_url, activity) == hours


def test_calls_that_waited_before_wait_as_long_as_their_runs_did(database_url: str) -> None:
    statuses: tuple[tuple[RunStatus, float], ...] = (("waiting", 5e9), ("running", 6e9))

    def make_and_go_back(connection: Connection) -> None:
        connection.info[LOG_ROWS] = []
        agent_id = create_agent(connection, {"name": "a"}, owner_id="ann")["id"]
        for status, until in statuses:
            thread_id = create_thread(connection, agent_id)["id"]
            run: RunValues = {
                "id": new_id(),
                "thread_id": thread_id,
                "agent_id": agent_id,
                "agent_version": 1,
                "user_id": "ann",
                "status": status,
                "attempt": 1,
                "user_message_id": new_id(),
                "fence": 1,
                "cancel_requested": False,
                "created_at": utc_now(),
                "lease_expires_at": until,
            }
            insert_run(connection, run)
            calls = [ToolCallPart(f"{status}-{end}", "pay", {}) for end in ("asks", "works")]
            insert_calls(connection, run["id"], calls, waiting={f"{status}-asks": "waiting"})
        connection.commit()
        command.downgrade(migrate.config_for(connection), "0025")
        connection.commit()

    def waits(connection: Connection) -> dict[str, float | None]:
        asked = select(ToolCallTable.tool_call_id, ToolCallTable.expires_at).where(
            ToolCallTable.waits_since == ToolCallTable.created_at
        )
        return {row.tool_call_id: row.expires_at for row in connection.execute(asked)}

    migrate.run_on(database_url, make_and_go_back)
    migrate.upgrade(database_url)
    assert migrate.run_on(database_url, waits) == {"waiting-asks": 5e9}
