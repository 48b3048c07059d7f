"""Following all threads that a user sees: who is told of what, on both databases."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, RoleAuth, ThreadStore
from ai_agents.core.events import Event
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.core.ids import new_id
from ai_agents.core.scopes import AgentScope
from ai_agents.store import roles, thread_log
from ai_agents.store.threads import create_thread
from ai_agents.streams import feed
from ai_agents.streams.feed import FeedReader, Follower
from ai_agents.testing import ScriptedProvider
from tests.support.waiting import eventually
from tests.unit.runner.conftest import MakeTalk

T = TypeVar("T")
Heard = list[tuple[str, str]]


class Ear:
    """Someone who follows their threads, and what they heard: types of hints, each with its thread's id."""

    def __init__(self, events: AsyncIterator[Event]) -> None:
        self.events: list[Event] = []
        self._task = asyncio.create_task(self._listen(events))

    async def _listen(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            self.events.append(event)

    @property
    def heard(self) -> Heard:
        return [(event.type, event.thread_id) for event in self.events]

    @property
    def has_ended(self) -> bool:
        return self._task.done()

    async def until(self, *last: tuple[str, str]) -> Heard:
        """All that was heard, once these are the last of it; then it is forgotten."""
        await eventually(lambda: self.heard[-len(last) :] == list(last), what=f"{last}, heard {self.heard}")
        heard = self.heard
        self.events.clear()
        return heard

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


class Office:
    """An agent, threads on it, and those who follow theirs."""

    def __init__(self, conn: DatabaseHandle) -> None:
        conn.feed.collect_s = 0.0
        self.conn = conn
        self.agent_id = ""
        self._ears = AsyncExitStack()

    async def open(self) -> "Office":
        self.agent_id = (await AgentStore(self.conn).create(name="clerk"))["id"]
        return self

    async def close(self) -> None:
        await self._ears.aclose()

    async def follow(self, user_id: str, **options: Any) -> Ear:
        runner = AgentRunner(self.conn, provider=ScriptedProvider())
        before = len(self.conn.feed)
        ear = Ear(runner.follow_activity(user_id, **options))
        self._ears.push_async_callback(ear.stop)
        await eventually(lambda: len(self.conn.feed) > before)
        return ear

    async def thread(self, owner_id: str, **fields: Any) -> str:
        return (await ThreadStore(self.conn).create(fields.get("agent_id", self.agent_id), owner_id=owner_id))["id"]

    async def touch(self, thread_id: str) -> None:
        """Let something happen in the thread."""
        entry = thread_log.Entry("run.queued", new_id(), {"position": 1})
        await self.conn.database.write(lambda c: thread_log.append(c, thread_id, entry))

    async def unshare(self, user_id: str, thread_id: str) -> None:
        def remove(connection: Connection) -> None:
            page = roles.list_on(connection, "thread", thread_id, limit=100)
            roles.remove(connection, next(each["id"] for each in page["data"] if each["user_id"] == user_id))

        await self.conn.database.write(remove)

    async def share(self, user_id: str, thread_id: str, role: str = "viewer") -> None:
        await RoleAuth(self.conn).assign_role(user_id, role, "thread", thread_id)


@pytest.fixture
async def office(conn: DatabaseHandle) -> AsyncIterator[Office]:
    opened = await Office(conn).open()
    yield opened
    await opened.close()


async def test_a_turn_is_told_of_with_what_a_list_of_threads_shows(conn: DatabaseHandle, make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello!")
    conn.feed.collect_s = 0.0
    ear = Ear(talk.runner.follow_activity("ada"))
    await eventually(lambda: len(conn.feed))
    await talk.runner.run(talk.thread_id, "ada", "Hi")
    thread = await ThreadStore(conn).get(talk.thread_id)
    told: Callable[[], Any] = lambda: ear.events and ear.events[-1].data["thread"]["running"] is False  # noqa: E731
    await eventually(told)
    last = ear.events[-1]
    shown = {name: thread[name] for name in ("id", "title", "last_activity_at")}
    assert last.data["thread"] == {**shown, "running": False, "waiting": False}
    assert (last.type, last.id, str(last)) == ("thread.activity", "", "")
    await ear.stop()
    assert len(conn.feed) == 0


async def test_those_who_see_a_thread_are_told_of_it_and_others_never(office: Office) -> None:
    ada, bob, eve = [await office.follow(name) for name in ("ada", "bob", "eve")]
    thread_id = await office.thread("ada")
    mine = await office.thread("eve")
    await ada.until(("thread.activity", thread_id))
    await office.share("bob", thread_id)
    await bob.until(("thread.activity", thread_id))
    await office.unshare("bob", thread_id)
    await bob.until(("thread.deleted", thread_id))
    await office.touch(thread_id)
    await ada.until(("thread.activity", thread_id))
    await office.share("bob", thread_id)
    await bob.until(("thread.activity", thread_id))
    await ThreadStore(office.conn).delete(thread_id)
    await ada.until(("thread.deleted", thread_id))
    await bob.until(("thread.deleted", thread_id))
    await office.touch(mine)
    heard = await eve.until(("thread.activity", mine))
    assert {thread for _, thread in heard} == {mine}


async def test_what_every_user_sees_is_told_to_those_who_ask_for_it_and_an_admin_is_told_of_all(office: Office) -> None:
    thread_id, other = await office.thread("ada"), await office.thread("bob")
    await office.share("*", thread_id)
    bob, shared = await office.follow("bob"), await office.follow("carol", shared=True)
    admin = await office.follow("root", is_admin=True)
    await office.touch(thread_id)
    await shared.until(("thread.activity", thread_id))
    await office.touch(other)
    await bob.until(("thread.activity", other))
    await admin.until(("thread.activity", other))
    await office.unshare("*", thread_id)
    assert await shared.until(("thread.deleted", thread_id)) == [("thread.deleted", thread_id)]
    await office.touch(other)
    assert await bob.until(("thread.activity", other)) == [("thread.activity", other)]
    await ThreadStore(office.conn).delete(other)
    await admin.until(("thread.deleted", other))


async def test_a_token_for_some_agents_is_told_of_their_threads_alone(office: Office) -> None:
    other_agent = (await AgentStore(office.conn).create(name="other"))["id"]
    scope = AgentScope(new_id(), frozenset({office.agent_id}))
    ear = await office.follow("ada", within=scope)
    inside, outside = await office.thread("ada"), await office.thread("ada", agent_id=other_agent)
    for thread_id in (outside, inside):
        await office.touch(thread_id)
    for thread_id in (outside, inside):
        await ThreadStore(office.conn).delete(thread_id)
    heard = await ear.until(("thread.deleted", inside))
    assert {thread for _, thread in heard} == {inside}


async def test_temporary_threads_are_not_told_of(office: Office) -> None:
    ears = [await office.follow("ada"), await office.follow("root", is_admin=True)]
    make = partial(create_thread, owner_id="ada", expires_at="2100-01-01T00:00:00.000000Z")
    temporary = (await office.conn.database.write(lambda c: make(c, office.agent_id)))["id"]
    await office.touch(temporary)
    await ThreadStore(office.conn).delete(temporary)
    thread_id = await office.thread("ada")
    for ear in ears:
        assert {thread for _, thread in await ear.until(("thread.activity", thread_id))} == {thread_id}


class Sharing:
    """A model of who sees which thread. Each step acts on the office; what users hear of it is `expected`."""

    names = ("ada", "bob", "carol", "*")

    def __init__(self, office: Office) -> None:
        self.office = office
        self.seen: dict[str, set[str]] = {}
        self.owners: dict[str, str] = {}
        self.expected: dict[str, Heard] = {name: [] for name in ("ada", "bob", "carol", "shared")}

    def tell(self, kind: str, thread_id: str, *names: str) -> None:
        for name in names:
            self.expected["shared" if name == "*" else name].append((kind, thread_id))

    async def step(self, rng: random.Random) -> None:
        act = rng.choice([self.make, self.touch, self.share, self.unshare, self.delete] if self.seen else [self.make])
        await act(rng)

    async def make(self, rng: random.Random) -> None:
        owner = rng.choice(self.names[:3])
        thread_id = await self.office.thread(owner)
        self.seen[thread_id], self.owners[thread_id] = {owner}, owner
        self.tell("thread.activity", thread_id, owner)

    async def touch(self, rng: random.Random) -> None:
        thread_id = rng.choice(sorted(self.seen))
        await self.office.touch(thread_id)
        self.tell("thread.activity", thread_id, *self.seen[thread_id])

    async def share(self, rng: random.Random) -> None:
        thread_id, name = rng.choice(sorted(self.seen)), rng.choice(self.names)
        if name not in self.seen[thread_id]:
            await self.office.share(name, thread_id)
            self.seen[thread_id].add(name)
            self.tell("thread.activity", thread_id, *self.seen[thread_id])

    async def unshare(self, rng: random.Random) -> None:
        thread_id = rng.choice(sorted(self.seen))
        for name in sorted(self.seen[thread_id] - {self.owners[thread_id]})[:1]:
            await self.office.unshare(name, thread_id)
            self.seen[thread_id].discard(name)
            self.tell("thread.activity", thread_id, *self.seen[thread_id])
            self.tell("thread.deleted", thread_id, name)

    async def delete(self, rng: random.Random) -> None:
        thread_id = rng.choice(sorted(self.seen))
        await ThreadStore(self.office.conn).delete(thread_id)
        self.tell("thread.deleted", thread_id, *self.seen.pop(thread_id))


async def test_what_users_are_told_is_what_they_see(office: Office) -> None:
    ears = {name: await office.follow(name) for name in ("ada", "bob", "carol")}
    ears["shared"] = await office.follow("dan", shared=True)
    rng, model = random.Random(7), Sharing(office)
    for _ in range(80):
        await model.step(rng)
        await eventually(lambda: {name: ear.heard for name, ear in ears.items()} == model.expected)
    assert all(model.expected.values())


class Counted:
    """Counts what is read from the database."""

    def __init__(self, conn: DatabaseHandle, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        self.fails = 0
        self._read = conn.database.read
        monkeypatch.setattr(conn.database, "read", self.read)

    async def read(self, work: Callable[[Connection], T], *, long: bool = False) -> T:
        self.reads += 1
        if self.fails:
            self.fails -= 1
            raise DatabaseUnavailable("away")
        return await self._read(work, long=long)


async def test_one_query_tells_a_hundred_readers_of_many_threads_and_none_holds_a_connection(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn = office.conn
    users = [f"user {number}" for number in range(100)]
    async with conn.transaction():
        threads = {await office.thread(users[number % 100]): users[number % 100] for number in range(500)}
    counted = Counted(conn, monkeypatch)
    for thread_id in list(threads)[:20]:
        await office.touch(thread_id)
    await asyncio.sleep(0)
    assert counted.reads == 0, "nothing is asked where nobody follows"
    conn.feed.collect_s = 0.2
    ears = {user: await office.follow(user) for user in users}
    entry = thread_log.Entry("run.queued", new_id(), {"position": 1})
    await conn.database.write(lambda c: [thread_log.append(c, thread_id, entry) for thread_id in threads], long=True)
    await eventually(lambda: sum(len(ear.events) for ear in ears.values()) >= 500)
    assert {event.thread_id: user for user, ear in ears.items() for event in ear.events} == threads
    assert counted.reads == 3, "two hundred threads are asked about at once"
    assert conn.database.checked_out() == 0


async def test_what_the_database_could_not_tell_is_told_when_it_is_back(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread_id = await office.thread("ada")
    ear = await office.follow("ada")
    counted = Counted(office.conn, monkeypatch)
    counted.fails = 2
    await office.touch(thread_id)
    await ear.until(("thread.activity", thread_id))
    assert counted.fails == 0


@asynccontextmanager
async def slow_reader(office: Office, user_id: str) -> AsyncIterator[FeedReader]:
    reader = office.conn.feed.open(Follower(user_id))
    yield reader
    reader.close()


async def test_a_slow_reader_gets_one_hint_of_each_thread_and_too_many_end_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_MOST_PENDING", 5)
    threads = [await office.thread("ada") for _ in range(6)]
    quick = await office.follow("ada")
    async with slow_reader(office, "ada") as slow:
        for _ in range(3):
            for thread_id in threads[:5]:
                await office.touch(thread_id)
                await quick.until(("thread.activity", thread_id))
        hints = slow.hints()
        assert sorted(hint.data["thread_id"] for hint in await anext(hints)) == sorted(threads[:5])
        for thread_id in threads:
            await office.touch(thread_id)
            await quick.until(("thread.activity", thread_id))
        assert [batch async for batch in hints] == []
    assert not quick.has_ended


async def test_following_ends_when_the_process_stops(office: Office) -> None:
    ear = await office.follow("ada")
    await AgentRunner(office.conn, provider=ScriptedProvider()).drain(0)
    await eventually(lambda: ear.has_ended)
    assert len(office.conn.feed) == 0
