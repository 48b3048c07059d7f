"""All tools that agents may name: those that are registered in the process, and those that admins created.

The tools of admins are read from the database for each run, so that every replica sees a new, changed or deleted tool
at once. That needs no request to an MCP server: a server is asked when one of its tools is called.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from sqlalchemy import Connection

from ai_agents.core.byte_cache import ByteCache, size_of_json
from ai_agents.core.exceptions import AIAgentsError, InvalidRequest
from ai_agents.core.ids import utc_now
from ai_agents.core.table_rows import OfferedTool, ServerTools, ToolRow
from ai_agents.core.types import JsonObject
from ai_agents.store.database import Database
from ai_agents.store.sealing import SealBroken, Sealer
from ai_agents.store.tools import find_tools, list_tools, save_listing
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

ToolStatus = Literal["on", "changed", "unapproved", "gone", "left_out"]
# Clients of MCP servers: when there are so many, all are let go, and made again when they are needed.
_MAX_SERVERS = 512
_MAX_BUILT_BYTES = 64 * 1024 * 1024
# A tool with its validator takes so many times the memory of its row.
_BUILT_SIZE = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as `GET /tools` lists it. `offered` is what its server says of it now, if that was not approved.

    `reason` says why what the server says of it is left out, or a part of that. `retry_safe`: see `Tool`.
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
        # Runs are prepared in threads.
        self._lock = threading.Lock()

    def resolve(self, connection: Connection, references: Sequence[ToolReference]) -> ToolSet:
        """See `ToolSource.resolve`. Takes one query, and none if all names are in the registry."""
        approvals = approvals_by_name(references)
        unregistered = [name for name in approvals if self.registry.find(name) is None]
        rows = find_tools(connection, {name.partition("/")[0] for name in unregistered})
        found = {name: self._find(name, rows) for name in approvals}
        tools = {full_name: tool for each in found.values() for full_name, tool in each.items()}
        approval = frozenset(full_name for name, each in found.items() if approvals[name] for full_name in each)
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
            if row["type"] == "http":
                http = HttpTool(row["spec"], self.outbound, headers=self._headers(row["sealed_headers"]))
                tools = {row["name"]: prepare_tool(http)}
            else:
                tools = self._mcp(row)
        except SealBroken:
            _log.error("a tool's headers cannot be opened with this encryption key", extra={"tool": row["name"]})
        except InvalidRequest as error:  # it was created when more was allowed
            _log.error("a tool cannot be offered any more", extra={"tool": row["name"], "reason": str(error)})
        size_bytes = _BUILT_SIZE * size_of_json([row["spec"], row["approved"]])
        self._built.put(row["name"], (version, tools), size_bytes)
        return tools

    def _mcp(self, row: ToolRow) -> dict[str, RegisteredTool]:
        server = self.server(row["name"], row["spec"]["url"], row["sealed_headers"])
        offered = {tool["name"]: tool["digest"] for tool in (row["listing"]["tools"] if row["listing"] else ())}
        tools = {}
        keep = frozenset(row["approved"] or ())
        for name, approved in sorted((row["approved"] or {}).items()):
            # A tool that was missing from the last listing may be back: its server is asked before the call.
            if offered.get(name, approved["digest"]) == approved["digest"]:
                tool = McpTool(
                    server,
                    approved,
                    partial(self._keep_listing, row["created_at"]),
                    keep=keep,
                    retry_safe=is_retry_safe(row["spec"]),
                )
                tools[tool.name] = prepare_tool(tool)
        return tools

    async def _keep_listing(self, created_at: str, name: str, listing: ServerTools) -> None:
        save = partial(save_listing, name=name, created_at=created_at, offered=listing, listed_at=utc_now())
        try:
            await self._database.write(save)
        except AIAgentsError:  # only later runs use what is stored here
            _log.warning("a server's listing could not be kept", extra={"tool": name}, exc_info=True)


def list_row(row: ToolRow) -> list[ListedTool]:
    """Return the tools of an admin's row, by name."""
    url = row["spec"]["url"]
    if row["type"] == "http":
        described = row["spec"]["description"], row["spec"]["parameters"]
        return [ListedTool(row["name"], "http", *described, is_retry_safe(row["spec"]), url=url)]
    approved = row["approved"] or {}
    listing = row["listing"]
    offered = {tool["name"]: tool for tool in (listing["tools"] if listing else ())}
    left_out = {each["name"]: each["reason"] for each in reversed(listing.get("left_out", ()) if listing else ())}
    names = sorted({*approved, *offered, *left_out})
    listed = [_list_remote(row, name, offered.get(name), left_out.get(name)) for name in names]
    return [replace(tool, retry_safe=is_retry_safe(row["spec"])) for tool in listed]


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
