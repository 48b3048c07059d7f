"""Two processes through PgBouncer in transaction mode: each transaction may have another connection of the server."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store.database import Database
from tests.faults.conftest import amount
from tests.faults.support.cluster import open_cluster
from tests.faults.support.load import talk_through
from tests.faults.support.replica import DidNotStart
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import PostgresServer
from tests.support.redis_server import RedisServer

KILLS = amount(sample=3, all_of_it=60)
THREADS = amount(sample=6, all_of_it=20)


@pytest.fixture
async def pooler(server_directory: Path, postgres: PostgresServer) -> AsyncIterator[PgBouncer]:
    """A pooler before the tests' server."""
    pooler = PgBouncer(server_directory / "pgbouncer", postgres.port)
    pooler.start()
    yield pooler
    pooler.kill()


async def test_nothing_is_lost_through_a_pooler_that_dies_like_the_processes_before_it(
    server_directory: Path,
    postgres: PostgresServer,
    pooler: PgBouncer,
    redis_server: RedisServer,
    rng: random.Random,
) -> None:
    direct_url = postgres.create_database("pooled")
    async with open_cluster(
        server_directory, pooler.url_of("pooled"), redis_server.url, AI_AGENTS_DATABASE_DIRECT_URL=direct_url
    ) as cluster:
        # Both migrate the empty database at once, on connections of their own.
        await cluster.start_two()

        async def kill() -> None:
            for _ in range(KILLS):
                await asyncio.sleep(rng.uniform(0.2, 2))
                if rng.random() < 0.5:
                    pooler.kill()
                    await asyncio.to_thread(pooler.start)
                else:
                    replica = rng.choice(cluster.replicas)
                    replica.kill()
                    await replica.start()

        await talk_through(cluster, kill(), threads=THREADS, rng=rng)
    postgres.drop_database("pooled")


async def test_the_lock_of_the_only_process_is_held_past_a_pooler(
    server_directory: Path, postgres: PostgresServer, pooler: PgBouncer
) -> None:
    direct_url = postgres.create_database("alone")
    async with open_cluster(
        server_directory, pooler.url_of("alone"), None, AI_AGENTS_DATABASE_DIRECT_URL=direct_url
    ) as cluster:
        await cluster.start()
        second = cluster.add()
        with pytest.raises(DidNotStart) as refused:
            await second.start()
        assert "Another process already runs agents on this database." in refused.value.said
    postgres.drop_database("alone")


async def test_a_pooler_that_nothing_was_said_about_is_recognized(postgres: PostgresServer, pooler: PgBouncer) -> None:
    postgres.create_database("unsaid")
    database = Database(pooler.url_of("unsaid"), pool_size=1)

    async def look(times: int) -> None:
        for _ in range(times):
            await database.read(lambda c: c.execute(text("SELECT 1")))

    address = pooler.url_of("unsaid").replace("+asyncpg", "")
    others = [await asyncpg.connect(address, statement_cache_size=0) for _ in range(2)]
    try:
        async with others[0].transaction(), others[1].transaction():
            for other in others:
                await other.execute("SELECT 1")
            # On the server's third connection, since two are taken.
            await look(1)
        # Each try is made a second time.
        with pytest.raises(DatabaseUnavailable) as refused:
            await look(4)
        assert database.explain(refused.value)["reason"] == (
            f"PostgreSQL at 127.0.0.1:{pooler.port} is behind a pooler in transaction mode: set the address of the "
            "database itself, too, as AI_AGENTS_DATABASE_DIRECT_URL (direct_url in the library)."
        )
    finally:
        for other in others:
            await other.close()
        await database.close()
    postgres.drop_database("unsaid")
