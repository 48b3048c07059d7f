"""Tools of MCP servers, through the official SDK, over streamable HTTP (2026-07-28, and the versions before it).

What a server says of its tools is what an admin has agreed to, or it is not said to a model: a tool that says something
else of itself is off.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.json import clean_text
from ai_agents.core.types import JsonObject, ToolDefinition
from ai_agents.tools.base import Tool, ToolError
from ai_agents.tools.mcp_results import to_value
from ai_agents.tools.results import clean_value
from ai_agents.tools.schema import ArgumentsValidator
from ai_agents.tools.secret_headers import without_secrets
from ai_agents.tools.toolset import TOOL_NAME

if TYPE_CHECKING:
    import httpx2
    from mcp import Client

MAX_TOOLS = 256
MAX_DESCRIPTION = 8 * 1024
_MAX_PAGES = 20
_MAX_LISTING = 1024 * 1024
# How long a call waits for an answer at most; the executor's limit is usually shorter.
_CALL_S = 300.0
_FAREWELL_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """A tool as its server describes it. `digest` is that of all that is said of it."""

    name: str
    description: str
    parameters: JsonObject
    digest: str

    def to_dict(self) -> JsonObject:
        """As it is kept."""
        return asdict(self)


class McpServer:
    """One server. `open_client` gives an HTTP client for one exchange, with `headers`, which hold the server's secrets.

    A listing counts for `fresh_s` seconds in this process. Whatever a server does, it ends in a `ToolError` in time.
    """

    def __init__(
        self,
        name: str,
        url: str,
        open_client: "Callable[[], httpx2.AsyncClient]",
        *,
        headers: Mapping[str, str] | None = None,
        connect_timeout_s: float = 5.0,
        list_timeout_s: float = 10.0,
        fresh_s: float = 60.0,
    ) -> None:
        self.name = name
        self._url = url
        self._open_client = open_client
        self._headers = dict(headers or {})
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
        found: dict[str, RemoteTool] = {}
        async with self._within(self._list_timeout_s), self._connected() as client:
            cursor: str | None = None
            size = 0
            for _ in range(_MAX_PAGES):
                page = await client.list_tools(cursor=cursor, cache_mode="bypass")
                for tool in page.tools:
                    described = self._described(tool)
                    if described is not None and len(found) < MAX_TOOLS:
                        size += len(json.dumps(described.to_dict()))
                        found.setdefault(described.name, described)
                cursor = page.next_cursor
                if cursor is None or size > _MAX_LISTING:
                    break
        if size > _MAX_LISTING:
            raise ToolError(f"The server {self.name} says more of its tools than can be read.")
        return list(found.values())

    async def find_current(
        self, name: str, on_listing: Callable[[str, Sequence[RemoteTool]], Awaitable[None]]
    ) -> RemoteTool | None:
        """The tool as it is now, by a listing that is fresh. One listing is asked for at a time. Raises `ToolError`."""
        async with self._asking:
            if time.monotonic() - self._listed_at > self._fresh_s:
                listing = await self.list_tools()
                self._listing = {tool.name: tool for tool in listing}
                self._listed_at = time.monotonic()
                await on_listing(self.name, listing)
        return self._listing.get(name)

    async def call(self, name: str, arguments: JsonObject, *, timeout_s: float = _CALL_S) -> Any:
        """What the tool answers, as JSON. Raises `ToolError`."""
        async with self._within(timeout_s), self._connected() as client:
            result = await client.session.call_tool(name, arguments)
        value = clean_value(to_value(result))
        said = value if isinstance(value, str) else json.dumps(value)
        seen = without_secrets(said, self._headers)
        if result.is_error:
            raise ToolError(seen)
        return value if seen == said else seen

    @asynccontextmanager
    async def _connected(self) -> "AsyncGenerator[Client]":
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        async with self._open_client() as http, AsyncExitStack() as stack:
            http.event_hooks = {"request": [_hurry_farewell], "response": []}
            client = Client(streamable_http_client(self._url, http_client=http), mode=self._mode, cache=None)
            async with asyncio.timeout(self._connect_timeout_s):
                await stack.enter_async_context(client)
            version = client.protocol_version
            self._mode = version if version in MODERN_PROTOCOL_VERSIONS else "legacy"
            yield client

    @asynccontextmanager
    async def _within(self, timeout_s: float) -> AsyncGenerator[None]:
        """Errors of any kind as one sentence, and none of them late."""
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except ToolError:
            raise
        except BaseException as error:
            raise self._explained(error) from error

    def _explained(self, error: BaseException) -> BaseException:
        explained = _explained(self.name, error)
        return (
            ToolError(without_secrets(str(explained), self._headers)) if isinstance(explained, ToolError) else explained
        )

    def _described(self, tool: Any) -> RemoteTool | None:
        """The tool; None for one that cannot be offered to a model, which is logged."""
        said = tool.model_dump(mode="json", by_alias=True, exclude={"meta", "icons"}, exclude_none=True)
        description, parameters = clean_text(tool.description or ""), tool.input_schema
        try:
            if not TOOL_NAME.fullmatch(tool.name) or len(description) > MAX_DESCRIPTION:
                raise InvalidRequest("Its name or description is too long, or no name.")
            ArgumentsValidator(parameters)
            digest = hashlib.sha256(json.dumps_sorted(said).encode()).hexdigest()
        except (InvalidRequest, TypeError) as error:
            _log.warning("a server's tool cannot be offered", extra={"server": self.name, "reason": str(error)})
            return None
        return RemoteTool(tool.name, description, parameters, digest)


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
        current = await self._server.find_current(self._approved.name, self._on_listing)
        if current is None:
            raise ToolError("The server does not offer this tool any more.")
        if current.digest != self._approved.digest:
            raise ToolError("The tool has changed since it was approved; it is off until it is approved again.")
        return await self._server.call(self._approved.name, arguments)


async def _hurry_farewell(request: "httpx2.Request") -> None:
    """The end of a session is told to the server, and nobody waits for what it says to that."""
    if request.method == "DELETE":
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), _FAREWELL_S)


def _explained(server: str, error: BaseException) -> BaseException:
    """What went wrong with a server, as a sentence for a model; what is no fault of the server's is as it was."""
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
                return ToolError(f"The server {server} answered: {clean_text(leaf.error.message)[:1000]}")
            case TimeoutError() | httpx2.TimeoutException():
                return ToolError(f"The server {server} did not answer in time.")
            case ValidationError() | ValueError():
                return ToolError(f"The server {server} answered something that is not MCP.")
    return ToolError(f"The server {server} could not be reached ({type(leaves[0]).__name__}).")


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
