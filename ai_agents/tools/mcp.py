"""Tools of MCP servers, through the official SDK, over streamable HTTP (2026-07-28, and the versions before it).

A model is told only the descriptions that an admin has approved. A tool whose description has changed since is off.
"""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx2

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.extras import is_installed, missing
from ai_agents.core.json import clean_text
from ai_agents.core.table_rows import OfferedTool
from ai_agents.core.types import JsonObject, ToolDefinition
from ai_agents.tools.base import Tool, ToolError
from ai_agents.tools.outbound import Outbound
from ai_agents.tools.results import SecretHeaders, clean_value
from ai_agents.tools.schema import ArgumentsValidator

if TYPE_CHECKING:
    from mcp import Client

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_TOOLS = 256
_MAX_DESCRIPTION = 8 * 1024
_MAX_PAGES = 20
# All tools that a server lists, with those that cannot be offered: each takes time to check.
_MAX_LISTED = 4 * _MAX_TOOLS
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
# The longest word of a server that is quoted in a note.
_MAX_QUOTED = 200
_ASKS_A_PERSON = "The tool asks for something that only a person can give it, and it cannot ask a person here."
_exchanging: ContextVar[bool] = ContextVar("ai_agents_exchanging", default=False)
# Gets a server's name and its new listing.
OnListing = Callable[[str, Sequence[OfferedTool]], Awaitable[None]]
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
        self._list_timeout_s = list_timeout_s
        self._fresh_s = fresh_s
        self._recheck_s = min(fresh_s, recheck_s)
        self._listing: dict[str, OfferedTool] = {}
        self.listed_at = float("-inf")
        self._asking = asyncio.Lock()
        self.mode = "auto"

    async def list_tools(self) -> list[OfferedTool]:
        """Return the tools that the server offers now, without those that no model can be told. Raises `ToolError`."""
        listed: list[Any] = []
        async with self._within(self._list_timeout_s):
            async with self._connected(_MAX_LISTING_BYTES) as (client, _):
                cursor: str | None = None
                for _page in range(_MAX_PAGES):
                    page = await client.list_tools(cursor=cursor, cache_mode="bypass")
                    listed += page.tools
                    cursor = page.next_cursor
                    if cursor is None or len(listed) > _MAX_LISTED:
                        break
            found = await asyncio.to_thread(self._offered, listed)
        self._listing = {tool["name"]: tool for tool in found}
        self.listed_at = time.monotonic()
        return found

    async def find_current(self, approved: OfferedTool, on_listing: OnListing) -> OfferedTool | None:
        """Return the tool by a fresh listing; None if it is not offered. One listing is requested at a time.

        `on_listing` gets each new listing. Raises `ToolError`.
        """
        async with self._asking:
            current = self._listing.get(approved["name"])
            as_approved = current is not None and current["digest"] == approved["digest"]
            # Since this process asked, another may have seen the tool change, and an admin may have approved it.
            if time.monotonic() - self.listed_at > (self._fresh_s if as_approved else self._recheck_s):
                await on_listing(self.name, await self.list_tools())
        return self._listing.get(approved["name"])

    async def call(
        self, name: str, arguments: JsonObject, *, parameters: JsonObject | None = None, timeout_s: float = _CALL_S
    ) -> Any:
        """Call a tool and return its answer as JSON. `parameters` is its schema. Raises `ToolError`."""
        async with self._within(timeout_s):
            from mcp.shared.inbound import mcp_param_headers, x_mcp_header_map
            from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult, InputRequiredResult
            from pydantic import TypeAdapter

            answers: TypeAdapter[Any] = TypeAdapter(CallToolResult | InputRequiredResult)
            async with self._connected(_MAX_ANSWER_BYTES) as (client, http):
                http.headers.update(mcp_param_headers(x_mcp_header_map(parameters or {}), arguments))
                request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=arguments))
                # The session's own `call_tool` would list the tools again for each answer, and validate the answer
                # against an output schema that has not been approved.
                result = await client.session.send_request(request, answers)
            if isinstance(result, InputRequiredResult):
                raise ToolError(_ASKS_A_PERSON)
            seen = await asyncio.to_thread(lambda: self._secrets.hide_in(clean_value(_to_value(result))))
        if result.is_error:
            raise ToolError(seen if isinstance(seen, str) else json.dumps(seen))
        return seen

    @asynccontextmanager
    async def _connected(self, max_bytes: int) -> "AsyncGenerator[tuple[Client, httpx2.AsyncClient]]":
        """Connect to the server for one exchange."""
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_may_be_logged)
        _exchanging.set(True)
        # The session that a server of the older versions keeps until it is told that the session is over.
        session: dict[str, str] = {}

        async def note_session(response: httpx2.Response) -> None:
            if _SESSION in response.headers:
                session[_SESSION] = response.headers[_SESSION]

        limits = {"max_bytes": max_bytes, "max_values": _MAX_VALUES}
        http = self._outbound.client(headers=self._headers, timeout_s=_SILENCE_S, **limits)
        http.event_hooks = {"request": [], "response": [note_session]}
        try:
            async with http:
                try:
                    async with AsyncExitStack() as stack:
                        # To end the session, the SDK would wait for the server's answer, however long that takes.
                        transport = streamable_http_client(self._url, http_client=http, terminate_on_close=False)
                        client = Client(transport, mode=self.mode, cache=None)
                        async with asyncio.timeout(self._outbound.connect_timeout_s):
                            await stack.enter_async_context(client)
                        version = session["mcp-protocol-version"] = client.protocol_version
                        self.mode = version if version in MODERN_PROTOCOL_VERSIONS else "legacy"
                        yield client, http
                finally:
                    await self._end_session(http, session)
        finally:
            _exchanging.set(False)

    async def _end_session(self, http: httpx2.AsyncClient, session: Mapping[str, str]) -> None:
        if _SESSION in session:
            with suppress(httpx2.HTTPError, OSError, ToolError):  # it need not succeed; TimeoutError is an OSError
                async with asyncio.timeout(_END_SESSION_S), http.stream("DELETE", self._url, headers=session):
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

    def _offered(self, listed: Sequence[Any]) -> list[OfferedTool]:
        """Return the tools of a listing that a model can be told. Raises `ToolError` if the listing is too long."""
        found: dict[str, OfferedTool] = {}
        size, refused, why = 0, 0, ""
        for tool in listed[:_MAX_LISTED]:
            try:
                described = self._described(tool)
            except (InvalidRequest, TypeError) as error:
                refused, why = refused + 1, str(error)
                continue
            size += len(json.dumps(described))
            found.setdefault(described["name"], described)
            if size > _MAX_LISTING_BYTES:
                break
        if refused:
            facts = {"server": self.name, "tools": refused, "reason": why}
            _log.warning("some tools of a server cannot be offered", extra=facts)
        if size > _MAX_LISTING_BYTES or len(listed) > _MAX_LISTED:
            raise ToolError(f"The server {self.name} lists more tools than can be read.")
        return list(found.values())[:_MAX_TOOLS]

    def _described(self, tool: Any) -> OfferedTool:
        """Return one tool of a listing. Raises `InvalidRequest` or TypeError if no model can be told of it."""
        if not _NAME.fullmatch(tool.name) or len(tool.description or "") > _MAX_DESCRIPTION:
            raise InvalidRequest("Its name is not valid, or its description is too long.")
        ArgumentsValidator(tool.input_schema)
        said = tool.model_dump(mode="json", by_alias=True, exclude={"meta", "icons"}, exclude_none=True)
        digest = hashlib.sha256(json.dumps_sorted(said).encode()).hexdigest()
        description = self._secrets.hide(clean_text(tool.description or ""))
        parameters = self._secrets.hide_in(tool.input_schema)
        return {"name": tool.name, "description": description, "parameters": parameters, "digest": digest}


class McpTool(Tool):
    """A server's tool as an admin has approved it. `on_listing` gets each listing that a call requests."""

    def __init__(self, server: McpServer, approved: OfferedTool, on_listing: OnListing) -> None:
        self.name = f"{server.name}/{approved['name']}"
        self.description = approved["description"]
        self._server = server
        self._approved = approved
        self._on_listing = on_listing

    def get_definition(self) -> ToolDefinition:
        """Return the approved definition, not what the server says now."""
        return ToolDefinition(self.name, self.description, self._approved["parameters"])

    async def execute(self, /, **arguments: Any) -> Any:
        """Return the server's answer. Raises `ToolError`, also if the tool has changed since it was approved."""
        current = await self._server.find_current(self._approved, self._on_listing)
        if current is None:
            raise ToolError("The server does not offer this tool any more.")
        if current["digest"] != self._approved["digest"]:
            raise ToolError("The tool has changed since it was approved; it is off until it is approved again.")
        return await self._server.call(self._approved["name"], arguments, parameters=self._approved["parameters"])


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


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


def _to_value(result: Any) -> Any:
    """Return the structured content if there is any, else the texts. Other content is named, not shown."""
    structured = getattr(result, "structured_content", None)
    if structured is not None and not result.is_error:
        # Servers of the SDK wrap a value that is not an object.
        if isinstance(structured, dict) and structured.keys() == {"result"}:
            return structured["result"]
        return structured
    return "\n".join(_text(block) for block in getattr(result, "content", ()))


def _text(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{_quotable(block.mime_type)}, about {len(block.data) * 3 // 4} bytes, not shown]"
        case "resource":
            text = getattr(block.resource, "text", None)
            return str(text) if text is not None else f"[a file, {_quotable(block.resource.uri)}, not shown]"
        case "resource_link":
            return f"[a link: {_quotable(block.uri)}]"
        case kind:
            return f"[{_quotable(kind)}, not shown]"


def _quotable(said: Any) -> str:
    """Return a server's word for use in a note of ours. It can end neither the note nor the line."""
    return "".join("." if letter in "[]" or not letter.isprintable() else letter for letter in str(said)[:_MAX_QUOTED])
