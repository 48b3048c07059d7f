"""Runs that wait for their client through the end of every process, and after its results are given."""

import asyncio
from typing import Any

from tests.faults.support.cluster import Cluster
from tests.faults.support.replica import Replica
from tests.faults.support.stream import EventSource

LOOK = {"name": "look", "parameters": {"type": "object", "properties": {"key": {"type": "string"}}}}


async def begin(pair: Cluster, at: Replica, text: str) -> tuple[EventSource, str, dict[str, Any]]:
    """Send a message whose model calls the client: a follower, the path of the results, and the results."""
    thread_id = await pair.make_thread(at)
    run = await pair.send(at, thread_id, text, tools=[LOOK])
    source = pair.follow(pair.replicas[1], thread_id, run["id"])
    await source.until(lambda told: "run.waiting" in told.types())
    (call,) = next(event for event in source.told.rows if event.type == "run.waiting").data["client_calls"]
    path = f"/threads/{thread_id}/runs/{run['id']}"
    return source, path, {"results": [{"tool_call_id": call["tool_call_id"], "result": "rain"}]}


async def check_ended(pair: Cluster, at: Replica, source: EventSource, path: str, *, attempt: int) -> None:
    """The run has ended with one result, and each event was told once."""
    _, _, thread_id, _, run_id = path.split("/")
    ended = await pair.until_ended(at, thread_id, run_id)
    assert (ended["status"], ended["attempt"]) == ("completed", attempt)
    told = await source.finished()
    results = [event.data for event in told.rows if event.type == "tool.completed"]
    assert [(each["result"], each["is_error"]) for each in results] == [("rain", False)]
    await pair.check_log(at, thread_id)


async def test_a_run_that_waits_survives_kills_and_is_answered_elsewhere(pair: Cluster) -> None:
    one, two = pair.replicas
    source, path, results = await begin(pair, one, "call=look key=k")
    one.kill()
    two.kill()
    await asyncio.gather(one.start(), two.start())
    given = await asyncio.gather(
        *(pair.call(at, "POST", f"{path}/tool_results", results) for at in (one, two, one, two))
    )
    assert sorted(answer.status for answer in given) == [200, 409, 409, 409]
    await check_ended(pair, two, source, path, attempt=1)
    # A kill right after the results loses none.
    source, path, results = await begin(pair, one, "call=look key=k gate=g")
    (await pair.call(one, "POST", f"{path}/tool_results", results)).ok()
    one.kill()
    pair.model.gates["g"].set()
    await check_ended(pair, two, source, path, attempt=2)
