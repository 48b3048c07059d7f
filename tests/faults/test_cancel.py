"""A cancel from any process stops the upstream call within a second and keeps what was said."""

import asyncio

import pytest

from tests.faults.support.cluster import Cluster
from tests.support.redis_server import RedisServer
from tests.support.stopwatch import Stopwatch

CLOSED_WITHIN_S = 1.0


async def upstream_closed_s(cluster: Cluster, watch: Stopwatch) -> float:
    """How long it took until the provider saw the client leave."""
    await asyncio.wait_for(cluster.model.requests[-1].left.wait(), 60)
    return watch.seconds


async def test_a_cancel_from_another_process_closes_the_upstream_call_and_keeps_the_text(pair: Cluster) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    run = await pair.send(one, thread_id, "words=30 gate=never at=15")
    source = pair.follow(two, thread_id, run["id"])
    await source.until_text(60)
    watch = Stopwatch(one.pid, two.pid)
    cancelling = asyncio.create_task(pair.call(two, "POST", f"/threads/{thread_id}/runs/{run['id']}/cancel"))
    assert await upstream_closed_s(pair, watch) < CLOSED_WITHIN_S
    ended = (await cancelling).ok()
    assert ended["status"] == "cancelled"
    told = await source.finished()
    said = (await pair.history(one, thread_id))[-1]
    assert (said["status"], said["content"]) == ("incomplete", told.texts[said["id"], "text"])
    assert (await pair.call(one, "POST", f"/threads/{thread_id}/runs/{run['id']}/cancel")).ok() == ended


async def test_a_cancel_before_the_first_token_leaves_no_message(pair: Cluster) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    run = await pair.send(one, thread_id, "gate=never")
    async with asyncio.timeout(60):
        while not pair.model.requests:
            await asyncio.sleep(0.01)
    watch = Stopwatch(one.pid, two.pid)
    cancelling = asyncio.create_task(pair.call(two, "POST", f"/threads/{thread_id}/runs/{run['id']}/cancel"))
    assert await upstream_closed_s(pair, watch) < CLOSED_WITHIN_S
    assert (await cancelling).ok()["status"] == "cancelled"
    assert [message["role"] for message in await pair.history(two, thread_id)] == ["user"]
    again = await pair.send(two, thread_id, "still there?")
    assert (await pair.until_ended(two, thread_id, again["id"]))["status"] == "completed"


async def test_without_redis_a_cancel_is_read_from_the_database(pair: Cluster, redis_server: RedisServer) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    run = await pair.send(one, thread_id, "words=30 gate=never at=15")
    source = pair.follow(one, thread_id, run["id"])
    await source.until_text(60)
    redis_server.kill()
    watch = Stopwatch(one.pid, two.pid)
    cancelling = asyncio.create_task(pair.call(two, "POST", f"/threads/{thread_id}/runs/{run['id']}/cancel"))
    assert await upstream_closed_s(pair, watch) < CLOSED_WITHIN_S
    assert (await cancelling).ok()["status"] == "cancelled"


@pytest.mark.parametrize("pause", ["0", "0.002"])
async def test_cancels_that_race_with_the_end_never_overwrite_a_finished_run(pair: Cluster, pause: str) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    for number in range(10):
        run = await pair.send(one, thread_id, f"words=10 pause={pause} number={number}")
        path = f"/threads/{thread_id}/runs/{run['id']}"
        await asyncio.sleep(0.004 * number)
        answers = await asyncio.gather(*(pair.call(at, "POST", f"{path}/cancel") for at in (one, two, one)))
        ends = [answer.ok() for answer in answers]
        assert ends[0]["status"] in {"completed", "cancelled"}
        assert ends == [ends[0]] * 3
        assert await pair.get_run(two, thread_id, run["id"]) == {**ends[0], "upstream": None}
    log = await pair.check_log(one, thread_id)
    assert len([row for row in log if row["type"] in {"run.completed", "run.cancelled"}]) == 10
