"""Signals to a process that does not serve yet: it ends at once, and the next start finds a whole schema."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from ai_agents.store.migrate import current
from ai_agents.store.models import SCHEMA_REVISION
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.replica import Replica
from tests.support.postgres import PostgresServer
from tests.support.processes import children_of, send_signal
from tests.support.redis_server import RedisServer

# Nothing is waited for; a machine that runs other tests may be slow.
AT_ONCE_S = 3
ROOT = Path(__file__).parents[2]
TIMES = 10
# A start from an empty database is in the middle of its migrations within this time.
LONGEST_PAUSE_S = 1.5
# The key of the lock that a process holds while it migrates PostgreSQL.
MIGRATING = 0x61696167


@asynccontextmanager
async def cluster_on(kind: str, directory: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Cluster]:
    """A service on an empty database, without processes yet."""
    if kind == "sqlite":
        async with open_cluster(directory, f"sqlite:///{directory}/empty.db", None) as cluster:
            yield cluster
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    redis: RedisServer = request.getfixturevalue("redis_server")
    name = f"empty_{os.getpid()}"
    try:
        async with open_cluster(directory, postgres.create_database(name), redis.url) as cluster:
            yield cluster
    finally:
        postgres.drop_database(name)


async def end(replica: Replica, number: signal.Signals = signal.SIGTERM) -> None:
    """Signal a process that does not serve yet; the system ends it as it ends every program."""
    watch = replica.stopwatch()
    send_signal(replica.pid, number)
    assert await replica.ended() == -number, replica.tail()
    assert watch.seconds < AT_ONCE_S


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_migration_that_is_ended_is_whole_or_was_never_begun(
    kind: str, server_directory: Path, request: pytest.FixtureRequest, rng: random.Random
) -> None:
    async with cluster_on(kind, server_directory, request) as cluster:
        one = cluster.add()
        for _ in range(TIMES):
            one.launch()
            await asyncio.sleep(rng.uniform(0, LONGEST_PAUSE_S))
            one.terminate()
            # One that serves already ends in order.
            assert await one.ended() in (0, -signal.SIGTERM), one.tail()
            # On PostgreSQL each of the migrations is whole, on SQLite all of them are.
            found = await asyncio.to_thread(current, cluster.database_url)
            assert found in (None, SCHEMA_REVISION) or (kind == "postgresql" and found < SCHEMA_REVISION)
        await one.start()
        thread_id = await cluster.make_thread(one)
        run = await cluster.send(one, thread_id, "words=2")
        assert (await cluster.until_ended(one, thread_id, run["id"]))["status"] == "completed"


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.soak), signal.SIGINT])
async def test_a_start_that_waits_for_anothers_migration_ends_at_once(
    number: signal.Signals, server_directory: Path, request: pytest.FixtureRequest
) -> None:
    async with cluster_on("postgresql", server_directory, request) as cluster:
        one, connection = cluster.add(), await asyncpg.connect(plain(cluster.database_url))
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", MIGRATING)
            one.launch()
            await until_refused_once(connection)
            await end(one, number)
        finally:
            await connection.close()
        assert await asyncio.to_thread(current, cluster.database_url) is None


@pytest.mark.soak
async def test_a_start_that_waits_for_a_file_ends_at_once(
    server_directory: Path, request: pytest.FixtureRequest
) -> None:
    async with cluster_on("sqlite", server_directory, request) as cluster:
        one = cluster.add()
        file = make_url(cluster.database_url).database
        assert file
        with sqlite3.connect(file, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            one.launch()
            await asyncio.sleep(1)
            assert one.is_running
            await end(one)
        await one.start()


@pytest.mark.soak
async def test_a_start_ends_at_once_before_it_is_ready(server_directory: Path, request: pytest.FixtureRequest) -> None:
    async with cluster_on("postgresql", server_directory, request) as cluster:
        one = await cluster.start()
        thread_id = await cluster.make_thread(one)
        run = await cluster.send(one, thread_id, "gate=go words=2")
        one.kill()
        connection = await asyncpg.connect(plain(cluster.database_url))
        try:
            async with connection.transaction():
                # The last that a start writes.
                await connection.execute("LOCK TABLE api_keys")
                one.launch()
                await until_waiting(connection, "relation")
                await end(one)
        finally:
            await connection.close()
        cluster.model.gates["go"].set()
        await one.start()
        assert (await cluster.until_ended(one, thread_id, run["id"]))["status"] == "completed"


def plain(url: str) -> str:
    return url.replace("+asyncpg", "")


async def until_refused_once(connection: asyncpg.Connection) -> None:
    """Wait until another connection has asked for the lock, in a transaction of which it is the end."""
    async with asyncio.timeout(30):
        while not await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND query ILIKE '%commit%'"
        ):
            await asyncio.sleep(0.02)


async def until_waiting(connection: asyncpg.Connection, kind: str) -> None:
    """Wait until another connection waits for a lock of this kind."""
    async with asyncio.timeout(30):
        while not await connection.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = $1 AND NOT granted AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())",
            kind,
        ):
            await asyncio.sleep(0.02)


def can_unshare() -> bool:
    command = ["unshare", "--pid", "--fork", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


async def test_the_first_process_of_a_container_ends_at_once_too(server_directory: Path) -> None:
    """The system gives it no default action: it waits for a schema, and its parent gets the code that a shell tells.

    Where the system lets no process begin a namespace, it is a process like others.
    """
    file = server_directory / "waits.db"
    is_first = can_unshare()
    command = ["unshare", "--pid", "--fork", "--kill-child"] if is_first else ["env"]
    command += [sys.executable, "-m", "app.cli", "migrate", "--wait"]
    environment = {**os.environ, "AI_AGENTS_DATABASE_URL": f"sqlite:///{file}", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=server_directory, env=environment) as process:
        try:
            await until(file.exists)
            # It would wait for a schema without an end.
            os.kill(children_of(process.pid)[0] if is_first else process.pid, signal.SIGTERM)
            assert process.wait(60) == (128 + signal.SIGTERM if is_first else -signal.SIGTERM)
        finally:
            process.kill()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.05)
