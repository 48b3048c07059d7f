"""Frames: events as the bytes of a server-sent event stream."""

from collections.abc import AsyncIterator

from ai_agents.core import json
from ai_agents.core.events import Event

# The first bytes of every stream: how soon a browser reconnects, and a comment that makes proxies pass the headers on.
PRELUDE = b"retry: 1000\n: ok\n\n"
HEARTBEAT = b": ping\n\n"


def frame(event_type: str, event_id: str, data: str) -> str:
    """One event as text of the stream; `data` is one line of JSON."""
    return f"event: {event_type}\nid: {event_id}\ndata: {data}\n\n"


async def stream_as_sse(events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    """The frames of the events of `AgentRunner.stream`, for a `text/event-stream` response."""
    yield PRELUDE
    async for event in events:
        yield frame(event.type, event.id, json.dumps(dict(event.data))).encode()
