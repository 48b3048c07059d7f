"""Migrations on PostgreSQL while others use the tables: turns go on, and what is in the way is told."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from ai_agents import AgentRunner, AgentStore, ThreadStore, connect
from ai_agents.core.exceptions import DatabaseBusy
from ai_agents.store import migrate, migration_waits
from ai_agents.store.database import Database
from ai_agents.store.models import SCHEMA_REVISION
from ai_agents.testing import ScriptedProvider
from tests.support.next_version import NEXT, know_the_next_version
from tests.support.stopwatch import Stopwatch


@pytest.fixture(autouse=True)
def hurry(postgresql_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Know a next version, once there is a database of this one, and be short of patience."""
    know_the_next_version(tmp_path, monkeypatch)
    monkeypatch.setattr(migration_waits, "_LOCK_TIMEOUT_S", 0.3)
    monkeypatch.setattr(migration_waits, "_FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr(migration_waits, "_LONGEST_PAUSE_S", 0.3)


@pytest.fixture
async def long(postgresql_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection whose transaction has read the threads, and goes on."""
    connection = await asyncpg.connect(postgresql_url.replace("+asyncpg", ""))
    await connection.execute("BEGIN")
    await connection.execute("SELECT count(*) FROM threads")
    yield connection
    connection.terminate()


async def test_turns_go_on_while_a_migration_waits_for_a_long_transaction_and_after_it(
    postgresql_url: str, long: asyncpg.Connection
) -> None:
    conn = await connect(postgresql_url)
    agent = await AgentStore(conn).create("assistant", owner_id="ada")
    thread = await ThreadStore(conn).create(agent["id"], owner_id="ada")
    runner = AgentRunner(conn, provider=ScriptedProvider(*["Yes."] * 5_000))
    slowest = 0.0

    async def turn() -> None:
        nonlocal slowest
        watch = Stopwatch()
        async with asyncio.timeout(60):
            assert (await runner.run(thread["id"], "ada", "Well?"))["content"] == "Yes."
        slowest = max(slowest, watch.seconds)

    migrating = asyncio.create_task(asyncio.to_thread(migrate.upgrade, postgresql_url))
    until = time.monotonic() + 2
    while time.monotonic() < until:
        await turn()
        assert not migrating.done()
    assert migrate.current(postgresql_url) == SCHEMA_REVISION
    await long.execute("COMMIT")
    async with asyncio.timeout(60):
        while not migrating.done():
            await turn()
    await migrating

    assert migrate.current(postgresql_url) == NEXT
    await turn()
    assert slowest < 5, "a turn waits for as long as the migration waits for its table, not for the transaction"
    database = Database(postgresql_url)
    await database.check()  # a process of this version may be started again meanwhile
    await database.close()
    assert migrate.is_usable(postgresql_url)
    await conn.close()


async def test_a_migration_that_the_server_ends_for_a_deadlock_is_tried_again(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the server waits before it looks for a deadlock, and shorter than the test.
    monkeypatch.setattr(migration_waits, "_LOCK_TIMEOUT_S", 5)
    other, watching = [await asyncpg.connect(postgresql_url.replace("+asyncpg", "")) for _ in range(2)]
    try:
        await other.execute("BEGIN")
        await other.execute("SELECT count(*) FROM runs")
        migrating = asyncio.create_task(asyncio.to_thread(migrate.upgrade, postgresql_url))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'runs'::regclass"
        async with asyncio.timeout(20):
            while not await watching.fetchval(waits):
                await asyncio.sleep(0.02)
            # The migration has changed this table, and waits for the other one.
            await other.execute("SELECT count(*) FROM threads")
        await other.execute("COMMIT")
        await asyncio.wait_for(migrating, 20)
    finally:
        other.terminate()
        watching.terminate()
    assert migrate.current(postgresql_url) == NEXT


async def test_a_migration_that_gives_up_names_the_transaction_in_the_way(
    postgresql_url: str, long: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_waits, "_PATIENCE_S", 0.5)
    pid = await long.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(DatabaseBusy) as given_up:
        await asyncio.to_thread(migrate.upgrade, postgresql_url)
    await long.execute("COMMIT")

    said = str(given_up.value)
    assert said.startswith(f"The database stays at the schema {SCHEMA_REVISION}: a table is held by")
    assert f"process {pid} of the server, idle in transaction" in said
    assert said.endswith("then run `ai-agents migrate` again.")
    assert migrate.current(postgresql_url) == SCHEMA_REVISION
    await asyncio.to_thread(migrate.upgrade, postgresql_url)
    assert migrate.current(postgresql_url) == NEXT
