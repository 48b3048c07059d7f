"""Jobs in the process that runs the agents, as with the library alone."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ai_agents import AgentRunner, AgentStore, DatabaseHandle, ThreadStore, connect
from ai_agents.runner.handle import open_handle
from ai_agents.store.jobs import JobStore
from ai_agents.store.thread_log import list_after
from ai_agents.testing import InMemoryJobQueue, ScriptedProvider
from ai_agents.workers import queue_summarization, queue_title_generation
from ai_agents.workers.erasure import request_erasure
from ai_agents.workers.queue import configure_queue
from tests.support.waiting import eventually

SUMMARY = "Ada asked questions, and each of them was answered."


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[DatabaseHandle]:
    """The public `connect`."""
    handle = await connect(database_url)
    yield handle
    await handle.close(grace_s=0)


async def new_thread(conn: DatabaseHandle, **agent: object) -> str:
    created = await AgentStore(conn).create(name="assistant", **agent)  # type: ignore[arg-type]  # fields pass through
    return str((await ThreadStore(conn).create(created["id"], owner_id="ada"))["id"])


async def done(conn: DatabaseHandle, count: int) -> bool:
    page = await JobStore(conn).list(status="completed")
    return len(page["data"]) == count


async def test_a_thread_gets_one_title_and_one_summary_without_being_asked(conn: DatabaseHandle) -> None:
    provider = ScriptedProvider("a1", "A title", "a2", "a3", SUMMARY, "a4")
    runner = AgentRunner(conn, provider=provider, auto_title=True)
    thread_id = await new_thread(conn, memory={"strategy": "summarize", "recent": 2})
    await runner.run(thread_id, "ada", "q1")
    await eventually(lambda: done(conn, 1))
    await runner.run(thread_id, "ada", "q2")
    assert await JobStore(conn).list(status="queued") == {"data": [], "next": None}, "4 messages are not more than 4"
    await runner.run(thread_id, "ada", "q3")
    await eventually(lambda: done(conn, 2))

    thread = await ThreadStore(conn).get(thread_id)
    assert (thread["title"], thread["summary"]) == ("A title", SUMMARY)
    await runner.run(thread_id, "ada", "q4")
    sent = str(provider.requests[-1].messages)
    assert SUMMARY in sent
    assert "q3" in sent
    assert "q2" not in sent
    assert len((await JobStore(conn).list())["data"]) == 2
    rows = await conn.database.read(lambda c: list_after(c, thread_id, 0))
    types = [row.type for row in rows]
    assert types.count("thread.updated") == types.count("context.compacted") == 1


async def test_an_open_stream_gets_the_event_of_a_new_title(conn: DatabaseHandle) -> None:
    runner = AgentRunner(conn, provider=ScriptedProvider("an answer", "A title"), auto_title=True)
    thread_id = await new_thread(conn)
    reader = await runner.read_thread(thread_id)
    await runner.run(thread_id, "ada", "Hello!")
    async with asyncio.timeout(60):
        async for event in reader.events():
            if event.type == "thread.updated":
                assert event.data["thread"]["title"] == "A title"
                break


async def test_a_failed_run_queues_no_title(conn: DatabaseHandle) -> None:
    runner = AgentRunner(conn, auto_title=True)
    thread_id = await new_thread(conn)
    with pytest.raises(Exception, match="provider"):
        await runner.run(thread_id, "ada", "Hello!")
    assert (await JobStore(conn).list())["data"] == []


async def test_queued_jobs_run_in_this_process(conn: DatabaseHandle) -> None:
    AgentRunner(conn, provider=ScriptedProvider("A title"))
    thread = await ThreadStore(conn).create(
        (await AgentStore(conn).create(name="assistant"))["id"], messages=[{"role": "user", "content": "Hello!"}]
    )
    await queue_title_generation(thread["id"])
    await queue_summarization(thread["id"])
    await eventually(lambda: done(conn, 2))
    assert (await ThreadStore(conn).get(thread["id"]))["title"] == "A title"


async def test_slow_models_do_not_hold_up_jobs_that_ask_none(conn: DatabaseHandle) -> None:
    never = asyncio.Event()
    runner = AgentRunner(conn, provider=ScriptedProvider("an answer", "another", [never], [never]))
    threads = [await new_thread(conn) for _ in range(2)]
    for thread_id in threads:
        await runner.run(thread_id, "ada", "Hello!")
    for thread_id in threads:
        await queue_title_generation(thread_id)
    store = JobStore(conn)

    async def are_running() -> bool:
        return len((await store.list(status="running"))["data"]) == 2

    await eventually(are_running)
    await conn.database.write(lambda c: request_erasure(c, "someone"))
    await eventually(lambda: done(conn, 1))
    assert await are_running()


async def test_a_configured_queue_replaces_the_outbox(conn: DatabaseHandle) -> None:
    queue = InMemoryJobQueue()
    thread_id = await new_thread(conn)
    configure_queue(queue)
    try:
        await queue_title_generation(thread_id)
        await queue_summarization(thread_id)
    finally:
        configure_queue(None)

    assert queue.jobs == [(thread_id, "title"), (thread_id, "summarize")]
    assert (await JobStore(conn).list())["data"] == []


async def test_a_job_that_another_process_left_is_found(conn: DatabaseHandle, database_url: str) -> None:
    thread_id = await new_thread(conn)
    async with await open_handle(database_url) as other:
        await ThreadStore(other).update(thread_id, {"metadata": {"by": "another"}})
        await queue_title_generation(thread_id)
    runner = AgentRunner(conn, provider=ScriptedProvider())
    await runner.open()
    await eventually(lambda: done(conn, 1))


async def test_closing_waits_for_running_jobs(database_url: str) -> None:
    conn = await connect(database_url)
    runner = AgentRunner(conn, provider=ScriptedProvider("an answer", "A title"), auto_title=True)
    thread_id = await new_thread(conn)
    await runner.run(thread_id, "ada", "Hello!")
    await conn.close()
    async with await open_handle(database_url) as again:
        assert (await ThreadStore(again).get(thread_id))["title"] == "A title"


async def test_closing_without_grace_leaves_the_job_to_the_next_process(database_url: str) -> None:
    never = asyncio.Event()
    conn = await connect(database_url)
    provider = ScriptedProvider("an answer", [never, "x"])
    runner = AgentRunner(conn, provider=provider, auto_title=True)
    thread_id = await new_thread(conn)
    await runner.run(thread_id, "ada", "Hello!")
    while len(provider.requests) < 2:
        await asyncio.sleep(0)
    await conn.close(grace_s=0)
    async with await open_handle(database_url) as again:
        (job,) = (await JobStore(again).list())["data"]
        assert (job["status"], job["attempts"]) == ("queued", 0)
