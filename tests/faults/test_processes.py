"""Processes that die, stop or come too many: what they leave is taken over."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from tests.fakes.answers import Answer, Text
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.model import MODELS
from tests.faults.support.replica import DidNotStart, Replica
from tests.support.postgres import PostgresServer
from tests.support.stopwatch import Stopwatch
from tests.support.waiting import eventually

# So long that a stop which gives it twice is longer than one may be.
GRACE_S = 7


async def test_one_process_is_the_only_one_and_after_a_kill_the_next_takes_over_at_once(embedded: Cluster) -> None:
    first = await embedded.start()
    thread_id = await embedded.make_thread(first)
    run = await embedded.send(first, thread_id, "words=20 gate=middle at=10")
    source = embedded.follow(first, thread_id, run["id"])
    await source.until_text(20)
    queued = await embedded.send(first, thread_id, "the next one", on_busy="queue")
    second = embedded.add()
    with pytest.raises(DidNotStart) as refused:
        await second.start()
    assert "Another process already runs agents on this database." in refused.value.said
    assert "AI_AGENTS_REDIS_URL" in refused.value.said
    assert "Traceback" not in refused.value.said
    assert await second.ended() != 0
    assert first.is_running
    first.kill()
    embedded.model.gates["middle"].set()
    source.addresses = [second.url]
    await second.start()
    assert (await embedded.get_run(second, thread_id, run["id"]))["attempt"] == 2, "it waits for the dead one's lease"
    ended = await embedded.until_ended(second, thread_id, run["id"])
    assert (ended["status"], ended["attempt"]) == ("completed", 2)
    assert (await embedded.until_ended(second, thread_id, queued["id"]))["status"] == "completed"
    told = await source.finished()
    assert told.types() == ["run.started", "run.retrying", "message.completed", "run.completed"]
    await embedded.check_log(second, thread_id)


async def test_a_stopping_process_hands_its_runs_over_at_once(pair: Cluster) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    run = await pair.send(one, thread_id, "words=30 gate=go at=15")
    source = pair.follow([one, two], thread_id, run["id"])
    await source.until_text(40)
    one.terminate()
    assert await one.ended() == 0
    watch = Stopwatch(two.pid)
    pair.model.gates["go"].set()
    ended = await pair.until_ended(two, thread_id, run["id"])
    assert watch.seconds < 3, "it waited for the lease to run out"
    assert (ended["status"], ended["attempt"]) == ("completed", 2)
    told = await source.finished()
    assert told.types() == ["run.started", "run.retrying", "message.completed", "run.completed"]
    assert source.cuts == 0, "the stopping process cut a stream instead of ending it"


async def test_a_run_that_ends_within_the_grace_is_not_handed_over(pair: Cluster) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    run = await pair.send(one, thread_id, "words=40 pause=0.01")
    source = pair.follow([one, two], thread_id, run["id"])
    await source.until_text()
    one.terminate()
    assert await one.ended(timeout_s=20) == 0
    ended = await pair.get_run(two, thread_id, run["id"])
    assert (ended["status"], ended["attempt"]) == ("completed", 1)
    await source.finished()


async def test_a_stop_keeps_to_its_time_whatever_is_under_way_and_the_next_process_does_the_rest(
    server_directory: Path, sqlite_url: str
) -> None:
    settings = {
        "AI_AGENTS_AUTO_TITLE": "true",
        "AI_AGENTS_JOB_MODEL": f"anthropic:{MODELS['anthropic']}",
        "AI_AGENTS_SHUTDOWN_GRACE_S": str(GRACE_S),
    }
    async with open_cluster(server_directory, sqlite_url, None, **settings) as cluster:
        one, gates = await cluster.start(), cluster.model.gates
        titled, streamed, called = [await cluster.make_thread(one) for _ in range(3)]
        cluster.model.script("anthropic", [Answer([Text([gates["title"], "A title"])])])
        ended = await cluster.send(one, titled, "words=2 please")
        await cluster.until_ended(one, titled, ended["id"])
        await cluster.until_jobs_are(one, "running", 1)
        silent = await cluster.send(one, streamed, "words=3 gate=answer at=1 please")
        source = cluster.follow(one, streamed, silent["id"])
        await source.until_text()
        queued = await cluster.send(one, streamed, "the next one", on_busy="queue")
        cluster.counter.held["slow"] = asyncio.Event()
        calling = await cluster.send(one, called, "call=safe_bump key=slow please")
        await asyncio.wait_for(cluster.counter.arrived["slow"].wait(), 60)

        watch = one.stopwatch()
        one.terminate()
        assert await one.ended() == 0
        assert watch.seconds < GRACE_S + 5

        for gate in gates.values():
            gate.set()
        cluster.counter.held.pop("slow").set()
        await one.start()
        for thread_id, run in ((streamed, silent), (streamed, queued), (called, calling)):
            assert (await cluster.until_ended(one, thread_id, run["id"]))["status"] == "completed"
        await cluster.until_jobs_are(one, "completed", 3)
        assert (await source.finished()).types()[-1] == "run.completed"


async def test_a_process_that_was_stopped_for_a_while_cannot_spoil_what_its_successor_did(pair: Cluster) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    run = await pair.send(one, thread_id, "words=20 gate=go at=10")
    source = pair.follow(two, thread_id, run["id"])
    await source.until_text(20)
    one.pause()
    pair.model.gates["go"].set()
    ended = await pair.until_ended(two, thread_id, run["id"], timeout_s=25)
    assert (ended["status"], ended["attempt"]) == ("completed", 2)
    one.resume()
    told = await source.finished()
    assert told.types() == ["run.started", "run.retrying", "message.completed", "run.completed"]
    again = await pair.send(one, thread_id, "and now?")
    assert (await pair.until_ended(one, thread_id, again["id"]))["status"] == "completed"
    await pair.check_log(two, thread_id)


async def test_one_process_after_a_postgresql_restart(server_directory: Path, own_postgres: PostgresServer) -> None:
    async with open_cluster(server_directory, own_postgres.create_database("faults"), None) as embedded:
        first = await embedded.start()
        thread_id = await embedded.make_thread(first)
        run = await embedded.send(first, thread_id, "words=20 gate=go at=10")
        source = embedded.follow(first, thread_id, run["id"])
        await source.until_text(20)
        own_postgres.kill()
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: is_ready(embedded, first), what="the database, past a pooler, too")
        embedded.model.gates["go"].set()
        assert (await embedded.until_ended(first, thread_id, run["id"]))["attempt"] == 1
        await until_locked(own_postgres)
        with pytest.raises(DidNotStart, match="Another process already runs agents"):
            await embedded.start()
        assert (await source.finished()).types() == ["run.started", "message.completed", "run.completed"]


async def is_ready(cluster: Cluster, at: Replica) -> bool:
    """Whether the process has its database."""
    return (await cluster.call(at, "GET", "/readyz")).status == 200


async def until_locked(postgres: PostgresServer) -> None:
    """Wait until a connection holds the advisory lock of the only process."""
    connection = await asyncpg.connect(postgres.url.replace("+asyncpg", ""))
    try:
        async with asyncio.timeout(60):
            while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"):
                await asyncio.sleep(0.05)
    finally:
        await connection.close()
