"""One exchange with an MCP server, through the official SDK: it ends in time, and in a sentence where it fails."""

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

_FAREWELL_S = 1.0
_SESSION = "mcp-session-id"
# Where the SDK logs what servers say.
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


class _Silence(logging.Filter):
    """Keeps what is logged within an exchange out of the log: a server may say again what it was sent in secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _exchanging.get()


_silence = _Silence()


@asynccontextmanager
async def exchange(
    url: str, http: "httpx2.AsyncClient", *, mode: str, connect_timeout_s: float
) -> "AsyncGenerator[Client]":
    """A client that is connected. It closes `http`, which is for this exchange alone."""
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_silence)
    _exchanging.set(True)
    farewell = _Farewell(url)
    http.event_hooks = {"request": [], "response": [farewell.note]}
    try:
        async with http:
            try:
                async with AsyncExitStack() as stack:
                    # The SDK's own farewell waits for as long as the server takes to answer it.
                    transport = streamable_http_client(url, http_client=http, terminate_on_close=False)
                    client = Client(transport, mode=mode, cache=None)
                    async with asyncio.timeout(connect_timeout_s):
                        await stack.enter_async_context(client)
                    farewell.version = client.protocol_version
                    yield client
            finally:
                await farewell.say(http)
    finally:
        _exchanging.set(False)


class _Farewell:
    """Tells a server of the older versions that its session is over, so that it need not keep it."""

    def __init__(self, url: str) -> None:
        self.version: str | None = None
        self._url = url
        self._session_id: str | None = None

    async def note(self, response: "httpx2.Response") -> None:
        """Take note of the session."""
        self._session_id = response.headers.get(_SESSION, self._session_id)

    async def say(self, http: "httpx2.AsyncClient") -> None:
        """Say it, and do not wait for what comes back."""
        import httpx2

        if self._session_id is None:
            return
        headers = {_SESSION: self._session_id} | ({"mcp-protocol-version": self.version} if self.version else {})
        with suppress(httpx2.HTTPError, OSError, ToolError):  # TimeoutError is an OSError
            async with asyncio.timeout(_FAREWELL_S), http.stream("DELETE", self._url, headers=headers):
                pass


def explain(server: str, error: BaseException) -> BaseException:
    """What went wrong with a server, as a `ToolError` for a model; what is no fault of the server's is as it was."""
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
