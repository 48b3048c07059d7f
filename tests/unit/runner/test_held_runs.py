"""Runs that a process has no room for: queued for their readers, begun when there is room, by any process."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, MessageStore, RunLimits, RunStore, ThreadStore
from ai_agents.core.exceptions import Overloaded, ThreadBusy
from ai_agents.core.upstream import UpstreamSlots
from ai_agents.runner.handle import open_handle
from ai_agents.runner.process.periodic import Timing
from ai_agents.testing import ScriptedProvider
from tests.present import present
from tests.unit.runner.conftest import USER

TIMEOUT_S = 20


@pytest.fixture
def timing() -> Timing:
    """No sweep helps within a test: what a process notices at once has to be enough."""
    return Timing(sweep_every_s=60)


class House:
    """A process with room for `limit` runs, and threads in it. `gates` let the answers of the threads end."""

    def __init__(self, conn: DatabaseHandle, *, limit: int = 1, max_held: int = 100, **options: Any) -> None:
        conn.executor.slots.limit = limit
        conn.executor.slots.max_held = max_held
        self.conn = conn
        self.gates: list[asyncio.Event] = []
        self.provider = ScriptedProvider()
        self.runner = AgentRunner(conn, provider=self.provider, **options)

    async def thread(self, **agent: Any) -> str:
        made = await AgentStore(self.conn).create(name="assistant", **agent)
        return (await ThreadStore(self.conn).create(agent_id=made["id"], owner_id=USER))["id"]

    async def begin(self, thread_id: str | None = None, **options: Any) -> tuple[str, str]:
        """Send a message; the next gate lets its answer end. The thread and the run."""
        gate = asyncio.Event()
        self.gates.append(gate)
        self.provider.answers.append([gate, f"answer {len(self.gates)}"])
        thread_id = thread_id or await self.thread()
        started = await self.runner.start(thread_id, USER, f"question {len(self.gates)}", **options)
        return thread_id, started.run["id"]

    async def status(self, place: tuple[str, str]) -> str:
        return (await RunStore(self.conn).get(*place))["status"]

    async def finish(self, place: tuple[str, str]) -> str:
        """The content of the run's answer."""
        async with asyncio.timeout(TIMEOUT_S):
            outcome = await self.runner.wait(*place)
        assert outcome.run["status"] == "completed", outcome.run
        return present(outcome.message)["content"]

    async def events(self, place: tuple[str, str]) -> list[str]:
        reader = present(await self.runner.read_run(*place))
        async with asyncio.timeout(TIMEOUT_S):
            return [event.type async for event in reader.events() if event.type.startswith("run.")]

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while len(self.provider.requests) < times:
                await asyncio.sleep(0.005)


async def test_a_run_without_room_is_queued_and_begins_when_there_is_room(conn: DatabaseHandle) -> None:
    house = House(conn)
    first = await house.begin()
    second = await house.begin()
    assert (await house.status(first), await house.status(second)) == ("running", "queued")
    assert await MessageStore(conn).list(second[0]) == {"data": [], "next": None}
    reading = asyncio.create_task(house.events(second))
    assert len(house.provider.requests) <= 1
    house.gates[0].set()
    house.gates[1].set()
    assert await reading == ["run.queued", "run.started", "run.completed"]
    assert await house.finish(second) == "answer 2"
    assert [message["content"] for message in (await MessageStore(conn).list(second[0]))["data"]] == [
        "question 2",
        "answer 2",
    ]
    assert conn.executor.slots.used == 0


async def test_held_runs_begin_in_the_order_in_which_they_came(conn: DatabaseHandle) -> None:
    house = House(conn)
    places = [await house.begin() for _ in range(5)]
    positions = [await queued_position(house, place) for place in places[1:]]
    assert positions == [1, 2, 3, 4]
    for gate in house.gates:
        gate.set()
    answers = [await house.finish(place) for place in places]
    # A provider gives its answers in the order in which it is asked.
    assert answers == [f"answer {number}" for number in range(1, 6)]


async def queued_position(house: House, place: tuple[str, str]) -> int:
    reader = present(await house.runner.read_run(*place))
    events = reader.events()
    event = await anext(events)
    await events.aclose()
    return int(event.data["position"])


async def test_a_new_message_does_not_overtake_held_ones(conn: DatabaseHandle) -> None:
    house = House(conn, limit=2)
    await house.begin()
    await house.begin()
    held = await house.begin()
    conn.executor.slots.limit = 3  # as if a place had become free at this moment
    late = await house.begin()
    assert await house.status(late) == "queued"
    for gate in house.gates:
        gate.set()
    assert [await house.finish(place) for place in (held, late)] == ["answer 3", "answer 4"]


async def test_where_too_many_are_held_new_messages_are_refused(conn: DatabaseHandle) -> None:
    house = House(conn, max_held=2)
    places = [await house.begin() for _ in range(3)]
    thread_id = await house.thread()
    with pytest.raises(Overloaded) as refused:
        await house.runner.start(thread_id, USER, "one too many", idempotency_key="k")
    assert refused.value.retry_after_s
    assert (await RunStore(conn).list(thread_id))["data"] == []
    for gate in house.gates:
        gate.set()
    for place in places:
        await house.finish(place)
    # The key of a request that was refused is unused.
    house.provider.answers.append("at last")
    assert (await house.runner.run(thread_id, USER, "one too many", idempotency_key="k"))["content"] == "at last"


async def test_a_thread_with_a_held_run_is_busy(conn: DatabaseHandle) -> None:
    house = House(conn)
    await house.begin()
    held = await house.begin()
    with pytest.raises(ThreadBusy) as busy:
        await house.runner.start(held[0], USER, "Me too!")
    assert busy.value.run_id == held[1]
    behind = await house.begin(held[0], on_busy="queue")
    assert await house.status(behind) == "queued"
    for gate in house.gates:
        gate.set()
    assert [await house.finish(place) for place in (held, behind)] == ["answer 2", "answer 3"]


async def test_interrupting_a_held_run_puts_the_new_one_in_its_place(conn: DatabaseHandle) -> None:
    house = House(conn)
    await house.begin()
    await house.until_asked(1)
    held = await house.begin()
    behind = await house.begin(held[0], on_busy="queue")
    house.provider.answers.clear()
    new = await house.begin(held[0], on_busy="interrupt")
    assert [await house.status(place) for place in (held, behind, new)] == ["cancelled", "cancelled", "queued"]
    # What was written is seen, although it is never answered.
    assert len((await MessageStore(conn).list(held[0]))["data"]) == 2
    for gate in house.gates:
        gate.set()
    assert await house.finish(new) == "answer 4"


async def test_a_cancelled_held_run_lets_the_next_of_its_thread_be_held(conn: DatabaseHandle) -> None:
    house = House(conn)
    await house.begin()
    await house.until_asked(1)
    held = await house.begin()
    behind = await house.begin(held[0], on_busy="queue")
    assert (await house.runner.cancel(*held))["status"] == "cancelled"
    house.provider.answers.pop(0)
    for gate in house.gates:
        gate.set()
    assert await house.finish(behind) == "answer 3"


async def test_the_clock_of_a_held_run_stands_still(conn: DatabaseHandle) -> None:
    house = House(conn, limits=RunLimits(run_time_s=0.3))
    loop = asyncio.get_running_loop()
    gate = asyncio.Event()
    pieces: list[Any] = ["so "] * 5
    house.provider.answers.append([piece for each in pieces for piece in (Tick(0.2), each)])
    talking = await house.thread()
    began = loop.time()
    await house.runner.start(talking, USER, "Talk for a while.")
    house.provider.answers.append([gate, "done"])
    held = await house.thread()
    started = await house.runner.start(held, USER, "Hello!")
    assert started.run["status"] == "queued"
    gate.set()
    assert await house.finish((held, started.run["id"])) == "done"
    assert loop.time() - began > 0.9


class Tick(asyncio.Event):
    """An event that takes place after a while."""

    def __init__(self, delay_s: float) -> None:
        super().__init__()
        self._delay_s = delay_s

    async def wait(self) -> Any:
        """Wait for it."""
        await asyncio.sleep(self._delay_s)


async def test_a_judge_needs_no_slot_beside_its_run(conn: DatabaseHandle) -> None:
    house = House(conn)
    judge = {"type": "judge", "provider": "scripted", "model": "scripted", "policy": "Be kind.", "stage": "both"}
    thread_id = await house.thread(guardrails=[judge])
    house.provider.answers += ['{"allowed": true}', "Hello.", '{"allowed": true}']
    async with asyncio.timeout(TIMEOUT_S):
        await house.runner.run(thread_id, USER, "Hello!")
    assert len(house.provider.requests) == 3
    assert conn.executor.slots.used == 0


@pytest.fixture
async def successor(database_url: str) -> AsyncIterator[Any]:
    """Open another handle on the same database."""
    opened: list[DatabaseHandle] = []

    async def open_it() -> DatabaseHandle:
        opened.append(await open_handle(database_url, timing=Timing(sweep_every_s=0.05), slots=UpstreamSlots(1)))
        return opened[-1]

    yield open_it
    for handle in opened:
        await handle.close(grace_s=0)


async def test_a_held_run_outlives_its_process(conn: DatabaseHandle, successor: Any) -> None:
    house = House(conn)
    running = await house.begin()
    held = [await house.begin() for _ in range(3)]
    await conn.executor.drain(0)
    next_house = House(await successor())
    next_house.provider.answers += [f"new answer {number}" for number in range(4)]
    await next_house.runner.open()
    answers = [await next_house.finish(place) for place in (running, *held)]
    assert sorted(answers) == [f"new answer {number}" for number in range(4)]
    assert answers[1:] == sorted(answers[1:])


async def test_a_process_that_stops_begins_no_held_run(conn: DatabaseHandle) -> None:
    house = House(conn)
    running = await house.begin()
    held = await house.begin()
    house.gates[0].set()
    draining = asyncio.create_task(conn.executor.drain(TIMEOUT_S))
    async with asyncio.timeout(TIMEOUT_S):
        await draining
        # It looks for held runs once more, and leaves them to other processes.
        await conn.executor._sweep()
    assert [await house.status(place) for place in (running, held)] == ["completed", "queued"]
