"""Events of the library as event streams of a web service of one's own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from typing import TYPE_CHECKING

from ai_agents.core import json
from ai_agents.core.events import Event
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.extras import require
from ai_agents.streams.reader import HEARTBEAT, PRELUDE, RETRY, SILENCE_OF_RUN_S

if TYPE_CHECKING:
    from starlette.responses import Response


async def stream_as_sse(events: AsyncIterable[Event]) -> AsyncGenerator[bytes]:
    """The frames of the events of `AgentRunner.stream` or `follow_activity`, for a `text/event-stream` response.

    Every 4 s without an event there is a comment, which keeps proxies and clients from closing the stream. After the
    frame of `run.failed` the stream ends, without the error that `AgentRunner.stream` raises then; an error before the
    first event is raised.
    """
    yield PRELUDE
    retry, source = RETRY, aiter(events)
    pending: asyncio.Task[Event] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.create_task(_next(source))
            done, _ = await asyncio.wait({pending}, timeout=SILENCE_OF_RUN_S)
            if not done:
                yield HEARTBEAT
                continue
            task, pending = pending, None
            try:
                event = task.result()
            except StopAsyncIteration:
                return
            except AIAgentsError:
                if retry:
                    raise
                return  # the last frame told of it
            yield _frame(event, retry)
            retry = ""
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
        await _close(source)


async def sse_response(
    events: AsyncIterable[Event], *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> "Response":
    """A Starlette (or FastAPI) response that streams these events, once the first one is there.

    An error of the framework before it is an answer with a status of its own instead, a problem (RFC 9457) as the
    service gives it: 404 for an unknown thread, 403 without the right, 409 for a thread that is busy. If the client
    leaves, the run goes on. Raises `PackageMissing` without Starlette.
    """
    require("starlette")
    from ai_agents.streams.starlette_responses import EventStreamResponse, ProblemResponse

    source = aiter(events)
    try:
        first = [await anext(source)]
    except StopAsyncIteration:
        first = []
    except AIAgentsError as error:
        return ProblemResponse(error)
    except BaseException:
        await _close(source)
        raise
    return EventStreamResponse(stream_as_sse(_after(first, source)), status_code=status_code, headers=headers)


async def _after(first: list[Event], rest: AsyncIterator[Event]) -> AsyncGenerator[Event]:
    try:
        for event in first:
            yield event
        async for event in rest:
            yield event
    finally:
        await _close(rest)


async def _next(source: AsyncIterator[Event]) -> Event:
    return await anext(source)


async def _close(source: AsyncIterator[Event]) -> None:
    if isinstance(source, AsyncGenerator):
        await source.aclose()


def _frame(event: Event, retry: str) -> bytes:
    named = f"event: {event.type}\nid: {event.id}" if event.id else f"event: {event.type}"
    return f"{retry}{named}\ndata: {json.dumps(dict(event.data))}\n\n".encode()
