"""All tools that agents may name: those that are registered in the process, and those that admins created.

The tools of admins are read from the database for each run, so that every replica sees a new, changed or deleted tool
at once. That needs no request to an MCP server: a server is asked when one of its tools is called.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypedDict

from sqlalchemy import Connection

from ai_agents.core.byte_cache import ByteCache, size_of_json
from ai_agents.core.exceptions import AIAgentsError, InvalidRequest
from ai_agents.core.headers import merge_headers
from ai_agents.core.ids import utc_now
from ai_agents.core.table_rows import OfferedTool, ServerTools, ToolRow
from ai_agents.core.types import JsonObject
from ai_agents.store.credentials import takes_credentials
from ai_agents.store.database import Database
from ai_agents.store.sealing import SealBroken, Sealer
from ai_agents.store.tools import find_tools, list_tools, save_listing
from ai_agents.tools.base import RemoteTool
from ai_agents.tools.http import HttpTool, is_retry_safe
from ai_agents.tools.mcp import McpServer, McpTool
from ai_agents.tools.outbound import Outbound
from ai_agents.tools.registry import (
    RegisteredTool,
    ToolReference,
    ToolRegistry,
    ToolSet,
    approvals_by_name,
    prepare_tool,
)
from ai_agents.tools.user_tools import UserHeaders, UserServers, UserTool

ToolStatus = Literal["on", "changed", "unapproved", "gone", "left_out"]
# Clients of MCP servers: when there are so many, all are let go, and made again when they are needed.
_MAX_SERVERS = 512
_MAX_BUILT_BYTES = 64 * 1024 * 1024
# A tool with its validator takes so many times the memory of its row.
_BUILT_SIZE = 4
_log = logging.getLogger(__name__)


class _McpOptions(TypedDict):
    keep: frozenset[str]
    retry_safe: bool


class _Facts(TypedDict):
    retry_safe: bool
    credentials: Literal["user"] | None


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as `GET /tools` lists it. `offered` is what its server says of it now, if that was not approved.

    `reason` says why what the server says of it is left out, or a part of that. `retry_safe`: see `Tool`. With
    `credentials` it is called with each user's own headers.
    """

    name: str
    type: Literal["python", "http", "mcp"]
    description: str
    parameters: JsonObject
    retry_safe: bool = False
    status: ToolStatus = "on"
    url: str | None = None
    digest: str | None = None
    offered: OfferedTool | None = None
    reason: str | None = None
    credentials: Literal["user"] | None = None
    # Of an HTTP tool.
    method: str | None = None
    version: int | None = None


class Toolbox:
    """A `ToolSource`. `sealer` decrypts the headers of admins' tools, `outbound` sends their requests."""

    def __init__(self, database: Database, registry: ToolRegistry, *, outbound: Outbound, sealer: Sealer) -> None:
        self.registry = registry
        self.outbound = outbound
        self.sealer = sealer
        self._database = database
        # By a row's name: its version and its tools. A version has the row's time too: a name may be used again.
        self._built: ByteCache[str, tuple[tuple[str, int], dict[str, RegisteredTool]]] = ByteCache(_MAX_BUILT_BYTES)
        self._servers: dict[tuple[str, str, str | None], McpServer] = {}
        self.user_servers = UserServers()
        self._user_headers = UserHeaders(database, sealer)
        # Runs are prepared in threads.
        self._lock = threading.Lock()

    def resolve(self, connection: Connection, references: Sequence[ToolReference]) -> ToolSet:
        """See `ToolSource.resolve`. Takes one query, and none if all names are in the registry."""
        approvals = approvals_by_name(references)
        unregistered = [name for name in approvals if self.registry.find(name) is None]
        rows = find_tools(connection, {name.partition("/")[0] for name in unregistered})
        found = {name: self._find(name, rows) for name in approvals}
        tools = {full_name: tool for each in found.values() for full_name, tool in each.items()}
        # Where a server and one of its tools are both listed, the tool's own time counts.
        listed = sorted(found, key=lambda name: name.endswith("/*"), reverse=True)
        approval = {
            full_name: how
            for name in listed
            for full_name, tool in found[name].items()
            if (how := approvals[name] or tool.approval)
        }
        made = {name: name.partition("/")[0] for name in unregistered if found[name]}
        return ToolSet(tools, approval, tuple(name for name, each in found.items() if not each), made)

    def list_all(self, connection: Connection) -> list[ListedTool]:
        """Return every tool, also those that are off, by name."""
        listed = [
            ListedTool(each.name, "python", each.description, each.parameters, tool.retry_safe)
            for tool in self.registry.list_tools()
            for each in [tool.get_definition()]
        ]
        for row in list_tools(connection):
            listed += list_row(row)
        return sorted(listed, key=lambda each: each.name)

    def server(self, name: str, url: str, sealed_headers: str | None) -> McpServer:
        """Return the client of the MCP server at this address. Raises `SealBroken`."""
        key = (name, url, sealed_headers)
        with self._lock:
            server = self._servers.get(key)
            if server is None:
                if len(self._servers) >= _MAX_SERVERS:
                    self._servers.clear()
                server = McpServer(name, url, self.outbound, headers=self._headers(sealed_headers))
                self._servers[key] = server
        return server

    def user_server(self, name: str, url: str, sealed_headers: str | None, own: Mapping[str, str]) -> McpServer:
        """Return a client of this server with a user's own headers over those of the tool. Raises `SealBroken`."""
        return McpServer(name, url, self.outbound, headers=merge_headers(self._headers(sealed_headers), own))

    async def find_own_headers(self, row: ToolRow, user_id: str) -> dict[str, str]:
        """Return a user's own headers for a tool that is called with them. Raises `NoCredentials`."""
        return await self._user_headers.find(user_id, row["name"], row["created_at"])

    def _headers(self, sealed: str | None) -> dict[str, str]:
        return self.sealer.open(sealed) if sealed else {}

    def _find(self, name: str, rows: Mapping[str, ToolRow]) -> dict[str, RegisteredTool]:
        if (registered := self.registry.find(name)) is not None:
            return {name: registered}
        server, _, tool = name.partition("/")
        row = rows.get(server)
        if row is None:
            return {}
        tools = self._build(row)
        if tool == "*":
            return tools if row["type"] == "mcp" else {}
        return {name: tools[name]} if name in tools else {}

    def _build(self, row: ToolRow) -> dict[str, RegisteredTool]:
        version = (row["created_at"], row["version"])
        built = self._built.find(row["name"])
        if built is not None and built[0] == version:
            return built[1]
        tools: dict[str, RegisteredTool] = {}
        try:
            tools = {row["name"]: prepare_tool(self._http(row))} if row["type"] == "http" else self._mcp(row)
        except SealBroken:
            _log.error("a tool's headers cannot be opened with this encryption key", extra={"tool": row["name"]})
        except InvalidRequest as error:  # it was created when more was allowed
            _log.error("a tool cannot be offered any more", extra={"tool": row["name"], "reason": str(error)})
        size_bytes = _BUILT_SIZE * size_of_json([row["spec"], row["approved"]])
        self._built.put(row["name"], (version, tools), size_bytes)
        return tools

    def _http(self, row: ToolRow) -> RemoteTool:
        tool = HttpTool(row["spec"], self.outbound, headers=self._headers(row["sealed_headers"]))
        return self._for_users(row, tool, lambda _user_id, own: tool.for_user(own))

    def _mcp(self, row: ToolRow) -> dict[str, RegisteredTool]:
        offered = {tool["name"]: tool["digest"] for tool in (row["listing"]["tools"] if row["listing"] else ())}
        tools = {}
        for name, approved in sorted((row["approved"] or {}).items()):
            # A tool that was missing from the last listing may be back: its server is asked before the call.
            if offered.get(name, approved["digest"]) == approved["digest"]:
                tool = self._mcp_tool(row, approved)
                tools[tool.name] = prepare_tool(tool)
        return tools

    def _mcp_tool(self, row: ToolRow, approved: OfferedTool) -> RemoteTool:
        of_server = row["name"], row["spec"]["url"], row["sealed_headers"]
        options: _McpOptions = {"keep": frozenset(row["approved"] or ()), "retry_safe": is_retry_safe(row["spec"])}
        keep_listing = partial(self._keep_listing, row["created_at"])

        def bind(user_id: str, own: Mapping[str, str]) -> RemoteTool:
            made = row["name"], row["created_at"]
            server = self.user_servers.get(made, user_id, own, lambda: self.user_server(*of_server, own))
            return McpTool(server, approved, _drop_listing, **options)

        return self._for_users(row, McpTool(self.server(*of_server), approved, keep_listing, **options), bind)

    def _for_users(
        self, row: ToolRow, tool: RemoteTool, bind: Callable[[str, Mapping[str, str]], RemoteTool]
    ) -> RemoteTool:
        """Return the tool, or the one that calls it for each user with their own headers."""
        if not takes_credentials(row["spec"]):
            return tool
        return UserTool(tool, (row["name"], row["created_at"]), self._user_headers, bind=bind)

    async def _keep_listing(self, created_at: str, name: str, listing: ServerTools) -> None:
        save = partial(save_listing, name=name, created_at=created_at, offered=listing, listed_at=utc_now())
        try:
            await self._database.write(save)
        except AIAgentsError:  # only later runs use what is stored here
            _log.warning("a server's listing could not be kept", extra={"tool": name}, exc_info=True)


async def _drop_listing(_name: str, _listing: ServerTools) -> None:
    """What a server offers to one user says nothing of what it offers to others."""


def list_row(row: ToolRow) -> list[ListedTool]:
    """Return the tools of an admin's row, by name."""
    url = row["spec"]["url"]
    if row["type"] == "http":
        described = row["spec"]["description"], row["spec"]["parameters"]
        http = ListedTool(
            row["name"], "http", *described, url=url, method=row["spec"]["method"], version=row["version"]
        )
        return [replace(http, **_facts_of(row))]
    approved = row["approved"] or {}
    listing = row["listing"]
    offered = {tool["name"]: tool for tool in (listing["tools"] if listing else ())}
    left_out = {each["name"]: each["reason"] for each in reversed(listing.get("left_out", ()) if listing else ())}
    names = sorted({*approved, *offered, *left_out})
    listed = [_list_remote(row, name, offered.get(name), left_out.get(name)) for name in names]
    return [replace(tool, **_facts_of(row)) for tool in listed]


def _facts_of(row: ToolRow) -> _Facts:
    """Return what holds for all tools of a row."""
    return {
        "retry_safe": is_retry_safe(row["spec"]),
        "credentials": "user" if takes_credentials(row["spec"]) else None,
    }


def _list_remote(row: ToolRow, tool: str, offered: OfferedTool | None, reason: str | None) -> ListedTool:
    name, url, approved = f"{row['name']}/{tool}", row["spec"]["url"], (row["approved"] or {}).get(tool)
    status: ToolStatus = "on"
    if offered is None:
        status = "gone" if reason is None else "left_out"
    elif approved is None:
        status = "unapproved"
    elif approved["digest"] != offered["digest"]:
        status = "changed"
    shown = approved or offered
    news = offered if status == "changed" else None
    if shown is None:
        return ListedTool(name, "mcp", "", {}, status=status, url=url, reason=reason)
    return ListedTool(
        name,
        "mcp",
        shown["description"],
        shown["parameters"],
        status=status,
        url=url,
        digest=shown["digest"],
        offered=news,
        reason=reason,
    )
