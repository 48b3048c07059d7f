"""Many open streams on one process: none holds a database connection, and stopping ends them all in order."""

import asyncio

import asyncpg
import pytest

from tests.faults.conftest import amount
from tests.faults.support.cluster import Cluster
from tests.faults.support.stream import EventSource
from tests.support.postgres import PostgresServer
from tests.support.stopwatch import Stopwatch

pytestmark = [pytest.mark.soak, pytest.mark.alone]
IDLE = amount(sample=200, all_of_it=1000)
BUSY = amount(sample=30, all_of_it=100)
STOPPED = amount(sample=100, all_of_it=200)
# What a process has by default, and there are two.
POOL = 10


async def open_streams(cluster: Cluster, thread_ids: list[str], count: int) -> list[EventSource]:
    """Streams of these threads on the first process, open."""
    sources = [cluster.follow(cluster.replicas[0], thread_ids[number % len(thread_ids)]) for number in range(count)]
    await asyncio.gather(*(source.until_open() for source in sources))
    return sources


async def database_activity(postgres: PostgresServer, database_url: str) -> tuple[int, int]:
    """How many connections the service has, and how many of them are in a transaction or a statement."""
    connection = await asyncpg.connect(postgres.url.replace("+asyncpg", ""))
    try:
        states = await connection.fetch(
            "SELECT state FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'",
            database_url.rpartition("/")[2],
        )
    finally:
        await connection.close()
    return len(states), sum(row["state"] != "idle" for row in states)


async def test_many_streams_hold_no_database_connection(pair: Cluster, postgres: PostgresServer) -> None:
    one, _ = pair.replicas
    idle_threads = [await pair.make_thread(one) for _ in range(10)]
    busy_threads = await asyncio.gather(*(pair.make_thread(one) for _ in range(BUSY)))
    idle = await open_streams(pair, idle_threads, IDLE)
    runs = await asyncio.gather(*(pair.send(one, t, "words=20 gate=go at=10") for t in busy_threads))
    busy = [pair.follow(one, t, run["id"]) for t, run in zip(busy_threads, runs, strict=True)]
    await asyncio.gather(*(source.until_text(20, timeout_s=60) for source in busy))
    async with asyncio.timeout(60):
        # The streams are open and quiet: what still works in the database is not theirs, and on busy cores takes long.
        while (activity := await database_activity(postgres, pair.database_url))[1]:
            await asyncio.sleep(0.1)
    assert activity[0] <= 2 * POOL
    watch = Stopwatch(one.pid)
    await pair.get_run(one, busy_threads[0], runs[0]["id"])
    assert watch.seconds < 1
    pair.model.gates["go"].set()
    for source in busy:
        assert (await source.finished(timeout_s=60)).types()[-1] == "run.completed"
    assert not any(source.cuts or source.refusals for source in idle)
    # An idle stream is alive: what happens in its thread arrives.
    run = await pair.send(one, idle_threads[0], "hello")
    await pair.until_ended(one, idle_threads[0], run["id"])
    for source in idle[:: len(idle_threads)]:
        await source.until(lambda told: "run.completed" in told.types())


async def test_stopping_ends_every_stream_in_order_with_an_id_to_resume_from(pair: Cluster) -> None:
    one, two = pair.replicas
    quiet = await pair.make_thread(one)
    said = await pair.send(one, quiet, "hello")
    await pair.until_ended(one, quiet, said["id"])
    speaking = [await pair.make_thread(one) for _ in range(4)]
    runs = [await pair.send(one, thread_id, "words=400 pause=0.05") for thread_id in speaking]
    sources = await open_streams(pair, [quiet], STOPPED // 2)
    sources += [
        pair.follow(one, t, run["id"]) for t, run in zip(speaking, runs, strict=True) for _ in range(STOPPED // 8)
    ]
    for source in sources:
        await source.until(lambda told: bool(told.rows))
        source.addresses = [two.url]
    one.terminate()
    assert await one.ended() == 0
    assert {source.cuts for source in sources} == {0}
    assert all(source.told.last_event_id for source in sources)
    await pair.send(two, quiet, "and on")
    for source in sources:
        if source.told.run_id is None:
            await source.until(lambda told: told.types().count("run.completed") == 2)
    for thread_id, run in zip(speaking, runs, strict=True):
        await pair.call(two, "POST", f"/threads/{thread_id}/runs/{run['id']}/cancel")
    for source in sources:
        if source.told.run_id is not None:
            told = await source.finished()
            assert [name for name in told.types() if name.startswith("run.")] == [
                "run.started",
                "run.retrying",
                "run.cancelled",
            ]
