"""Tools: what there is, what admins make, and what they agree to."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ai_agents.core.exceptions import Conflict, InvalidRequest, PermissionDenied
from ai_agents.core.ids import utc_now
from ai_agents.core.rows import ToolRow
from ai_agents.core.types import JsonObject
from ai_agents.store import tools as store
from ai_agents.store.sealing import SealBroken
from ai_agents.tools.base import ToolError
from ai_agents.tools.http import check_headers, check_http_spec, check_url
from ai_agents.tools.mcp import McpServer, RemoteTool
from ai_agents.tools.outbound import OutboundRefused
from ai_agents.tools.toolbox import Listed, list_row
from app.container import Container, Principal
from app.schemas.tools import ApproveTools, CreateHttpTool, CreateMcpServer, CreateTool
from app.services.repeats import create_once

_FOR_ADMINS = ("url", "digest", "offered")


async def list_tools(services: Container, user: Principal) -> JsonObject:
    """The tools that agents may name; an admin sees those, too, that are off."""
    listed = await services.conn.database.read(services.tools.list_all)
    return _page([tool for tool in listed if user.is_admin or tool.status == "on"], is_admin=user.is_admin)


async def create_tool(
    services: Container, user: Principal, body: CreateTool, *, key: str | None, fingerprint: str
) -> JsonObject:
    """A new tool, or a server's tools. Raises `PermissionDenied`, `InvalidRequest`, `Conflict`."""
    _require_admin(user)
    made = body.root
    spec = made.model_dump(exclude={"headers", "type"})
    await _check(services, made, spec)
    if services.tools.registry.find(made.name) is not None:
        raise Conflict("There is a tool of this name.")
    sealed = services.tools.sealer.seal(made.headers) if made.headers else None
    # A server is asked before the transaction, and not for a request that has been answered before.
    is_new = key is None or not await services.is_repeated(user, key)
    offered = None
    if isinstance(made, CreateMcpServer):
        offered = await _offered(services.tools.server(made.name, made.url, sealed)) if is_new else []

    async def create() -> JsonObject:
        row = await services.conn.database.write(
            lambda c: store.create_tool(
                c,
                name=made.name,
                type=made.type,
                spec=spec,
                sealed_headers=sealed,
                offered=None if offered is None else [tool.to_dict() for tool in offered],
            )
        )
        return _answer(row)

    return await create_once(services, user, create, key=key, fingerprint=fingerprint)


async def approve_tools(services: Container, user: Principal, name: str, body: ApproveTools) -> JsonObject:
    """Agree to tools as they were seen and still are. Raises `PermissionDenied`, `ToolNotFound`, `Conflict`."""
    _require_admin(user)
    row = await services.conn.database.read(lambda c: store.get_tool(c, name))
    if row["type"] != "mcp":
        raise Conflict("Only a server's tools are approved.")
    try:
        server = services.tools.server(name, row["spec"]["url"], row["sealed_headers"])
    except SealBroken as error:
        raise Conflict("Its headers cannot be opened with this encryption key: it has to be made again.") from error
    listing = await _offered(server)
    listed_at = utc_now()
    offered = {tool.name: tool.to_dict() for tool in listing}
    approved = {}
    for tool in body.tools:
        now = offered.get(tool.name)
        if now is None or now["digest"] != tool.digest:
            raise Conflict(f"The server does not offer the tool {tool.name} as it was seen.")
        approved[tool.name] = now
    save = partial(
        store.save_listing,
        name=name,
        created_at=row["created_at"],
        offered=list(offered.values()),
        listed_at=listed_at,
        approved=approved,
    )
    return _answer(await services.conn.database.write(save))


async def delete_tool(services: Container, user: Principal, name: str) -> None:
    """Remove what an admin made. Raises `PermissionDenied`, `ToolNotFound`, `Conflict` for what no admin made."""
    _require_admin(user)
    if services.tools.registry.find(name) is not None:
        raise Conflict("This tool was not made here: it belongs to the program.")
    await services.conn.database.write(lambda c: store.delete_tool(c, name))


def _require_admin(user: Principal) -> None:
    if not user.is_admin:
        raise PermissionDenied("Only an admin makes, approves and deletes tools.")


async def _check(services: Container, made: CreateHttpTool | CreateMcpServer, spec: JsonObject) -> None:
    if isinstance(made, CreateHttpTool):
        check_http_spec(spec, made.headers)
    else:
        check_url(made.url)
        check_headers(made.headers)
    parts = urlsplit(made.url)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return  # a name is looked up when it is called, and may lead elsewhere by then
    try:
        await services.tools.outbound.addresses(host, parts.port or (443 if parts.scheme == "https" else 80))
    except OutboundRefused as error:
        raise InvalidRequest(str(error), loc=("url",)) from error


async def _offered(server: McpServer) -> Sequence[RemoteTool]:
    try:
        return await server.list_tools()
    except ToolError as error:
        raise InvalidRequest(str(error), loc=("url",)) from error


def _answer(row: ToolRow) -> JsonObject:
    return _page(list_row(row), is_admin=True)


def _page(listed: Sequence[Listed], *, is_admin: bool) -> JsonObject:
    return {"data": [_to_dict(tool, is_admin=is_admin) for tool in listed], "next": None}


def _to_dict(tool: Listed, *, is_admin: bool) -> dict[str, Any]:
    shown = asdict(tool)
    return {name: value for name, value in shown.items() if name not in _FOR_ADMINS or (is_admin and value is not None)}
