"""Runs that wait for a person or their client through the end of every process, and are answered after it."""

import asyncio
from typing import Any

from tests.faults.support.cluster import Cluster
from tests.faults.support.stream import EventSource

TOOLS = [{"name": "bump", "approval": "always"}]
LOOK = {"name": "look", "parameters": {"type": "object", "properties": {"key": {"type": "string"}}}}


def result_of(source: EventSource) -> dict[str, Any]:
    """The result of the client's call that waits."""
    waiting = next(event for event in source.told.rows if event.type == "run.waiting").data
    (call,) = waiting["client_calls"]
    return {"results": [{"tool_call_id": call["tool_call_id"], "result": "rain"}]}


async def test_a_run_that_waits_survives_kills_and_is_answered_elsewhere(pair: Cluster) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one, tools=TOOLS)
    run = await pair.send(one, thread_id, "call=bump,look key=k", tools=[LOOK])
    source = pair.follow(two, thread_id, run["id"])
    await source.until(lambda told: "run.waiting" in told.types())
    one.kill()
    two.kill()
    await asyncio.gather(one.start(), two.start())
    waiting = await pair.get_run(two, thread_id, run["id"])
    assert (waiting["status"], waiting["attempt"], pair.counter.counts["k"]) == ("waiting", 1, 0)
    events = await pair.list_all(two, f"/threads/{thread_id}/events")
    (approval,) = next(event["approvals"] for event in events if event["type"] == "run.waiting")
    path = f"/threads/{thread_id}/runs/{run['id']}/approvals"
    body = {"tool_call_id": approval["tool_call_id"], "approved": True}
    decided = await asyncio.gather(*(pair.call(replica, "POST", path, body) for replica in (one, two, one, two)))
    assert sorted(answer.status for answer in decided) == [200, 409, 409, 409]
    path = path.replace("approvals", "tool_results")
    given = await asyncio.gather(*(pair.call(at, "POST", path, result_of(source)) for at in (one, two, one, two)))
    assert sorted(answer.status for answer in given) == [200, 409, 409, 409]
    ended = await pair.until_ended(one, thread_id, run["id"])
    assert (ended["status"], ended["attempt"], pair.counter.counts["k"]) == ("completed", 1, 1)
    told = await source.finished()
    assert (told.types().count("tool.started"), told.types().count("tool.completed")) == (1, 2)
    await pair.check_log(two, thread_id)


async def check_kill_after_results(pair: Cluster) -> None:
    """A process that dies right after it took the result of a client's call loses nothing."""
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    run = await pair.send(one, thread_id, "call=look key=k gate=g", tools=[LOOK])
    source = pair.follow(two, thread_id, run["id"])
    await source.until(lambda told: "run.waiting" in told.types())
    (await pair.call(one, "POST", f"/threads/{thread_id}/runs/{run['id']}/tool_results", result_of(source))).ok()
    one.kill()
    pair.model.gates["g"].set()
    ended = await pair.until_ended(two, thread_id, run["id"])
    assert (ended["status"], ended["attempt"]) == ("completed", 2)
    results = [event.data for event in (await source.finished()).rows if event.type == "tool.completed"]
    assert [(each["result"], each["is_error"]) for each in results] == [("rain", False)]
    await pair.check_log(two, thread_id)


async def test_a_kill_during_an_approved_call_never_makes_it_twice(pair: Cluster) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one, tools=TOOLS)
    held = pair.counter.held["k"] = asyncio.Event()
    run = await pair.send(one, thread_id, "call=bump key=k")
    source = pair.follow(two, thread_id, run["id"])
    await source.until(lambda told: "run.waiting" in told.types())
    (approval,) = next(event for event in source.told.rows if event.type == "run.waiting").data["approvals"]
    body = {"tool_call_id": approval["tool_call_id"], "approved": True}
    (await pair.call(one, "POST", f"/threads/{thread_id}/runs/{run['id']}/approvals", body)).ok()
    await asyncio.wait_for(pair.counter.arrived["k"].wait(), 60)
    one.kill()
    held.set()
    ended = await pair.until_ended(two, thread_id, run["id"])
    assert (ended["status"], ended["attempt"], pair.counter.counts["k"]) == ("completed", 2, 1)
    result = next(event for event in (await source.finished()).rows if event.type == "tool.completed").data
    assert result["is_error"]
    assert "unknown" in result["result"]
    await pair.check_log(two, thread_id)
    await one.start()
    await check_kill_after_results(pair)


async def test_calls_expire_once_each_though_every_process_is_killed_meanwhile(pair: Cluster) -> None:
    one, two = pair.replicas
    tools = [
        {"name": "bump", "approval": "always", "expires_in_s": 1},
        {"name": "safe_bump", "approval": "always", "expires_in_s": 4},
    ]
    thread_id = await pair.make_thread(one, tools=tools)
    run = await pair.send(one, thread_id, "call=bump,safe_bump key=k")
    source = pair.follow(two, thread_id, run["id"])
    await source.until(lambda told: "run.waiting" in told.types())
    one.kill()
    await source.until(lambda told: "tool.completed" in told.types())
    assert (await pair.get_run(two, thread_id, run["id"]))["status"] == "waiting"
    two.kill()
    await asyncio.gather(one.start(), two.start())
    ended = await pair.until_ended(one, thread_id, run["id"])
    assert (ended["status"], ended["attempt"], pair.counter.counts["k"]) == ("completed", 1, 0)
    results = [event.data for event in (await source.finished()).rows if event.type == "tool.completed"]
    assert sorted(result["name"] for result in results) == ["bump", "safe_bump"]
    assert all(result["is_error"] and "expired" in result["result"] for result in results)
    await pair.check_log(two, thread_id)
