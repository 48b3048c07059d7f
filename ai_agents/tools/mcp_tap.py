"""What an MCP server wrote, taken before the SDK checks it, and what the SDK would write of itself.

The SDK checks an answer as a whole: one odd word in it would take the rest with it. It tells each server the trace that
a request belongs to.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from ai_agents.core.types import JsonObject

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

# https://github.com/modelcontextprotocol/modelcontextprotocol/issues/414, read 2026-11-30.
_OF_TRACES = ("traceparent", "tracestate", "baggage")


class Tap:
    """Takes the next result that comes after `expect`. The SDK gets what `stand_in` makes of it."""

    def __init__(self, stand_in: Callable[[JsonObject], JsonObject]) -> None:
        self._stand_in = stand_in
        self._is_expected = False
        self._taken: JsonObject = {}

    def expect(self) -> None:
        """The next result is the one that is wanted."""
        self._is_expected = True

    def take(self) -> JsonObject:
        """Return the result as the server wrote it."""
        taken, self._taken = self._taken, {}
        return taken

    @asynccontextmanager
    async def into(
        self, transport: "AbstractAsyncContextManager[TransportStreams]"
    ) -> "AsyncGenerator[TransportStreams]":
        """The transport, with this tap in it. What was expected of an earlier one is not expected any more."""
        self._is_expected = False
        async with transport as (reading, writing):
            yield cast("Any", _Tapped(reading, self._look)), cast("Any", _Untraced(writing))

    def _look(self, item: Any) -> None:
        result = getattr(getattr(item, "message", None), "result", None)
        if self._is_expected and isinstance(result, dict):
            self._is_expected = False
            self._taken = dict(result)
            result.clear()
            result.update(self._stand_in(self._taken))


class _Untraced:
    """A stream of the SDK that is written to; what is written tells no trace."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def send(self, item: Any) -> None:
        """Write an item."""
        params = getattr(getattr(item, "message", None), "params", None)
        meta = params.get("_meta") if isinstance(params, dict) else None
        if isinstance(meta, dict):
            for name in _OF_TRACES:
                meta.pop(name, None)
        await self._stream.send(item)

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    async def __aenter__(self) -> "_Untraced":
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> bool | None:
        return cast("bool | None", await self._stream.__aexit__(*failure))


class _Tapped:
    """A stream of the SDK whose items are shown to a function first."""

    def __init__(self, stream: Any, look: Callable[[Any], None]) -> None:
        self._stream = stream
        self._look = look

    async def receive(self) -> Any:
        """Return the next item."""
        item = await self._stream.receive()
        self._look(item)
        return item

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    @property
    def last_context(self) -> Any:
        """The context in which the last item was sent."""
        return getattr(self._stream, "last_context", None)

    def __aiter__(self) -> "_Tapped":
        return self

    async def __anext__(self) -> Any:
        item = await self._stream.__anext__()
        self._look(item)
        return item

    async def __aenter__(self) -> "_Tapped":
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> bool | None:
        return cast("bool | None", await self._stream.__aexit__(*failure))
