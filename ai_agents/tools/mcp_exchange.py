"""One exchange with an MCP server through the official SDK, and its failures as sentences for a model."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from ai_agents.core.json import clean_text
from ai_agents.tools.base import ToolError

if TYPE_CHECKING:
    import httpx2
    from mcp import Client

_END_SESSION_S = 1.0
_SESSION = "mcp-session-id"
# The SDK's loggers that log what servers say.
_LOGGERS = (
    "client",
    "mcp.client.caching",
    "mcp.client.client",
    "mcp.client.streamable_http",
    "mcp.shared.dispatcher",
    "mcp.shared.jsonrpc_dispatcher",
    "mcp.shared.tool_name_validation",
)
_exchanging: ContextVar[bool] = ContextVar("ai_agents_exchanging", default=False)


class _DuringExchanges(logging.Filter):
    """Drops what is logged during an exchange: a server may repeat the secret headers that it was sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _exchanging.get()


_during_exchanges = _DuringExchanges()


@asynccontextmanager
async def exchange(
    url: str, http: "httpx2.AsyncClient", *, mode: str, connect_timeout_s: float
) -> "AsyncGenerator[Client]":
    """Connect to a server. Closes `http`, which must not be used for anything else."""
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_during_exchanges)
    _exchanging.set(True)
    session = _LegacySession(url)
    http.event_hooks = {"request": [], "response": [session.note]}
    try:
        async with http:
            try:
                async with AsyncExitStack() as stack:
                    # To end the session, the SDK would wait for the server's answer, however long that takes.
                    transport = streamable_http_client(url, http_client=http, terminate_on_close=False)
                    client = Client(transport, mode=mode, cache=None)
                    async with asyncio.timeout(connect_timeout_s):
                        await stack.enter_async_context(client)
                    session.version = client.protocol_version
                    yield client
            finally:
                await session.end(http)
    finally:
        _exchanging.set(False)


class _LegacySession:
    """The session that a server of the older versions keeps until it is told that the session is over."""

    def __init__(self, url: str) -> None:
        self.version: str | None = None
        self._url = url
        self._session_id: str | None = None

    async def note(self, response: "httpx2.Response") -> None:
        """Take the session's id from a response."""
        self._session_id = response.headers.get(_SESSION, self._session_id)

    async def end(self, http: "httpx2.AsyncClient") -> None:
        """Tell the server, if it has a session. Whether that succeeds does not matter."""
        import httpx2

        if self._session_id is None:
            return
        headers = {_SESSION: self._session_id} | ({"mcp-protocol-version": self.version} if self.version else {})
        with suppress(httpx2.HTTPError, OSError, ToolError):  # TimeoutError is an OSError
            async with asyncio.timeout(_END_SESSION_S), http.stream("DELETE", self._url, headers=headers):
                pass


def explain(server: str, error: BaseException) -> BaseException:
    """Return the `ToolError` for an exception of an exchange; a cancellation or the end of the process as it is."""
    import httpx2
    from mcp.shared.exceptions import MCPError
    from pydantic import ValidationError

    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, ToolError):
            return leaf
    if any(isinstance(leaf, asyncio.CancelledError | KeyboardInterrupt | SystemExit) for leaf in leaves):
        return error
    for leaf in leaves:
        match leaf:
            case MCPError():
                return ToolError(f"The server {server} answered: {clean_text(leaf.error.message)}")
            case TimeoutError() | httpx2.TimeoutException():
                return ToolError(f"The server {server} did not answer in time.")
            case ValidationError() | ValueError():
                return ToolError(f"The server {server} answered something that is not MCP.")
    return ToolError(f"The server {server} could not be reached ({type(leaves[0]).__name__}).")


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
