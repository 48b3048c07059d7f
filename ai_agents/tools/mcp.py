"""Tools of MCP servers, through the official SDK, over streamable HTTP (2026-07-28, and the versions before it).

What a server says of its tools is what an admin has agreed to, or it is not said to a model: a tool that says something
else of itself is off.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.extras import is_installed, missing
from ai_agents.core.json import clean_text
from ai_agents.core.rows import OfferedTool
from ai_agents.core.types import JsonObject, ToolDefinition
from ai_agents.tools.base import Tool, ToolError
from ai_agents.tools.mcp_exchange import exchange, explain
from ai_agents.tools.mcp_results import to_value
from ai_agents.tools.results import clean_value
from ai_agents.tools.schema import ArgumentsValidator
from ai_agents.tools.secret_headers import SecretHeaders
from ai_agents.tools.toolset import TOOL_NAME

if TYPE_CHECKING:
    import httpx2
    from mcp import Client

MAX_TOOLS = 256
MAX_DESCRIPTION = 8 * 1024
_MAX_PAGES = 20
# Of what a server lists, with what cannot be offered: each costs a look.
_MAX_LISTED = 4 * MAX_TOOLS
_MAX_LISTING_BYTES = 1024 * 1024
_MAX_ANSWER_BYTES = 20 * 1024 * 1024
# The SDK takes an answer apart in one go while everything else waits: ten microseconds and more for each part of it.
_MAX_VALUES = 50_000
_MAX_SAID = 1000
# How long a call waits for an answer at most; the executor's limit is usually shorter.
_CALL_S = 300.0
# A tool that is not as it was approved has its server asked again, but not more often than this.
_ASKED_AGAIN_S = 1.0
_log = logging.getLogger(__name__)


class OpenClient(Protocol):
    """Gives an HTTP client for one exchange. Longer answers, and those of more values, break off."""

    def __call__(self, *, max_bytes: int, max_values: int) -> "httpx2.AsyncClient":
        """A client that nobody else uses."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """A tool as its server describes it. `digest` is that of all that is said of it."""

    name: str
    description: str
    parameters: JsonObject
    digest: str

    def to_dict(self) -> OfferedTool:
        """As it is stored."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "digest": self.digest,
        }


class McpServer:
    """One server. `open_client` adds `headers`, which hold the server's secrets.

    A listing counts for `fresh_s` seconds in this process. Whatever a server does, it ends in a `ToolError` in time.
    """

    def __init__(
        self,
        name: str,
        url: str,
        open_client: OpenClient,
        *,
        headers: Mapping[str, str] | None = None,
        connect_timeout_s: float = 5.0,
        list_timeout_s: float = 10.0,
        fresh_s: float = 60.0,
    ) -> None:
        self.name = name
        self._url = url
        self._open_client = open_client
        self._secrets = SecretHeaders(headers or {})
        self._connect_timeout_s = connect_timeout_s
        self._list_timeout_s = list_timeout_s
        self._fresh_s = fresh_s
        self._listing: dict[str, RemoteTool] = {}
        self._listed_at = float("-inf")
        self._asking = asyncio.Lock()
        # How the server was found to speak; nothing that is worth asking again for each call.
        self._mode: str = "auto"

    async def list_tools(self) -> list[RemoteTool]:
        """What the server offers now, without what cannot be offered. Raises `ToolError`."""
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
        self._listing = {tool.name: tool for tool in found}
        self._listed_at = time.monotonic()
        return found

    async def find_current(
        self, approved: RemoteTool, on_listing: Callable[[str, Sequence[RemoteTool]], Awaitable[None]]
    ) -> RemoteTool | None:
        """The tool as it is now, by a listing that is fresh. One listing is asked for at a time. Raises `ToolError`."""
        async with self._asking:
            current = self._listing.get(approved.name)
            as_approved = current is not None and current.digest == approved.digest
            # Another process may have seen the tool change, and an admin have approved it, since this one asked.
            if time.monotonic() - self._listed_at > (
                self._fresh_s if as_approved else min(self._fresh_s, _ASKED_AGAIN_S)
            ):
                await on_listing(self.name, await self.list_tools())
        return self._listing.get(approved.name)

    async def call(
        self, name: str, arguments: JsonObject, *, parameters: JsonObject | None = None, timeout_s: float = _CALL_S
    ) -> Any:
        """What the tool answers, as JSON. `parameters` is its schema. Raises `ToolError`."""
        async with self._within(timeout_s):
            async with self._connected(_MAX_ANSWER_BYTES) as (client, http):
                result = await _call(client, http, name, arguments, parameters or {})
            seen = await asyncio.to_thread(self._seen, result)
        if result.is_error:
            raise ToolError(seen if isinstance(seen, str) else json.dumps(seen))
        return seen

    @asynccontextmanager
    async def _connected(self, max_bytes: int) -> "AsyncGenerator[tuple[Client, httpx2.AsyncClient]]":
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        http = self._open_client(max_bytes=max_bytes, max_values=_MAX_VALUES)
        opening = exchange(self._url, http, mode=self._mode, connect_timeout_s=self._connect_timeout_s)
        async with opening as client:
            version = client.protocol_version
            self._mode = version if version in MODERN_PROTOCOL_VERSIONS else "legacy"
            yield client, http

    @asynccontextmanager
    async def _within(self, timeout_s: float) -> AsyncGenerator[None]:
        """Errors of any kind as one sentence, and none of them late."""
        if not is_installed("mcp"):
            raise ToolError(missing("mcp"))
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except BaseException as error:
            self._mode = "auto"  # it may be another server by now
            explained = explain(self.name, error)
            if not isinstance(explained, ToolError):
                raise
            raise ToolError(self._secrets.hide(str(explained))[:_MAX_SAID]) from error

    def _seen(self, result: Any) -> Any:
        return self._secrets.hide_in(clean_value(to_value(result)))

    def _offered(self, listed: Sequence[Any]) -> list[RemoteTool]:
        """What of a listing can be offered to a model. Raises `ToolError` where there is too much of it."""
        found: dict[str, RemoteTool] = {}
        size, refused, why = 0, 0, ""
        for tool in listed[:_MAX_LISTED]:
            try:
                described = self._described(tool)
            except (InvalidRequest, TypeError) as error:
                refused, why = refused + 1, str(error)
                continue
            size += len(json.dumps(described.to_dict()))
            found.setdefault(described.name, described)
            if size > _MAX_LISTING_BYTES:
                break
        if refused:
            facts = {"server": self.name, "tools": refused, "reason": why}
            _log.warning("some of a server's tools cannot be offered", extra=facts)
        if size > _MAX_LISTING_BYTES or len(listed) > _MAX_LISTED:
            raise ToolError(f"The server {self.name} says more of its tools than can be read.")
        return list(found.values())[:MAX_TOOLS]

    def _described(self, tool: Any) -> RemoteTool:
        """Raises `InvalidRequest`, TypeError for a tool that cannot be offered to a model."""
        if not TOOL_NAME.fullmatch(tool.name) or len(tool.description or "") > MAX_DESCRIPTION:
            raise InvalidRequest("Its name or description is too long, or no name.")
        ArgumentsValidator(tool.input_schema)
        said = tool.model_dump(mode="json", by_alias=True, exclude={"meta", "icons"}, exclude_none=True)
        digest = hashlib.sha256(json.dumps_sorted(said).encode()).hexdigest()
        description = self._secrets.hide(clean_text(tool.description or ""))
        return RemoteTool(tool.name, description, self._secrets.hide_in(tool.input_schema), digest)


class McpTool(Tool):
    """A server's tool, as it was when an admin agreed to it. `on_listing` is told whenever the server was asked."""

    def __init__(
        self,
        server: McpServer,
        approved: RemoteTool,
        on_listing: Callable[[str, Sequence[RemoteTool]], Awaitable[None]],
    ) -> None:
        self.name = f"{server.name}/{approved.name}"
        self.description = approved.description
        self._server = server
        self._approved = approved
        self._on_listing = on_listing

    def get_definition(self) -> ToolDefinition:
        """What the admin has agreed to, not what the server says now."""
        return ToolDefinition(self.name, self._approved.description, self._approved.parameters)

    async def execute(self, /, **arguments: Any) -> Any:
        """The server's answer. Raises `ToolError`, also where the tool is not any more what it was."""
        current = await self._server.find_current(self._approved, self._on_listing)
        if current is None:
            raise ToolError("The server does not offer this tool any more.")
        if current.digest != self._approved.digest:
            raise ToolError("The tool has changed since it was approved; it is off until it is approved again.")
        return await self._server.call(self._approved.name, arguments, parameters=self._approved.parameters)


async def _call(
    client: "Client", http: "httpx2.AsyncClient", name: str, arguments: JsonObject, parameters: JsonObject
) -> Any:
    """A call as the session's own `call_tool` makes it, which would list the tools again for each answer, and hold that
    against a schema that nobody has agreed to.
    """
    from mcp.shared.inbound import mcp_param_headers, x_mcp_header_map
    from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult, InputRequiredResult
    from pydantic import TypeAdapter

    http.headers.update(mcp_param_headers(x_mcp_header_map(parameters), arguments))
    request = CallToolRequest(params=CallToolRequestParams(name=name, arguments=arguments))
    answers: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)
    result = await client.session.send_request(request, answers)
    if isinstance(result, InputRequiredResult):
        raise ToolError("The tool asks for something that only a person can give it, and nobody is asked here.")
    return result
