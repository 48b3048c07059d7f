"""A process that dies leaves its runs; another takes them over, and the thread stays one that providers accept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, MessageStore, RunStore, ThreadStore, Tool, ToolRegistry
from ai_agents.bus.base import Bus, Channel
from ai_agents.core.exceptions import SecondProcess
from ai_agents.core.rows import Run
from ai_agents.providers.errors import error_from_response
from ai_agents.runner.handle import open_handle
from ai_agents.runner.process.periodic import Timing
from ai_agents.runner.process.sole_process import sole_process
from ai_agents.store import thread_log
from ai_agents.store.database import Database
from ai_agents.store.provider_tables import ModelCallTable
from ai_agents.testing import ScriptedProvider, tool_call
from tests.present import present

USER = "ada"


class DeafBus(Bus):
    """The bus while Redis is away: a process hears nothing of the others."""

    def hold(self, thread_id: str) -> Channel:
        channel = super().hold(thread_id)
        channel.live = False
        return channel


class Process:
    """A runner with connections of its own, as another process would have; `die` is what `kill -9` leaves behind."""

    def __init__(self, url: str, *answers: object, tools: ToolRegistry | None = None, timing: Timing) -> None:
        self.provider = ScriptedProvider(*answers)  # type: ignore[arg-type]  # answers of any kind pass through
        self.conn = DatabaseHandle(Database(url), DeafBus(), shared=True, timing=timing)
        self.runner = AgentRunner(self.conn, provider=self.provider, tools=tools)

    async def die(self) -> None:
        executor = self.conn.executor
        periodic = executor._periodic
        tasks = [running.task for running in executor._running.values()]
        for running in executor._running.values():
            running.turn.stop("lease_lost")
        for task in [*tasks, *([periodic] if periodic else [])]:
            task.cancel()
        await asyncio.gather(*tasks, *([periodic] if periodic else []), return_exceptions=True)
        executor._periodic = None

    async def thread(self, tools: ToolRegistry | None = None) -> str:
        names = [tool.name for tool in tools.list_tools()] if tools else []
        agent = await AgentStore(self.conn).create(name="assistant", tools=names)
        return str((await ThreadStore(self.conn).create(agent_id=agent["id"], owner_id=USER))["id"])

    async def ended(self, thread_id: str, run_id: str) -> Run:
        async with asyncio.timeout(60):
            return (await self.runner.wait(thread_id, run_id)).run

    async def history(self, thread_id: str) -> list[Any]:
        return (await MessageStore(self.conn).list(thread_id, limit=100))["data"]


StartProcess = Callable[..., Process]


# Leases of a second, so that a takeover does not take ten.
HASTY = Timing(lease_s=1.0, renew_every_s=0.1, sweep_every_s=0.1, cancel_poll_s=0.05)


@pytest.fixture
async def start(database_url: str) -> AsyncIterator[StartProcess]:
    """Start processes on one database."""
    made: list[Process] = []

    def make(*answers: object, tools: ToolRegistry | None = None, timing: Timing = HASTY) -> Process:
        made.append(Process(database_url, *answers, tools=tools, timing=timing))
        return made[-1]

    yield make
    for process in made:
        await process.conn.close(grace_s=0)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_a_model_call_that_died_with_its_process_is_recorded_as_lost(start: StartProcess) -> None:
    one, two = start(["Half an", asyncio.Event()]), start("A whole answer.")
    thread_id = await one.thread()
    run = (await one.runner.start(thread_id, USER, "Hello!")).run
    await two.runner.open()
    await until(lambda: asyncio.sleep(0, bool(one.provider.requests)))

    await one.die()
    ended = await two.ended(thread_id, run["id"])

    columns = (
        ModelCallTable.outcome,
        ModelCallTable.input_tokens,
        ModelCallTable.output_tokens,
        ModelCallTable.estimated,
    )
    statement = select(*columns).where(ModelCallTable.run_id == run["id"]).order_by(ModelCallTable.id)
    lost, completed = await two.conn.database.read(lambda c: c.execute(statement).all())
    assert (lost.outcome, lost.output_tokens, lost.estimated) == ("lost", None, True)
    assert (completed.outcome, completed.estimated) == ("completed", False)
    assert present(ended["usage"])["input_tokens"] == lost.input_tokens + completed.input_tokens


async def test_a_run_whose_process_died_is_answered_by_another(start: StartProcess) -> None:
    one, two = start(["Half an", asyncio.Event()]), start("A whole answer.")
    thread_id = await one.thread()
    run = (await one.runner.start(thread_id, USER, "Hello!")).run
    await two.runner.open()
    reader = await two.runner.read_run(thread_id, run["id"])
    assert reader is not None
    await one.die()
    events = [event async for event in reader.events()]
    assert (await two.ended(thread_id, run["id"]))["attempt"] == 2
    assert [message["content"] for message in await two.history(thread_id)] == ["Hello!", "A whole answer."]
    assert [event.type for event in events if event.type.startswith("run.")] == [
        "run.started",
        "run.retrying",
        "run.completed",
    ]
    assert "".join(map(str, events)) == "A whole answer."


async def test_after_three_attempts_a_run_fails_and_its_thread_is_usable(start: StartProcess) -> None:
    first = start(["never", asyncio.Event()])
    thread_id = await first.thread()
    run = (await first.runner.start(thread_id, USER, "Hello!")).run
    process = first
    for _ in range(2):
        await process.die()
        process = start(["never", asyncio.Event()], "later")
        await process.runner.open()

        async def taken(process: Process = process) -> bool:
            return bool(process.provider.requests)

        await until(taken)
    joined = await process.runner.start(thread_id, USER, "Hello?", on_busy="steer")
    await process.die()
    last = start("later")
    await last.runner.open()
    ended = await last.ended(thread_id, run["id"])
    assert (ended["status"], present(ended["error"])["code"], ended["attempt"]) == ("failed", "run_interrupted", 3)
    # A message that waited to join the run is unanswered, and in the history.
    assert present((await last.runner.wait_for_answer(joined)).failure)["code"] == "run_interrupted"
    assert (await last.runner.run(thread_id, USER, "Again?"))["content"] == "later"
    said = [message["content"] for message in await last.history(thread_id)]
    assert said == ["Hello!", "Hello?", "Again?", "later"]


class Counter(Tool):
    """Counts how often it was run, and then hangs."""

    name = "count"

    def __init__(self, *, retry_safe: bool) -> None:
        self.retry_safe = retry_safe
        self.runs = 0
        self.go_on = asyncio.Event()

    async def execute(self) -> str:
        self.runs += 1
        await self.go_on.wait()
        return f"run {self.runs}"


@pytest.mark.parametrize("retry_safe", [True, False])
async def test_a_begun_tool_call_is_made_again_only_if_it_is_retry_safe(start: StartProcess, retry_safe: bool) -> None:
    counter = Counter(retry_safe=retry_safe)
    tools = ToolRegistry([counter])
    one, two = start([tool_call("count")], tools=tools), start("done", tools=tools)
    thread_id = await one.thread(tools)
    run = (await one.runner.start(thread_id, USER, "go")).run

    async def began() -> bool:
        return counter.runs == 1

    await until(began)
    await one.die()
    counter.go_on.set()
    await two.runner.open()
    assert (await two.ended(thread_id, run["id"]))["status"] == "completed"
    assert counter.runs == (2 if retry_safe else 1)
    result = (await two.history(thread_id))[2]["parts"][0]
    assert result["is_error"] is not retry_safe
    rows = await two.conn.database.read(lambda c: thread_log.list_after(c, thread_id, 0))
    assert [row.type for row in rows].count("tool.completed") == 1


async def test_a_run_that_was_taken_over_and_is_refused_does_not_block_its_thread(start: StartProcess) -> None:
    tool = Counter(retry_safe=True)
    tool.go_on.set()
    tools = ToolRegistry([tool])
    one = start([tool_call("count")], [asyncio.Event()], tools=tools)
    # The model took the question before, and now refuses the request without a reason: what the tool returned is new.
    two = start(error_from_response("scripted", 400, {}, b"Bad Request"), "Later.", tools=tools)
    thread_id = await one.thread(tools)
    run = (await one.runner.start(thread_id, USER, "Count!")).run

    async def asked_again() -> bool:
        return len(one.provider.requests) == 2

    await until(asked_again)
    await one.die()
    await two.runner.open()

    assert present((await two.ended(thread_id, run["id"]))["error"])["code"] == "provider_rejected"
    assert [message.get("refused") for message in await two.history(thread_id)] == [True, True, True]
    assert (await two.runner.run(thread_id, USER, "And now?"))["content"] == "Later."
    assert len(two.provider.requests[-1].messages) == 1


async def test_an_owner_whose_lease_expired_cannot_write_any_more(start: StartProcess) -> None:
    go_on = asyncio.Event()
    # It renews no lease in time: as if the process had been stopped for a while.
    one = start(["I was away", go_on], timing=replace(HASTY, renew_every_s=3600.0))
    two = start("I answered instead")
    thread_id = await one.thread()
    run = (await one.runner.start(thread_id, USER, "Hello!")).run
    await two.runner.open()
    assert (await two.ended(thread_id, run["id"]))["status"] == "completed"
    go_on.set()

    async def gone() -> bool:
        return one.conn.executor.running == 0

    await until(gone)
    assert [message["content"] for message in await two.history(thread_id)] == ["Hello!", "I answered instead"]


async def test_a_cancellation_on_another_process_stops_the_run(start: StartProcess) -> None:
    one, two = start(["Some text", asyncio.Event()]), start()
    thread_id = await one.thread()
    run = (await one.runner.start(thread_id, USER, "Hello!")).run

    async def asked() -> bool:
        return bool(one.provider.requests)

    await until(asked)
    await two.runner.open()
    async with asyncio.timeout(60):
        cancelled = await two.runner.cancel(thread_id, run["id"])
    assert cancelled["status"] == "cancelled"
    assert one.provider.closed == 1


async def test_a_cancelled_run_whose_process_died_ends_cancelled_and_lets_the_next_begin(start: StartProcess) -> None:
    one, two = start(["Some text", asyncio.Event()]), start("next answer")
    thread_id = await one.thread()
    run = (await one.runner.start(thread_id, USER, "Hello!")).run
    queued = (await one.runner.start(thread_id, USER, "Next!", on_busy="interrupt")).run
    await one.die()
    await two.runner.open()
    assert (await two.ended(thread_id, queued["id"]))["status"] == "completed"
    assert (await RunStore(two.conn).get(thread_id, run["id"]))["status"] == "cancelled"


async def test_stopping_hands_runs_over_at_once(start: StartProcess) -> None:
    one = start(["Half", asyncio.Event()], timing=replace(HASTY, lease_s=60.0))
    two = start("Whole", timing=replace(HASTY, lease_s=60.0))
    thread_id = await one.thread()
    run = (await one.runner.start(thread_id, USER, "Hello!")).run
    await two.runner.open()
    await one.conn.close(grace_s=0)
    assert (await two.ended(thread_id, run["id"]))["status"] == "completed"


async def test_a_second_process_without_redis_is_refused(database_url: str) -> None:
    first, second = await open_handle(database_url), await open_handle(database_url)
    await AgentRunner(first, provider=ScriptedProvider()).open()
    try:
        with pytest.raises(SecondProcess, match="Redis"):
            await AgentRunner(second, provider=ScriptedProvider()).open()
        await first.close()
        await AgentRunner(second, provider=ScriptedProvider()).open()
    finally:
        await first.close()
        await second.close()


async def test_the_lock_of_the_sole_process_is_taken_again_after_the_database_restarts(postgresql_url: str) -> None:
    """A lost session loses its lock; its holder takes it again before another process does."""
    lock = sole_process(Database(postgresql_url))
    other = sole_process(Database(postgresql_url))
    await lock.acquire()
    database = Database(postgresql_url)
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    await database.write(lambda c: c.exec_driver_sql(kill).all())
    await lock.keep()
    with pytest.raises(SecondProcess):
        await other.acquire()
    await database.write(lambda c: c.exec_driver_sql(kill).all())
    await other.acquire()
    with pytest.raises(SecondProcess):
        await lock.keep()
    for each in (lock, other):
        await each.release()
    await database.close()
