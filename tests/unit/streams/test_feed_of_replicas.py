"""Following threads over two processes with a Redis between them, which is killed and comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ai_agents import AgentStore, DatabaseHandle, RoleAuth, ThreadStore
from ai_agents.bus.redis import RedisBus
from ai_agents.core.ids import new_id
from ai_agents.core.scopes import AgentScope
from ai_agents.runner.handle import open_handle
from ai_agents.runner.process.periodic import Timing
from ai_agents.store import roles, thread_log
from ai_agents.store.activity import find_changed
from ai_agents.streams.feed import FeedReader, Follower
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

SOON_S = 1.5


@pytest.fixture
def server(server_directory: Path) -> Iterator[RedisServer]:
    """A Redis for this test alone, which kills it."""
    server = RedisServer(server_directory / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def pair(postgresql_url: str, server: RedisServer) -> AsyncIterator[tuple[DatabaseHandle, DatabaseHandle]]:
    """Two processes: in one of them things happen, in the other one users follow them."""
    timing = Timing(revocations_every_s=0.2)
    async with AsyncExitStack() as opened:
        one, other = [
            await opened.enter_async_context(await open_handle(postgresql_url, redis_url=server.url, timing=timing))
            for _ in range(2)
        ]
        other.feed.collect_s, other.feed.poll_s = 0.05, 0.2
        yield one, other


class Ear:
    """Someone who follows their threads, and the hints that came."""

    def __init__(self, reader: FeedReader) -> None:
        self.heard: list[tuple[str, str]] = []
        self._task = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: FeedReader) -> None:
        async for event in reader.events():
            self.heard.append((event.type, event.thread_id))

    async def next(self, kind: str, thread_id: str, *, within_s: float = 30.0) -> None:
        """Wait for this hint, and forget it with all before it."""
        await eventually(lambda: (kind, thread_id) in self.heard, what=f"{kind}, not {self.heard}", timeout_s=within_s)
        self.heard.clear()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


async def touch(conn: DatabaseHandle, thread_id: str) -> None:
    entry = thread_log.Entry("run.queued", new_id(), {"position": 1})
    await conn.database.write(lambda c: thread_log.append(c, thread_id, entry))


async def test_what_happens_in_one_process_is_told_in_the_other_with_redis_and_without(
    pair: tuple[DatabaseHandle, DatabaseHandle], server: RedisServer
) -> None:
    one, other = pair
    agent_id = (await AgentStore(one).create(name="clerk"))["id"]
    ear = Ear(other.feed.open(Follower("bob")))
    scoped = Ear(other.feed.open(Follower("bob", within=AgentScope(new_id(), frozenset({agent_id})))))
    await eventually(lambda: other.bus.hears_changes)
    thread_id = (await ThreadStore(one).create(agent_id, owner_id="bob"))["id"]
    await ear.next("thread.activity", thread_id, within_s=SOON_S)
    await scoped.next("thread.activity", thread_id)
    shared = (await ThreadStore(one).create(agent_id, owner_id="ada"))["id"]
    role = await RoleAuth(one).assign_role("bob", "viewer", "thread", shared)
    await ear.next("thread.activity", shared)
    await one.database.write(lambda c: roles.remove(c, role["id"]))
    await ear.next("thread.deleted", shared)

    server.kill()
    await eventually(lambda: not other.bus.hears_changes)
    await touch(one, thread_id)
    await ear.next("thread.activity", thread_id)
    role = await RoleAuth(one).assign_role("bob", "viewer", "thread", shared)
    await ear.next("thread.activity", shared)

    await asyncio.to_thread(server.start)
    await eventually(lambda: other.bus.hears_changes)
    await touch(one, thread_id)
    await ear.next("thread.activity", thread_id)
    # The publisher of the other process may only notice now that its connection was gone.
    assert isinstance(one.bus, RedisBus)
    publisher = one.bus._publisher
    await eventually(lambda: not publisher._failing)
    await ThreadStore(one).delete(thread_id)
    await ear.next("thread.deleted", thread_id)
    await scoped.next("thread.deleted", thread_id)
    for each in (ear, scoped):
        await each.stop()
    assert not other.bus.hears_changes, "nobody follows"


async def test_what_redis_loses_is_found_in_the_database_once(pair: tuple[DatabaseHandle, DatabaseHandle]) -> None:
    one, other = pair
    agent_id = (await AgentStore(one).create(name="clerk"))["id"]
    thread_id, second = [(await ThreadStore(one).create(agent_id, owner_id="bob"))["id"] for _ in range(2)]
    other.feed.look_again_s = 0.2
    other.bus._changed_listeners.clear()  # as if Redis had lost the messages
    ear = Ear(other.feed.open(Follower("bob")))
    await touch(one, thread_id)
    await ear.next("thread.activity", thread_id)
    found = await other.database.read(lambda c: find_changed(c, 0.0, limit=100))
    assert {each for each, _ in found} == {thread_id, second}
    await touch(one, second)
    await eventually(lambda: ear.heard)
    assert ear.heard == [("thread.activity", second)], "the first is not told again"
    await ear.stop()
