"""All tools that agents may name: those that are registered in the process, and those that admins made.

What admins made is read from the database for each run, so that every replica sees a new, changed or deleted tool at
once. No server is asked for that: it is asked when one of its tools is called.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from sqlalchemy import Connection

from ai_agents.core.exceptions import AIAgentsError, InvalidRequest
from ai_agents.core.ids import utc_now
from ai_agents.core.rows import OfferedTool, ToolRow
from ai_agents.core.types import JsonObject
from ai_agents.store.database import Database
from ai_agents.store.sealing import SealBroken, Sealer
from ai_agents.store.tools import find_tools, list_tools, save_listing
from ai_agents.tools.http import HttpTool
from ai_agents.tools.mcp import McpServer, McpTool, RemoteTool
from ai_agents.tools.outbound import Outbound
from ai_agents.tools.registry import ToolRegistry
from ai_agents.tools.toolset import RegisteredTool, ToolSet, Wanted, named, prepare_tool

Status = Literal["on", "changed", "unapproved", "gone"]
# More are not kept ready at once; what is dropped is made again.
_KEPT = 512
# How long a server may say nothing in the middle of an exchange; calls end before, by the limit of tools.
_SILENCE_S = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as the catalogue shows it. `offered` is what its server says of it now, where that is something else."""

    name: str
    type: Literal["python", "http", "mcp"]
    description: str
    parameters: JsonObject
    status: Status = "on"
    url: str | None = None
    digest: str | None = None
    offered: OfferedTool | None = None


@dataclass(frozen=True, slots=True)
class _Made:
    """What a row came to: tools by their full names. A name may be given again: the time tells one from the other."""

    version: tuple[str, int]
    tools: Mapping[str, RegisteredTool] = field(default_factory=dict)


class Toolbox:
    """A `ToolSource`. `sealer` opens the headers of admins' tools, `outbound` is how they reach anything."""

    def __init__(
        self,
        database: Database,
        registry: ToolRegistry,
        *,
        outbound: Outbound,
        sealer: Sealer,
        mcp_connect_timeout_s: float = 5.0,
    ) -> None:
        self.registry = registry
        self.outbound = outbound
        self.sealer = sealer
        self._database = database
        self._mcp_connect_timeout_s = mcp_connect_timeout_s
        self._made: dict[str, _Made] = {}
        self._servers: dict[tuple[str, str, str | None], McpServer] = {}
        # Databases are read in threads.
        self._lock = threading.Lock()

    def resolve(self, connection: Connection, wanted: Sequence[Wanted]) -> ToolSet:
        """See `ToolSource.resolve`: in one query, and only where a name is none of the registry's."""
        asked = dict(named(wanted))
        rows = find_tools(connection, {name.partition("/")[0] for name in asked if self.registry.find(name) is None})
        tools: dict[str, RegisteredTool] = {}
        approval: set[str] = set()
        missing: list[str] = []
        for name, waits in asked.items():
            found = self._find(name, rows)
            tools |= found
            if waits:
                approval |= found.keys()
            if not found:
                missing.append(name)
        return ToolSet(tools, frozenset(approval), tuple(missing))

    def list_all(self, connection: Connection) -> list[Listed]:
        """Every tool that there is, also those that are off, by name."""
        definitions = [tool.get_definition() for tool in self.registry.list_tools()]
        listed = [Listed(each.name, "python", each.description, each.parameters) for each in definitions]
        for row in list_tools(connection):
            listed += list_row(row)
        return sorted(listed, key=lambda each: each.name)

    def server(self, name: str, url: str, sealed_headers: str | None) -> McpServer:
        """The MCP server at this address. Raises `SealBroken`."""
        key = (name, url, sealed_headers)
        with self._lock:
            server = self._servers.get(key)
            if server is None:
                if len(self._servers) >= _KEPT:
                    self._servers.clear()
                timeout_s = self._mcp_connect_timeout_s
                headers = self._headers(sealed_headers)
                opener = partial(self.outbound.client, headers=headers, timeout_s=_SILENCE_S)
                server = McpServer(name, url, opener, headers=headers, connect_timeout_s=timeout_s)
                self._servers[key] = server
        return server

    async def aclose(self) -> None:
        """Close all connections."""
        await self.outbound.aclose()

    def _headers(self, sealed: str | None) -> dict[str, str]:
        return self.sealer.open(sealed) if sealed else {}

    def _find(self, name: str, rows: Mapping[str, ToolRow]) -> dict[str, RegisteredTool]:
        registered = self.registry.find(name)
        if registered is not None:
            return {name: registered}
        server, _, tool = name.partition("/")
        row = rows.get(server)
        if row is None:
            return {}
        made = self._make(row).tools
        if tool == "*":
            return dict(made) if row["type"] == "mcp" else {}
        return {name: made[name]} if name in made else {}

    def _make(self, row: ToolRow) -> _Made:
        version = (row["created_at"], row["version"])
        with self._lock:
            made = self._made.get(row["name"])
        if made is not None and made.version == version:
            return made
        try:
            tools = self._http(row) if row["type"] == "http" else self._mcp(row)
        except SealBroken:
            _log.error("a tool's headers cannot be opened with this encryption key", extra={"tool": row["name"]})
            tools = {}
        except InvalidRequest as error:  # kept from when more was allowed
            _log.error("a tool cannot be offered any more", extra={"tool": row["name"], "reason": str(error)})
            tools = {}
        made = _Made(version, tools)
        with self._lock:
            if len(self._made) >= _KEPT:
                self._made.clear()
            self._made[row["name"]] = made
        return made

    def _http(self, row: ToolRow) -> dict[str, RegisteredTool]:
        headers = self._headers(row["sealed_headers"])
        return {row["name"]: prepare_tool(HttpTool(row["spec"], self.outbound, headers=headers))}

    def _mcp(self, row: ToolRow) -> dict[str, RegisteredTool]:
        server = self.server(row["name"], row["spec"]["url"], row["sealed_headers"])
        offered = {tool["name"]: tool["digest"] for tool in (row["listing"]["tools"] if row["listing"] else ())}
        tools = {}
        for name, approved in sorted((row["approved"] or {}).items()):
            # One that was not listed the last time may be back: the server is asked before it is called.
            if offered.get(name, approved["digest"]) == approved["digest"]:
                tool = McpTool(server, RemoteTool(**approved), partial(self._keep_listing, row["created_at"]))
                tools[tool.name] = prepare_tool(tool)
        return tools

    async def _keep_listing(self, created_at: str, name: str, listing: Sequence[RemoteTool]) -> None:
        save = partial(
            save_listing,
            name=name,
            created_at=created_at,
            offered=[tool.to_dict() for tool in listing],
            listed_at=utc_now(),
        )
        try:
            await self._database.write(save)
        except AIAgentsError:  # it is for the next run to see; the call that asked has seen it
            _log.warning("a server's listing could not be kept", extra={"tool": name}, exc_info=True)


def list_row(row: ToolRow) -> list[Listed]:
    """The tools of an admin's row, by name."""
    url = row["spec"]["url"]
    if row["type"] == "http":
        return [Listed(row["name"], "http", row["spec"]["description"], row["spec"]["parameters"], url=url)]
    approved = row["approved"] or {}
    offered = {tool["name"]: tool for tool in (row["listing"]["tools"] if row["listing"] else ())}
    names = sorted({*approved, *offered})
    return [_list_remote(f"{row['name']}/{name}", url, approved.get(name), offered.get(name)) for name in names]


def _list_remote(name: str, url: str, approved: OfferedTool | None, offered: OfferedTool | None) -> Listed:
    status: Status = "on"
    if approved is None:
        status = "unapproved"
    elif offered is None:
        status = "gone"
    elif approved["digest"] != offered["digest"]:
        status = "changed"
    shown = approved or offered
    assert shown is not None  # noqa: S101  # the name comes from one of the two
    news = offered if status == "changed" else None
    return Listed(name, "mcp", shown["description"], shown["parameters"], status, url, shown["digest"], news)
