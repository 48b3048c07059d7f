"""Tools with an effect outside of the service: a crash never runs one twice that may not be."""

import asyncio
from typing import Any

import pytest

from tests.fakes.http_server import HttpServer
from tests.fakes.mcp_wire import LEGACY, MODERN, TOOL, McpWire
from tests.faults.support.cluster import Cluster

KEY = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}


@pytest.mark.parametrize("tool", ["bump", "safe_bump"])
async def test_a_kill_during_a_call_runs_it_again_only_if_that_is_safe(pair: Cluster, tool: str) -> None:
    one, two = pair.replicas
    thread_id = await pair.make_thread(one)
    held = pair.counter.held["k"] = asyncio.Event()
    run = await pair.send(one, thread_id, f"call={tool} key=k")
    source = pair.follow(two, thread_id, run["id"])
    await asyncio.wait_for(pair.counter.arrived["k"].wait(), 60)
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


@pytest.mark.parametrize("retry_safe", [True, False, None], ids=str)
async def test_a_call_of_a_server_that_recognizes_it_is_made_again_under_the_same_key(
    pair: Cluster, retry_safe: bool | None
) -> None:
    one, two = pair.replicas
    tool = {"type": "http", "name": "count", "description": "Counts.", "parameters": KEY, "retry_safe": retry_safe}
    url = f"{pair.counter.url}/{{key}}"
    (await pair.call(one, "POST", "/tools", tool | {"method": "POST", "url": url})).ok(201)
    thread_id = await pair.make_thread(one, tools=["count"])
    held = pair.counter.held["k"] = asyncio.Event()
    run = await pair.send(one, thread_id, "call=count key=k")
    await asyncio.wait_for(pair.counter.arrived["k"].wait(), 60)
    one.kill()
    held.set()
    assert (await pair.until_ended(two, thread_id, run["id"]))["status"] == "completed"
    keys = pair.counter.idempotency_keys["k"]
    assert len(keys) == (2 if retry_safe else 1)
    log = await pair.check_log(two, thread_id)
    assert {key.decode() for key in keys} == {row["tool_call_id"] for row in log if row["type"] == "tool.started"}
    (await pair.call(two, "DELETE", "/tools/count")).ok(204)


@pytest.mark.parametrize("version", [LEGACY, MODERN])
async def test_a_call_of_an_mcp_server_is_made_again_under_the_same_key(pair: Cluster, version: str) -> None:
    one, two = pair.replicas
    arrived = asyncio.Event()
    async with HttpServer() as http:
        wire = McpWire(http, version=version)
        wire.lists(TOOL | {"inputSchema": KEY})
        server = {"type": "mcp", "name": "bank", "url": http.url("/mcp"), "retry_safe": True}
        (made,) = (await pair.call(one, "POST", "/tools", server)).ok(201)["data"]
        assert made["retry_safe"]
        thread_id = await pair.make_thread(one, tools=["bank/pay"])

        def hang(_params: dict[str, Any]) -> None:
            arrived.set()

        pays, wire.result = wire.result, hang
        run = await pair.send(one, thread_id, "call=bank_pay key=k")
        await asyncio.wait_for(arrived.wait(), 60)
        one.kill()
        wire.result = pays
        assert (await pair.until_ended(two, thread_id, run["id"]))["status"] == "completed"
        calls = [params for method, params in zip(wire.methods, wire.params, strict=True) if method == "tools/call"]
        keys = [params["_meta"]["ai-agents/idempotency-key"] for params in calls]
        headers = [asked.headers["idempotency-key"] for asked in http.asked if b'"tools/call"' in asked.body]
        log = await pair.check_log(two, thread_id)
        (started,) = [row["tool_call_id"] for row in log if row["type"] == "tool.started"]
        assert keys == headers == [started, started]
        assert [row["result"] for row in log if row["type"] == "tool.completed"] == ["paid"]
    (await pair.call(two, "DELETE", "/tools/bank")).ok(204)
