"""Tools of MCP servers, through the official SDK, over streamable HTTP (2026-07-28, and the versions before it).

A model is told only the descriptions that an admin has approved. A tool whose description has changed since is off.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx2

from ai_agents.core import json, tracing
from ai_agents.core.extras import is_installed, missing
from ai_agents.core.json import clean_text
from ai_agents.core.table_rows import OfferedTool, ServerTools
from ai_agents.core.types import JsonObject, ToolDefinition
from ai_agents.tools.base import IDEMPOTENCY_KEY, RemoteTool, ToolContext, ToolError
from ai_agents.tools.mcp_listing import page_without_tools, read_pages, read_tools
from ai_agents.tools.mcp_results import read_result
from ai_agents.tools.mcp_tap import Tap
from ai_agents.tools.outbound import Outbound
from ai_agents.tools.results import SecretHeaders, clean_value

if TYPE_CHECKING:
    from mcp import Client

T = TypeVar("T")
# In `_meta` of `tools/call`: the id of the call, under which a server can recognize a call that is made again.
META_KEY = "ai-agents/idempotency-key"
_MAX_LISTING_BYTES = 1024 * 1024
_MAX_ANSWER_BYTES = 20 * 1024 * 1024
# The SDK parses an answer in one go while everything else waits: ten microseconds or more for each value.
_MAX_VALUES = 50_000
_MAX_ERROR_CHARACTERS = 1000
# How long a server may send nothing during an exchange, and how long a call may take. The executor's limit is usually
# shorter.
_SILENCE_S = 60.0
_CALL_S = 300.0
_END_SESSION_S = 1.0
_SESSION = "mcp-session-id"
_METHODS = frozenset({"tools/list", "tools/call"})
# Codes under which servers say that they do not know a session, with one word in common.
_SESSION_CODES = frozenset({-32600, -32000, -32001})
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
# Gets a server's name and its new listing.
OnListing = Callable[[str, ServerTools], Awaitable[None]]
# What is asked of a connected server.
Ask = Callable[["Client", httpx2.AsyncClient], Awaitable[T]]
_log = logging.getLogger(__name__)


class McpServer:
    """The client of one server. `headers` are sent with every request, and are secret.

    A listing is used for `fresh_s` seconds, and for `recheck_s` where a tool in it is not as it was approved.
    Whatever a server does, a call ends within its time limit, and every failure is a `ToolError`.

    `listed_at` is the time of the last listing on the monotonic clock; `mode` is the version of MCP that the server
    speaks, kept so that not every call has to find it out.
    """

    def __init__(
        self,
        name: str,
        url: str,
        outbound: Outbound,
        *,
        headers: Mapping[str, str] | None = None,
        list_timeout_s: float = 10.0,
        fresh_s: float = 60.0,
        recheck_s: float = 1.0,
    ) -> None:
        self.name = name
        self._url = url
        self._outbound = outbound
        self._headers = dict(headers or {})
        self._secrets = SecretHeaders(self._headers)
        self._has_key = IDEMPOTENCY_KEY in {name.lower() for name in self._headers}
        self._list_timeout_s = list_timeout_s
        self._fresh_s = fresh_s
        self._recheck_s = min(fresh_s, recheck_s)
        self._listing: dict[str, OfferedTool] = {}
        self.listed_at = float("-inf")
        self._asking = asyncio.Lock()
        self.mode = "auto"

    async def list_tools(self, *, keep: Collection[str] = ()) -> ServerTools:
        """Return the tools that the server offers now, and those that no model can be told of. Raises `ToolError`.

        Of a long list those named in `keep` are there in any case.
        """
        with tracing.spanned(
            "tools/list", {tracing.MCP_METHOD: "tools/list", tracing.MCP_SERVER: self.name}, kind="client"
        ):
            return await self._list_tools(keep)

    async def _list_tools(self, keep: Collection[str]) -> ServerTools:
        tap = Tap(page_without_tools)

        async def ask(client: "Client", _http: httpx2.AsyncClient) -> tuple[list[Any], bool]:
            return await read_pages(client, tap, keep), client.protocol_version in MODERN_PROTOCOL_VERSIONS

        async with self._within(self._list_timeout_s):
            from mcp_types.version import MODERN_PROTOCOL_VERSIONS

            listed, is_modern = await self._exchange(ask, _MAX_LISTING_BYTES, tap, may_repeat=True)
            read = partial(read_tools, listed, server=self.name, keep=keep, secrets=self._secrets)
            found = await asyncio.to_thread(read, checks_headers=is_modern)
        self._listing = {tool["name"]: tool for tool in found["tools"]}
        self.listed_at = time.monotonic()
        return found

    async def find_current(
        self, approved: OfferedTool, on_listing: OnListing, *, keep: Collection[str] = ()
    ) -> OfferedTool | None:
        """Return the tool by a fresh listing; None if it is not offered. One listing is requested at a time.

        `on_listing` gets each new listing; `keep` is that of `list_tools`. Raises `ToolError`.
        """
        async with self._asking:
            current = self._listing.get(approved["name"])
            as_approved = current is not None and current["digest"] == approved["digest"]
            # Since this process asked, another may have seen the tool change, and an admin may have approved it.
            if time.monotonic() - self.listed_at > (self._fresh_s if as_approved else self._recheck_s):
                await on_listing(self.name, await self.list_tools(keep={*keep, approved["name"]}))
        return self._listing.get(approved["name"])

    async def call(
        self,
        name: str,
        arguments: JsonObject,
        *,
        parameters: JsonObject | None = None,
        tool_call_id: str | None = None,
        may_repeat: bool = False,
        timeout_s: float = _CALL_S,
    ) -> Any:
        """Call a tool and return its answer as JSON. Raises `ToolError`.

        `parameters` is its schema. The server is told the id of the call; `may_repeat` says that the call may be made
        twice.
        """
        async with self._within(timeout_s):
            from mcp.shared.inbound import mcp_param_headers, x_mcp_header_map
            from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult

            tap = Tap(lambda _result: {"resultType": "complete", "content": []})
            params = CallToolRequestParams(name=name, arguments=arguments)
            headers = mcp_param_headers(x_mcp_header_map(parameters or {}), arguments)
            headers |= self._outbound.trace_headers(self._url)
            if tool_call_id is not None:
                params.meta = cast("Any", {META_KEY: tool_call_id})
                headers |= {} if self._has_key else {IDEMPOTENCY_KEY: tool_call_id}

            async def ask(client: "Client", http: httpx2.AsyncClient) -> JsonObject:
                http.headers.update(headers)
                tap.expect()
                # The session's own `call_tool` would list the tools again for each answer, and validate the answer
                # against an output schema that has not been approved.
                try:
                    await client.session.send_request(CallToolRequest(params=params), CallToolResult)
                finally:
                    for header in headers:
                        del http.headers[header]
                return tap.take()

            result = await self._exchange(ask, _MAX_ANSWER_BYTES, tap, may_repeat=may_repeat)
            value, is_error = read_result(result)
            seen = await asyncio.to_thread(lambda: self._secrets.hide_in(clean_value(value)))
        if is_error:
            raise ToolError(seen if isinstance(seen, str) else json.dumps(seen))
        return seen

    async def _exchange(self, ask: "Ask[T]", max_bytes: int, tap: Tap, *, may_repeat: bool = False) -> T:
        """Return what `ask` returns, and ask once more in a new session if the server forgot the first one.

        A request that is refused for its session with status 404 was not carried out. Other words that say so may be
        those of a tool: they count only for what `may_repeat`.
        """
        session = _Session()
        try:
            async with self._connected(session, max_bytes, tap) as connected:
                return await ask(*connected)
        except Exception as error:
            if not (session.is_forgotten or (may_repeat and _tells_of_a_lost_session(error))):
                raise
        _log.info("a server forgot its session, a new one begins", extra={"server": self.name})
        self.mode = "auto"
        async with self._connected(_Session(), max_bytes, tap) as connected:
            return await ask(*connected)

    @asynccontextmanager
    async def _connected(
        self, session: "_Session", max_bytes: int, tap: Tap
    ) -> "AsyncGenerator[tuple[Client, httpx2.AsyncClient]]":
        """Connect to the server for one exchange."""
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_may_be_logged)
        _exchanging.set(True)
        http = self._outbound.client(
            headers=self._headers, timeout_s=_SILENCE_S, max_bytes=max_bytes, max_values=_MAX_VALUES, is_json=True
        )
        http.event_hooks = {"request": [], "response": [session.note]}
        try:
            async with http:
                try:
                    async with AsyncExitStack() as stack:
                        # To end the session, the SDK would wait for the server's answer, however long that takes.
                        transport = streamable_http_client(self._url, http_client=http, terminate_on_close=False)
                        client = Client(tap.into(transport), mode=self.mode, cache=None)
                        async with asyncio.timeout(self._outbound.connect_timeout_s):
                            await stack.enter_async_context(client)
                        version = session.headers["mcp-protocol-version"] = client.protocol_version
                        self.mode = version if version in MODERN_PROTOCOL_VERSIONS else "legacy"
                        yield client, http
                finally:
                    await self._end_session(http, session)
        finally:
            _exchanging.set(False)

    async def _end_session(self, http: httpx2.AsyncClient, session: "_Session") -> None:
        if _SESSION in session.headers and not session.is_forgotten:
            with suppress(httpx2.HTTPError, OSError, ToolError):  # it need not succeed; TimeoutError is an OSError
                async with asyncio.timeout(_END_SESSION_S), http.stream("DELETE", self._url, headers=session.headers):
                    pass

    @asynccontextmanager
    async def _within(self, timeout_s: float) -> AsyncGenerator[None]:
        """Turn every error, and a delay of more than `timeout_s`, into a `ToolError` of one sentence."""
        if not is_installed("mcp"):
            raise ToolError(missing("mcp"))
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except BaseException as error:
            self.mode = "auto"  # the server may have been replaced by one of another version
            explained = _explain(self.name, error)
            if not isinstance(explained, ToolError):
                raise
            raise ToolError(self._secrets.hide(str(explained))[:_MAX_ERROR_CHARACTERS]) from error


class _Session:
    """The session that a server of the older versions keeps until it is told that the session is over.

    `is_forgotten` says that the server did not know it any more when it was asked for its tools, or to call one.
    """

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.is_forgotten = False

    async def note(self, response: httpx2.Response) -> None:
        """Look at an answer's status and headers."""
        if _SESSION in response.headers:
            self.headers[_SESSION] = response.headers[_SESSION]
        request = response.request
        if response.status_code == 404 and request.method == "POST" and _SESSION in request.headers:
            asked = json.loads(request.content)
            self.is_forgotten |= isinstance(asked, dict) and asked.get("method") in _METHODS


class McpTool(RemoteTool):
    """A server's tool as an admin has approved it.

    `on_listing` gets each listing that a call requests; `keep` names all approved tools of the server.
    """

    def __init__(
        self,
        server: McpServer,
        approved: OfferedTool,
        on_listing: OnListing,
        *,
        keep: Collection[str] = (),
        retry_safe: bool = False,
    ) -> None:
        self.name = f"{server.name}/{approved['name']}"
        self.description = approved["description"]
        self.retry_safe = retry_safe
        self._server = server
        self._approved = approved
        self._on_listing = on_listing
        self._keep = keep

    def get_definition(self) -> ToolDefinition:
        """Return the approved definition, not what the server says now."""
        return ToolDefinition(self.name, self.description, self._approved["parameters"])

    async def request(self, arguments: JsonObject, context: ToolContext | None = None) -> Any:
        """Return the server's answer. Raises `ToolError`, also if the tool has changed since it was approved."""
        current = await self._server.find_current(self._approved, self._on_listing, keep=self._keep)
        if current is None:
            raise ToolError("The server does not offer this tool any more.")
        if current["digest"] != self._approved["digest"]:
            raise ToolError("The tool has changed since it was approved; it is off until it is approved again.")
        name = self._approved["name"]
        attributes = {tracing.MCP_METHOD: "tools/call", tracing.MCP_SERVER: self._server.name, tracing.TOOL_NAME: name}
        with tracing.spanned(f"tools/call {name}", attributes, kind="client"):
            return await self._server.call(
                name,
                arguments,
                parameters=self._approved["parameters"],
                tool_call_id=None if context is None else context.tool_call_id,
                may_repeat=self.retry_safe,
            )


def _may_be_logged(_record: logging.LogRecord) -> bool:
    """Nothing is logged during an exchange: a server may repeat the secret headers that it was sent."""
    return not _exchanging.get()


def _explain(server: str, error: BaseException) -> BaseException:
    """Return the `ToolError` for an exception of an exchange; a cancellation or the end of the process as it is."""
    from mcp.shared.exceptions import MCPError
    from pydantic import ValidationError

    leaves = _leaves(error)
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


def _tells_of_a_lost_session(error: Exception) -> bool:
    from mcp.shared.exceptions import MCPError

    told = [leaf.error for leaf in _leaves(error) if isinstance(leaf, MCPError)]
    return any(each.code in _SESSION_CODES and "session" in each.message.lower() for each in told)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
