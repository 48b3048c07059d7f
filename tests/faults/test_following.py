"""Users who follow all their threads on two processes: they are told of each, whatever happens to Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.faults.conftest import amount, revive
from tests.faults.support.cluster import Cluster
from tests.faults.support.replica import Replica
from tests.faults.support.stream import events_of
from tests.faults.test_many_streams import POOL, database_activity
from tests.support.postgres import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

READERS = amount(sample=6, all_of_it=100)
THREADS = amount(sample=12, all_of_it=500)


class Reader:
    """A user who follows their threads: the newest title of each, and those that are gone for them."""

    def __init__(self, cluster: Cluster, at: Replica, user_id: str) -> None:
        self.user_id = user_id
        self.titles: dict[str, str | None] = {}
        self.gone: set[str] = set()
        self.headers: dict[str, str] = {}
        self.opened = asyncio.Event()
        self.reading: asyncio.Task[None] | None = None
        self._cluster = cluster
        self._at = at

    async def open(self) -> None:
        """Get a key and follow, from now on."""
        made = await self._cluster.call(self._at, "POST", "/keys", {"user_id": self.user_id, "name": "follows"})
        self.headers = {"authorization": f"Bearer {made.ok(201)['key']}"}
        self.reading = asyncio.create_task(self._read())
        await self.opened.wait()

    async def _read(self) -> None:
        session = self._cluster.session
        async with session.get(f"{self._at.url}/events", headers=self.headers) as response:
            assert response.status == 200
            self.opened.set()
            async for event in events_of(response):
                thread_id = event.data["thread_id"]
                if event.type == "thread.deleted":
                    self.gone.add(thread_id)
                else:
                    self.titles[thread_id] = event.data["thread"]["title"]


@asynccontextmanager
async def readers_of(cluster: Cluster) -> AsyncIterator[list[Reader]]:
    readers = [Reader(cluster, cluster.replicas[number % 2], f"follower {number}") for number in range(READERS)]
    await asyncio.gather(*(reader.open() for reader in readers))
    yield readers
    tasks = [reader.reading for reader in readers if reader.reading is not None]
    assert not any(task.done() for task in tasks), "no stream ended"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_readers_of_both_processes_are_told_of_their_threads_with_redis_and_without(
    pair: Cluster, postgres: PostgresServer, redis_server: RedisServer
) -> None:
    one, two = pair.replicas
    agent = (await pair.call(one, "POST", "/agents", {"name": "clerk", "provider": "echo"})).ok(201)
    role = {"user_id": "*", "role": "user", "resource_type": "agent", "resource_id": agent["id"]}
    (await pair.call(one, "POST", "/roles", role)).ok(201)
    threads: dict[str, Reader] = {}
    async with readers_of(pair) as readers:

        async def make(number: int) -> None:
            owner = readers[number % READERS]
            made = await pair.call(one, "POST", "/threads", {"agent_id": agent["id"]}, **owner.headers)
            threads[made.ok(201)["id"]] = owner

        async def name_all(title: str) -> None:
            """Give all threads this title, and wait until each owner and no other user is told."""
            for thread_id, owner in threads.items():
                (await pair.call(one, "PATCH", f"/threads/{thread_id}", {"title": title}, **owner.headers)).ok()
            expected = [{thread_id: title for thread_id, owner in threads.items() if owner is each} for each in readers]
            await eventually(lambda: [each.titles for each in readers] == expected, what=title)

        for first in range(0, THREADS, 20):
            await asyncio.gather(*(make(number) for number in range(first, min(first + 20, THREADS))))
        await name_all("with Redis")
        await eventually(lambda: _is_quiet(postgres, pair.database_url), what="quiet connections")

        thread_id, owner = next(iter(threads.items()))
        other = next(each for each in readers if each is not owner)
        shared = {"user_id": other.user_id, "role": "viewer", "resource_type": "thread", "resource_id": thread_id}
        given = (await pair.call(one, "POST", "/roles", shared, **owner.headers)).ok(201)
        await eventually(lambda: thread_id in other.titles)
        (await pair.call(one, "DELETE", f"/roles/{given['id']}", **owner.headers)).ok(204)
        await eventually(lambda: thread_id in other.gone)
        del other.titles[thread_id]

        redis_server.kill()
        await name_all("without Redis")
        revive(redis_server)
        await name_all("with Redis again")
        (await pair.call(two, "DELETE", f"/threads/{thread_id}", **owner.headers)).ok(204)
        await eventually(lambda: thread_id in owner.gone)


async def _is_quiet(postgres: PostgresServer, database_url: str) -> bool:
    """Whether no connection is in use, of those that two processes may have."""
    connections, busy = await database_activity(postgres, database_url)
    assert connections <= 2 * POOL
    return busy == 0
