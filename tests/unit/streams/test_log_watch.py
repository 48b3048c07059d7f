"""Readers on a process that hears nothing from others: one query serves them all."""

import asyncio
from collections.abc import Sequence

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, ThreadStore
from ai_agents.store.database import Database
from ai_agents.streams.log_watch import LogWatch
from ai_agents.streams.reader import StreamReader
from ai_agents.testing import ScriptedProvider
from tests.unit.runner.test_takeover import DeafBus

USER = "ada"


class CountingLogWatch(LogWatch):
    """Notes which threads each query asks about."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.queries: list[set[str]] = []

    async def find_newest(self, thread_ids: Sequence[str]) -> dict[str, int]:
        self.queries.append(set(thread_ids))
        return await super().find_newest(thread_ids)


async def test_two_hundred_readers_cost_one_query(database_url: str) -> None:
    conn = DatabaseHandle(Database(database_url), DeafBus(), shared=True)
    watch = conn.readers.log_watch = CountingLogWatch(conn.database)
    watch.poll_s = 0.05
    runner = AgentRunner(conn, provider=ScriptedProvider())
    store = ThreadStore(conn)
    agent = await AgentStore(conn).create(name="assistant")
    threads = [await store.create(agent_id=agent["id"], owner_id=USER) for _ in range(20)]
    readers = [await runner.read_thread(thread["id"]) for thread in threads for _ in range(10)]
    seen: list[str] = []

    async def follow(reader: StreamReader) -> None:
        async for event in reader.events():
            seen.append(f"{event.thread_id} {event.type}")  # noqa: PERF401  # others look at it meanwhile

    following = [asyncio.create_task(follow(reader)) for reader in readers]
    async with asyncio.timeout(60):
        while len(watch.queries) < 3:
            await asyncio.sleep(0.02)
    assert watch.queries[-1] == {thread["id"] for thread in threads}, "one query about all of them"
    # As another process would: nothing in this one hears of it.
    elsewhere = DatabaseHandle(Database(database_url), DeafBus(), shared=True)
    await ThreadStore(elsewhere).update(threads[0]["id"], {"title": "Seen"})
    await ThreadStore(elsewhere).delete(threads[1]["id"])
    async with asyncio.timeout(60):
        while len(seen) < 20:
            await asyncio.sleep(0.02)
    assert sorted(seen) == sorted(
        [f"{threads[0]['id']} thread.updated"] * 10 + [f"{threads[1]['id']} thread.deleted"] * 10
    )
    for reader in readers:
        reader.end()
    await asyncio.gather(*following)
    await elsewhere.close()
    await conn.close()
