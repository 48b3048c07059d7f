"""A run that fails is heard by those who iterate its stream, and ends the stream of a web service properly."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Response

from ai_agents import AgentRunner, AgentStore, Approvals, Event, ThreadStore, sse_response, stream_as_sse
from ai_agents.core.exceptions import Overloaded, PermissionDenied, ProviderRejected, RunWaiting, ThreadNotFound
from ai_agents.core.ids import new_id
from ai_agents.streams import sse
from ai_agents.testing import tool_call
from tests.unit.runner.conftest import USER, MakeTalk, Talk

REFUSED = ProviderRejected("The key is refused.", provider="scripted")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is raised does not depend on the database."""
    return sqlite_url


def app_of(runner: AgentRunner, **options: int) -> httpx.AsyncClient:
    """A client of a service that answers with `sse_response`."""
    app = FastAPI()

    @app.post("/chat/{thread_id}/{user_id}")
    async def chat(thread_id: str, user_id: str) -> Response:
        events = runner.stream(thread_id, user_id, "Hello!")
        return await sse_response(events, headers={"x-own": "1"}, **options)

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_after_run_failed_a_stream_raises_what_run_raises(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Half", REFUSED], REFUSED)
    stream = talk.runner.stream(talk.thread_id, USER, "Hello!")
    event = await anext(stream)
    while event.type != "run.failed":
        event = await anext(stream)

    with pytest.raises(ProviderRejected, match="The key is refused"):
        await anext(stream)

    with pytest.raises(ThreadNotFound):
        await anext(talk.runner.stream(new_id(), USER, "Hello!"))


async def test_a_cancelled_run_ends_its_stream_without_an_error(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Half", asyncio.Event()])
    kinds: list[str] = []

    async for event in talk.runner.stream(talk.thread_id, USER, "Hello!"):
        kinds.append(event.type)
        if event.type == "message.delta":
            await talk.runner.cancel(talk.thread_id, str(event.run_id))

    assert kinds[-1] == "run.cancelled"


async def test_a_message_that_had_its_answer_does_not_hear_of_a_later_failure_of_its_run(make_talk: MakeTalk) -> None:
    gate = asyncio.Event()
    talk = await make_talk(["One", gate, "."], REFUSED)
    first = talk.runner.stream(talk.thread_id, USER, "first")
    while (await anext(first)).type != "message.delta":
        pass
    second = talk.runner.stream(talk.thread_id, USER, "second", on_busy="steer")
    assert (await anext(second)).type == "run.started"
    gate.set()

    assert [event.type async for event in first][-1] == "run.failed"
    with pytest.raises(ProviderRejected):
        [event async for event in second]


async def test_a_stream_that_the_process_ends_says_so(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Half", asyncio.Event()])

    stream = talk.runner.stream(talk.thread_id, USER, "Hello!")
    await anext(stream)
    await talk.conn.readers.stop()

    with pytest.raises(Overloaded, match="the run goes on"):
        [event async for event in stream]


async def frames_of(talk: Talk) -> list[str]:
    """The blocks that `stream_as_sse` makes of a run."""
    whole = b"".join([chunk async for chunk in stream_as_sse(talk.runner.stream(talk.thread_id, USER, "Hello!"))])
    return whole.decode().split("\n\n")


async def test_frames_end_after_that_of_a_failure_without_an_error(make_talk: MakeTalk) -> None:
    talk = await make_talk(["Half", REFUSED])

    blocks = await frames_of(talk)

    assert blocks[0] == ": ok"
    assert blocks[1].startswith("retry: 1000\nevent: run.started\nid: ")
    assert blocks[-1] == ""
    assert blocks[-2].startswith("event: run.failed\n")
    assert json.loads(blocks[-2].partition("data: ")[2])["problem"]["code"] == "provider_rejected"


async def test_an_error_before_the_first_event_is_raised_by_frames(make_talk: MakeTalk) -> None:
    talk = await make_talk()
    await talk.runner.auth.assign_role("eve", "viewer", "thread", talk.thread_id)
    with pytest.raises(PermissionDenied):
        [chunk async for chunk in stream_as_sse(talk.runner.stream(talk.thread_id, "eve", "Hello!"))]


async def test_silence_is_filled_with_comments(make_talk: MakeTalk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "SILENCE_OF_RUN_S", 0.02)
    gate = asyncio.Event()
    talk = await make_talk(["Hel", gate, "lo"])
    chunks: list[bytes] = []

    async for chunk in stream_as_sse(talk.runner.stream(talk.thread_id, USER, "Hello!")):
        chunks.append(chunk)
        if chunks.count(b": ping\n\n") == 3:
            gate.set()

    assert b"event: run.completed" in chunks[-1]
    assert sum(b"event: run.started" in chunk for chunk in chunks) == 1


async def test_leaving_frames_closes_their_source_and_leaves_the_run_going() -> None:
    closed = asyncio.Event()

    async def events() -> AsyncIterator[Event]:
        try:
            yield Event("run.started", "1-0", {})
            await asyncio.Event().wait()
        finally:
            closed.set()

    frames = stream_as_sse(events())
    assert await anext(frames) == b": ok\n\n"
    await anext(frames)
    waiting = asyncio.create_task(anext(frames))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert closed.is_set()


async def test_a_failure_before_the_first_event_is_a_status_and_after_it_a_frame(make_talk: MakeTalk) -> None:
    talk = await make_talk("Hello.", REFUSED)
    async with app_of(talk.runner) as client:
        unknown = await client.post(f"/chat/{new_id()}/{USER}")
        await talk.runner.auth.assign_role("eve", "viewer", "thread", talk.thread_id)
        viewer = await client.post(f"/chat/{talk.thread_id}/eve")
        whole = await client.post(f"/chat/{talk.thread_id}/{USER}")
        failed = await client.post(f"/chat/{talk.thread_id}/{USER}")
        await talk.conn.executor.drain(0)
        stopping = await client.post(f"/chat/{talk.thread_id}/{USER}")

    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert unknown.headers["content-type"] == "application/problem+json"
    assert (viewer.status_code, viewer.json()["code"]) == (403, "forbidden")
    assert (stopping.status_code, stopping.headers["retry-after"]) == (503, "1")
    assert whole.status_code == failed.status_code == 200
    assert whole.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert whole.headers["x-accel-buffering"] == "no"
    assert whole.headers["x-own"] == "1"
    assert whole.text.startswith(": ok\n\nretry: 1000\nevent: run.started\n")
    assert whole.text.rpartition("event: ")[2].startswith("run.completed\n")
    assert failed.text.rpartition("event: ")[2].startswith("run.failed\n")


async def test_a_run_that_waits_for_a_person_is_told_as_such_and_goes_on_when_decided(make_talk: MakeTalk) -> None:
    approved = [{"name": "calculator", "approval": "always"}]
    talk = await make_talk([tool_call("calculator", expression="6*7")], "42.")
    agent_id = (await ThreadStore(talk.conn).get(talk.thread_id))["agent_id"]
    await AgentStore(talk.conn).update(agent_id, {"tools": approved})

    with pytest.raises(RunWaiting) as waiting:
        await talk.runner.run(talk.thread_id, USER, "6*7?")

    (call,) = (await Approvals(talk.conn).list(USER))["data"]
    assert call["run_id"] == waiting.value.run_id
    await talk.runner.decide(talk.thread_id, waiting.value.run_id, call["tool_call_id"], approved=True)
    ended = await talk.runner.wait(talk.thread_id, waiting.value.run_id)
    assert ended.message is not None
    assert ended.message["content"] == "42."
