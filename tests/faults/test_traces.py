"""Traces as a collector gets them: one run is one trace, over processes and after their death."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.otlp import Collector, Seen
from tests.faults.support.cluster import Cluster, open_cluster
from tests.faults.support.workers import start_worker
from tests.support.redis_server import RedisServer

TRACE, CLIENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CLIENT}-00"
SEND, CHAT = "POST /threads/{thread_id}/messages", "chat gpt-4o"
SAID = "gudrun-is-said"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """A collector of traces."""
    async with Collector() as found:
        yield found


def sent_to(collector: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url(""),
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "AI_AGENTS_AUTO_TITLE": "true",
        "AI_AGENTS_WORKER_CONCURRENCY": "1",
    }


async def one(collector: Collector, name: str) -> Seen:
    """The only span of this name."""
    (found,) = await collector.until(lambda span: span.name == name)
    return found


async def chats_of(collector: Collector, parent: Seen, *, count: int = 1) -> list[Seen]:
    """The model calls within a span, in the order in which they ended."""
    return await collector.until(lambda span: (span.name, span.parent_id) == (CHAT, parent.span_id), count=count)


@pytest.fixture
async def served(
    server_directory: Path, postgresql_url: str, redis_server: RedisServer, collector: Collector
) -> AsyncIterator[Cluster]:
    """A process of the service, and a worker."""
    async with open_cluster(server_directory, postgresql_url, redis_server.url, **sent_to(collector)) as cluster:
        replica = await cluster.start()
        worker = start_worker(server_directory, replica.environment)
        try:
            yield cluster
        finally:
            worker.terminate()
            worker.wait(40)


async def test_a_run_with_a_tool_and_a_title_is_one_trace_from_the_request_to_the_worker(
    served: Cluster, collector: Collector
) -> None:
    at = served.replicas[0]
    thread = await served.make_thread(at)
    body = {"content": f"{SAID} call=bump key={SAID}"}
    answer = await served.call(at, "POST", f"/threads/{thread}/messages", body, traceparent=TRACEPARENT, baggage="a=b")
    answer.ok(201)

    title = await one(collector, "job title")
    request = await one(collector, SEND)
    run = await one(collector, "invoke_agent assistant")
    first, second = await chats_of(collector, run, count=2)
    tool = await one(collector, "execute_tool bump")
    (of_title,) = await chats_of(collector, title)

    spans = [request, run, first, second, tool, title, of_title]
    assert {span.trace_id for span in spans} == {TRACE}
    assert request.parent_id == CLIENT
    assert run.parent_id == request.span_id
    assert {tool.parent_id, title.parent_id} == {run.span_id}
    assert {request.service, run.service, tool.service} == {"ai-agents"}
    assert {title.service, of_title.service} == {"ai-agents-worker"}
    assert (request.kind, run.kind, first.kind, tool.kind, title.kind) == (
        "server", "internal", "client", "internal", "consumer"
    )  # fmt: skip
    assert run.attributes["gen_ai.conversation.id"] == request.attributes["gen_ai.conversation.id"] == thread
    assert run.attributes["ai_agents.run.status"] == "completed"
    assert run.attributes["gen_ai.usage.input_tokens"] > 0
    assert first.attributes["gen_ai.response.finish_reasons"] == ["tool_call"]
    assert first.attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert request.attributes["http.response.status_code"] == 201
    assert not any(span.failed for span in spans)

    assert not any(SAID.encode() in sent for sent in collector.bodies)
    assert not any({"traceparent", "tracestate", "baggage"} & asked.headers.keys() for asked in served.model.requests)
    lines = [line for line in at.log_path.read_text().splitlines() if TRACE in line]
    assert any('"event":"request"' in line for line in lines)
    assert "job done" in " ".join(
        line for line in (served.directory / "worker.log").read_text().splitlines() if TRACE in line
    )


async def test_a_run_that_is_taken_over_after_a_kill_stays_in_its_trace(
    server_directory: Path, sqlite_url: str, collector: Collector
) -> None:
    async with open_cluster(server_directory, sqlite_url, None, **sent_to(collector)) as cluster:
        only = await cluster.start()
        thread = await cluster.make_thread(only)
        body = {"content": "gate=g at=2"}
        path, headers = f"/threads/{thread}/messages", {"traceparent": TRACEPARENT, "prefer": "respond-async"}
        begun = (await cluster.call(only, "POST", path, body, **headers)).ok(202)
        request = await one(collector, SEND)
        only.kill()
        await only.start()
        cluster.model.gates["g"].set()
        await cluster.until_ended(only, thread, begun["id"])

        run, title = await one(collector, "invoke_agent assistant"), await one(collector, "job title")

    assert (run.trace_id, run.parent_id) == (TRACE, request.span_id)
    assert (run.attributes["ai_agents.run.attempt"], run.attributes["ai_agents.run.origin"]) == (2, "lost")
    assert (title.trace_id, title.parent_id) == (TRACE, run.span_id)


async def test_a_collector_that_never_answers_delays_neither_a_turn_nor_the_stop(
    server_directory: Path, sqlite_url: str
) -> None:
    connected = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read(-1)
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    async with silent, open_cluster(server_directory, sqlite_url, None, **settings) as cluster:
        only = await cluster.start()
        thread = await cluster.make_thread(only)
        await connected.wait()
        answered = await cluster.call(only, "POST", f"/threads/{thread}/messages", {"content": "words=3"})
        assert answered.ok(201)["status"] == "completed"
        watch = only.stopwatch()
        only.terminate()
        assert await only.ended() == 0
        # Nothing is under way: of the grace of 3 s nothing is needed.
        assert watch.seconds < 3
        assert "opentelemetry" not in only.log_path.read_text()
