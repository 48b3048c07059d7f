"""Tools with an effect outside of the service: a crash never runs one twice that may not be."""

import asyncio

import pytest

from tests.faults.support.cluster import Cluster


@pytest.mark.parametrize("tool", ["bump", "safe_bump"])
async def test_a_kill_during_a_call_runs_it_again_only_if_that_is_safe(pair: Cluster, tool: str) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    held = pair.counter.held["k"] = asyncio.Event()
    run = await pair.send(one, thread_id, f"call={tool} key=k")
    source = pair.follow(two, thread_id, run["id"])
    await asyncio.wait_for(pair.counter.arrived["k"].wait(), 10)
    one.kill()
    held.set()
    ended = await pair.until_ended(two, thread_id, run["id"])
    assert (ended["status"], ended["attempt"]) == ("completed", 2)
    assert pair.counter.counts["k"] == (2 if tool == "safe_bump" else 1)
    told = await source.finished()
    assert told.types().count("tool.completed") == 1
    result = next(event for event in told.rows if event.type == "tool.completed").data
    assert result["is_error"] is (tool == "bump")
    assert result["result"] == "counted 2" if tool == "safe_bump" else "unknown" in result["result"]
    await pair.check_log(two, thread_id)


async def test_a_call_that_was_finished_is_not_run_again(pair: Cluster) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    run = await pair.send(one, thread_id, "call=safe_bump key=k gate=answer")
    source = pair.follow(two, thread_id, run["id"])
    await source.until(lambda told: "tool.completed" in told.types())
    one.kill()
    pair.model.gates["answer"].set()
    assert (await pair.until_ended(two, thread_id, run["id"]))["status"] == "completed"
    assert pair.counter.counts["k"] == 1
    assert (await source.finished()).types().count("tool.started") == 1
