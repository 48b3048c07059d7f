"""Streams go on, and stay correct, while Redis is killed, restarted, emptied or stopped."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.api.matrix import ROWS, Calculating, make_things
from tests.api.service import open_service, settings_for
from tests.api.test_matrix_in_space import ask
from tests.faults.conftest import revive
from tests.faults.support.cluster import Cluster
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer
from tests.support.stopwatch import Stopwatch

AT_ONCE_S = 2.0
Harm = Callable[[RedisServer], Awaitable[None]]


async def kill(server: RedisServer) -> None:
    """Kill it for the rest of the stream."""
    server.kill()


async def restart(server: RedisServer) -> None:
    """Kill it, and start it again empty."""
    server.kill()
    await asyncio.sleep(0.4)
    await asyncio.to_thread(server.start)


async def flush(server: RedisServer) -> None:
    """Empty it ten times."""
    for _ in range(10):
        await asyncio.to_thread(server.flush)
        await asyncio.sleep(0.1)


async def stop_for_a_while(server: RedisServer) -> None:
    """Stop it for some seconds, with its connections open."""
    os.kill(server.pid, signal.SIGSTOP)
    await asyncio.sleep(2.5)
    os.kill(server.pid, signal.SIGCONT)


async def stop_for_good(server: RedisServer) -> None:
    """Stop it for the rest of the stream, with its connections open."""
    os.kill(server.pid, signal.SIGSTOP)


@pytest.mark.parametrize("harm", [kill, restart, flush, stop_for_a_while, stop_for_good])
async def test_streams_go_on_whatever_happens_to_redis(pair: Cluster, redis_server: RedisServer, harm: Harm) -> None:
    one, two = pair.replicas
    threads = [await pair.make_thread(at) for at in (one, two)]
    runs = [await pair.send(at, t, "words=150 pause=0.02") for at, t in zip((one, two), threads, strict=True)]
    watch = Stopwatch(one.pid, two.pid)
    sources = []
    for thread_id, run in zip(threads, runs, strict=True):
        sources += [pair.follow(at, thread_id, run["id"]) for at in (one, two, [one, two])]
        sources.append(pair.follow([two, one], thread_id))
    for source in sources:
        await source.until_text(20)
    await harm(redis_server)
    late = [pair.follow(at, t, run["id"]) for at in (two, one) for t, run in zip(threads, runs, strict=True)]
    for thread_id, run in zip(threads, runs, strict=True):
        ended = await pair.until_ended(one, thread_id, run["id"])
        assert (ended["status"], ended["attempt"]) == ("completed", 1)
    assert watch.seconds < 15, "Redis held the runs up"
    for source in [*sources, *late]:
        if source.told.run_id is None:
            await source.until(lambda told: "run.completed" in told.types(), timeout_s=60)
        else:
            await source.finished(timeout_s=60)
        assert source.cuts == source.refusals == 0
    revive(redis_server)
    # Once Redis is back, previews of one process are seen on the other again.
    run = await pair.send(one, threads[0], "words=20 gate=go at=10")
    source = pair.follow(two, threads[0], run["id"])
    await source.until_text(40, timeout_s=60)
    pair.model.gates["go"].set()
    await source.finished()
    for thread_id in threads:
        await pair.check_log(two, thread_id)


async def test_processes_start_and_answer_without_redis(pair: Cluster, redis_server: RedisServer) -> None:
    one, two = pair.replicas
    redis_server.kill()
    one.kill()
    await one.start()
    thread_id = await pair.make_thread(one)
    run = await pair.send(one, thread_id, "words=20 pause=0.01")
    told = await pair.follow([two, one], thread_id, run["id"]).finished(timeout_s=60)
    assert told.types() == ["run.started", "message.completed", "run.completed"]


async def test_no_route_fails_or_waits_without_redis(postgresql_url: str, tmp_path: Path) -> None:
    settings = settings_for(
        postgresql_url,
        tmp_path,
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
        max_requests_per_minute=100_000,
        outbound_allow="127.0.0.1",
    )
    async with open_service(settings) as service:
        service.app.state.overload.close()  # loading Celery on a busy machine may look like it
        service.container.providers.add(Calculating())
        alice, admin = await service.user("alice"), await service.admin()
        things = await make_things(service, alice)
        for operation, row in ROWS.items():
            for client in (alice, admin):
                watch = Stopwatch()
                answer = await ask(client, operation, row, things)
                assert watch.seconds < AT_ONCE_S, operation
                assert answer.status_code < 500, (operation, answer.text)
