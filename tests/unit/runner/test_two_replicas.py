"""Two replicas on one database and one Redis: a run on one of them is read, resumed, cancelled and taken over on the
other.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, MessageStore, ThreadStore
from ai_agents.core.events import TERMINAL_EVENTS, Event
from ai_agents.runner.handle import open_handle
from ai_agents.runner.process.periodic import Timing
from ai_agents.testing import ScriptedProvider
from tests.support.redis_server import RedisServer

USER = "ada"


class Replica:
    """One process of the service, with a provider with scripted answers."""

    def __init__(self, conn: DatabaseHandle, *answers: object) -> None:
        self.conn = conn
        self.provider = ScriptedProvider(*answers)  # type: ignore[arg-type]  # answers of any kind pass through
        self.runner = AgentRunner(conn, provider=self.provider)


class Replicas:
    """Starts replicas on one database and one Redis."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self._database_url = database_url
        self._redis_url = redis_url
        self.started: list[Replica] = []

    async def start(self, *answers: object, timing: Timing | None = None) -> Replica:
        conn = await open_handle(self._database_url, redis_url=self._redis_url, timing=timing or Timing())
        replica = Replica(conn, *answers)
        await replica.runner.open()
        self.started.append(replica)
        return replica


@pytest.fixture
def server(server_directory: Path) -> Iterator[RedisServer]:
    """A Redis that the test may stop."""
    server = RedisServer(server_directory / "redis")
    server.start()
    yield server
    server.restart()
    server.stop()


@pytest.fixture
async def replicas(database_url: str, server: RedisServer) -> AsyncIterator[Replicas]:
    """Start replicas; all are closed in the end."""
    made = Replicas(database_url, server.url)
    yield made
    for replica in made.started:
        await replica.conn.close(grace_s=0)


async def begin_run(replica: Replica, **agent_fields: Any) -> tuple[str, str]:
    """A thread and a run in it, begun on this replica."""
    agent = await AgentStore(replica.conn).create(name="assistant", **agent_fields)
    thread = await ThreadStore(replica.conn).create(agent_id=agent["id"], owner_id=USER)
    started = await replica.runner.start(thread["id"], USER, "Hello!")
    return thread["id"], started.run["id"]


async def read_on(replica: Replica, thread_id: str, run_id: str, client: "Client", *, most: int = 1 << 30) -> None:
    """Read the run's stream after what the client has, at most `most` events, to its terminal event."""
    reader = await replica.runner.read_run(thread_id, run_id, after=client.last_id)
    if reader is None:
        return
    async with asyncio.timeout(60), aclosing(reader.events()) as events:
        async for event in events:
            client.take(event)
            most -= 1
            if most <= 0:
                return


class Client:
    """Folds a stream that comes over any number of connections."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.said: dict[str, str] = {}
        self.grew = asyncio.Event()

    @property
    def last_id(self) -> str | None:
        return self.events[-1].id if self.events else None

    @property
    def is_done(self) -> bool:
        return bool(self.events) and self.events[-1].type in TERMINAL_EVENTS

    def take(self, event: Event) -> None:
        self.events.append(event)
        if event.type == "message.delta":
            said = self.said.get(event.data["message_id"], "")
            assert event.data["offset"] == len(said)
            self.said[event.data["message_id"]] = said + event.data["text"]
        self.grew.set()

    async def has_said(self, text: str) -> None:
        """Wait until the deltas of some message are this."""
        async with asyncio.timeout(60):
            while text not in self.said.values():
                self.grew.clear()
                await self.grew.wait()

    def check(self) -> None:
        """Every lasting row came once, and each recorded message's deltas are its text."""
        recorded = [event.message for event in self.events if event.type == "message.completed"]
        for message in recorded:
            assert message is not None
            assert self.said.get(message["id"], message["content"]) == message["content"]
        lasting = [event.id for event in self.events if event.type in ("run.started", "message.completed")]
        assert len(lasting) == len(set(lasting))
        assert sum(event.type in TERMINAL_EVENTS for event in self.events) == 1


async def test_a_run_is_streamed_on_the_other_replica(replicas: Replicas) -> None:
    goes_on = asyncio.Event()
    one, other = await replicas.start(["Hel", "lo ", goes_on, "world", "!"]), await replicas.start()
    thread_id, run_id = await begin_run(one)
    client = Client()
    reading = asyncio.create_task(read_on(other, thread_id, run_id, client))
    await client.has_said("Hello ")
    goes_on.set()
    await reading
    client.check()
    assert client.events[-1].type == "run.completed"


async def test_a_run_is_cancelled_from_the_other_replica_at_once(replicas: Replicas) -> None:
    """Without being told, its owner would look for cancellations a minute later."""
    one = await replicas.start(["Hello", asyncio.Event()], timing=Timing(cancel_poll_s=60.0))
    other = await replicas.start()
    thread_id, run_id = await begin_run(one)
    client = Client()
    reading = asyncio.create_task(read_on(other, thread_id, run_id, client))
    await client.has_said("Hello")
    async with asyncio.timeout(40):
        run = await other.runner.cancel(thread_id, run_id)
    assert run["status"] == "cancelled"
    assert one.provider.closed == 1
    await reading
    client.check()
    assert list(client.said.values()) == ["Hello"]


async def test_a_process_that_stops_hands_its_runs_over_at_once(replicas: Replicas) -> None:
    """Without being told, the other would look for abandoned runs a minute later."""
    rarely = Timing(sweep_every_s=60.0)
    one = await replicas.start(["void", asyncio.Event()], timing=rarely)
    other = await replicas.start("whole", timing=rarely)
    thread_id, run_id = await begin_run(one)
    client = Client()
    reading = asyncio.create_task(read_on(other, thread_id, run_id, client))
    await client.has_said("void")
    await one.conn.close(grace_s=0)
    await reading
    client.check()
    assert [event.type for event in client.events if "message" not in event.type] == [
        "run.started",
        "run.retrying",
        "run.completed",
    ]
    assert list(client.said.values())[1:] in ([], ["whole"])


async def test_a_stream_outlives_redis(replicas: Replicas, server: RedisServer) -> None:
    goes_on = asyncio.Event()
    one, other = await replicas.start(["before ", goes_on, "after"]), await replicas.start()
    thread_id, run_id = await begin_run(one)
    client = Client()
    reading = asyncio.create_task(read_on(other, thread_id, run_id, client))
    await client.has_said("before ")
    server.stop()
    goes_on.set()
    await reading
    client.check()
    assert client.events[-1].type == "run.completed"
    assert list(client.said.values()) == ["before after"]


async def test_a_cut_stream_resumes_on_either_replica(replicas: Replicas, server: RedisServer) -> None:
    pace: list[asyncio.Event] = [asyncio.Event() for _ in range(40)]
    words = [part for number, event in enumerate(pace) for part in (f"{number} añ🙂 ", event)]
    one, other = await replicas.start(words), await replicas.start()
    thread_id, run_id = await begin_run(one)
    client = Client()
    for number, event in enumerate(pace):
        if number % 7 == 3:
            server.flush()
        event.set()
        await read_on((one, other)[number % 2], thread_id, run_id, client, most=1)
    while not client.is_done:
        await read_on(other, thread_id, run_id, client)
    client.check()
    assert list(client.said.values()) == ["".join(f"{number} añ🙂 " for number in range(40))]


async def test_forbidden_text_is_on_no_replica_wherever_the_stream_is_cut(replicas: Replicas) -> None:
    """Streamed on the one, resumed on the other in the middle of it, fetched: for each place between two characters."""
    text, seen = "The word is ba\u200bnana, yes.", "The word is [redacted], yes."
    guardrails = [{"type": "blocklist", "patterns": ["banana"], "action": "redact", "stage": "output"}]
    one, two = await replicas.start(), await replicas.start()
    for place in range(1, len(text)):
        gate = asyncio.Event()
        one.provider.answers.append([text[:place], gate, text[place:]])
        thread_id, run_id = await begin_run(one, guardrails=guardrails)
        client = Client()
        # As much as there is before the gate: the process that runs it has published all of that.
        reading = asyncio.create_task(read_on(one, thread_id, run_id, client))
        while not client.events or client.events[-1].type == "run.started":
            await asyncio.sleep(0.001)
        reading.cancel()
        await asyncio.wait({reading})
        gate.set()
        await read_on(two, thread_id, run_id, client)
        late = Client()
        await read_on(two, thread_id, run_id, late)
        history = await MessageStore(two.conn).list(thread_id)
        assert history["data"][-1]["content"] == seen, place
        assert set(client.said.values()) <= {seen}, place
        everything = str([dict(event.data) for each in (client, late) for event in each.events])
        assert "nana" not in everything, place
        assert client.is_done
