"""Frames: events as text of a server-sent event stream."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from ai_agents.core import json
from ai_agents.core.events import Event, EventType

# The first bytes of every stream: how soon a browser reconnects, and a comment that makes proxies pass the headers on.
PRELUDE = b"retry: 1000\n: ok\n\n"
HEARTBEAT = b": ping\n\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """An event to send: its type, its id and its data as one line of JSON."""

    type: EventType
    id: str
    data: str

    def to_sse(self) -> str:
        """The frame as text of the stream."""
        return f"event: {self.type}\nid: {self.id}\ndata: {self.data}\n\n"


async def stream_as_sse(events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    """The frames of the events of `AgentRunner.stream`, for a `text/event-stream` response."""
    yield PRELUDE
    async for event in events:
        yield Frame(event.type, event.id, json.dumps(dict(event.data))).to_sse().encode()
