"""The tools that agents may name. Admins make, approve and delete them."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from ai_agents.core.exceptions import Conflict, InvalidRequest
from ai_agents.core.headers import check_credentials, check_headers
from ai_agents.core.ids import utc_now
from ai_agents.core.table_rows import ServerTools, ToolRow
from ai_agents.core.types import JsonObject
from ai_agents.store import audit, credentials, tools
from ai_agents.store.sealing import SealBroken
from ai_agents.tools.base import NoCredentials, ToolError
from ai_agents.tools.http import check_http_spec, check_url
from ai_agents.tools.mcp import McpServer
from ai_agents.tools.outbound import AddressNotPublic
from ai_agents.tools.toolbox import ListedTool, list_row
from app.container import Container
from app.schemas.tools import ApproveTools, CreateHttpTool, CreateMcpServer, CreateTool, UpdateHttpTool
from app.services.identity import Principal, act_of, check_version, require_admin
from app.services.repeats import SentKey, create_once, find_first, for_admins

_ADMIN_FIELDS = ("url", "digest", "offered", "reason", "method", "version")
# In a change of a tool. Of other fields null changes nothing.
_MAY_BE_NULL = ("credentials", "retry_safe")
_ADMINS_ONLY = "Only an admin makes, approves and deletes tools."


async def list_tools(container: Container, user: Principal) -> JsonObject:
    """The tools that the user may name in agents; an admin sees all, also those that are off."""
    listed = await container.conn.database.read(container.tools.list_all, long=True)
    seen = [tool for tool in listed if user.is_admin or (tool.status == "on" and may_name(container, user, tool.name))]
    return _page(seen, is_admin=user.is_admin)


def may_name(container: Container, user: Principal, tool: str) -> bool:
    """Whether the user may name this tool in an agent, if there is one. Tools in Python are everybody's."""
    if container.tools.registry.find(tool) is not None:
        return True
    return container.use_rights.may_use(user.user_id, "tool", tool.partition("/")[0], is_admin=user.is_admin)


async def create_tool(container: Container, user: Principal, body: CreateTool, *, sent: SentKey | None) -> JsonObject:
    """A new tool, or a server's tools, which only admins may use until there is a role on it.

    Raises `PermissionDenied`, `InvalidRequest`, `Conflict`.
    """
    require_admin(user, _ADMINS_ONLY)
    # Found before the server is asked.
    first = await find_first(container, user, sent=sent, may_see=for_admins)
    if first is not None:
        return dict(first)
    made = body.root
    spec = made.model_dump(exclude={"headers", "own_headers", "type"})
    await _check_spec(container, made, spec)
    if container.tools.registry.find(made.name) is not None:
        raise Conflict("There is a tool of this name.")
    sealed = container.tools.sealer.seal(made.headers) if made.headers else None
    own = (made.own_headers if isinstance(made, CreateMcpServer) else None) or {}
    sealed_own = container.tools.sealer.seal(own) if own else None
    # Ask the server before the transaction begins.
    offered = None
    if isinstance(made, CreateMcpServer):
        offered = await _list_offered(container.tools.user_server(made.name, made.url, sealed, own))

    async def create() -> JsonObject:
        def write(connection: Connection) -> ToolRow:
            row = tools.create_tool(
                connection, name=made.name, type=made.type, spec=spec, sealed_headers=sealed, offered=offered
            )
            audit.record(connection, act_of(user, "tool.create", "tool", made.name, details={"type": made.type}))
            if sealed_own is not None:
                credentials.put(connection, user.user_id, made.name, sealed_own)
                audit.record(connection, act_of(user, "credentials.put", "tool", made.name, subject_id=user.user_id))
            return row

        row = await container.conn.database.write(write)
        return _page(list_row(row), is_admin=True)

    return await create_once(container, user, create, sent=sent, may_see=for_admins)


async def approve_tools(container: Container, user: Principal, name: str, body: ApproveTools) -> JsonObject:
    """Approve tools of a server, if the server still offers them as the admin has seen them.

    Raises `PermissionDenied`, `ToolNotFound`, `Conflict`.
    """
    require_admin(user, _ADMINS_ONLY)
    row = await container.conn.database.read(lambda c: tools.get_tool(c, name))
    if row["type"] != "mcp":
        raise Conflict("Only a server's tools are approved.")
    try:
        server = await _server_for(container, user, row)
    except SealBroken as error:
        raise Conflict("Its headers cannot be opened with this encryption key: it has to be made again.") from error
    listing = await _list_offered(server, keep={*(row["approved"] or ()), *(tool.name for tool in body.tools)})
    listed_at = utc_now()
    offered = {tool["name"]: tool for tool in listing["tools"]}
    approved = {}
    for tool in body.tools:
        now = offered.get(tool.name)
        if now is None or now["digest"] != tool.digest:
            raise Conflict(f"The server does not offer the tool {tool.name} as it was seen.")
        approved[tool.name] = now
    save = partial(
        tools.save_listing,
        name=name,
        created_at=row["created_at"],
        offered=listing,
        listed_at=listed_at,
        approved=approved,
    )

    def write(connection: Connection) -> ToolRow:
        saved = save(connection)
        audit.record(connection, act_of(user, "tool.approve", "tool", name, details={"approved": len(approved)}))
        return saved

    return _page(list_row(await container.conn.database.write(write)), is_admin=True)


async def update_tool(
    container: Container, user: Principal, name: str, body: UpdateHttpTool, *, versions: frozenset[int] | None
) -> tuple[JsonObject, int]:
    """Change a tool that makes an HTTP request; the tool and its version. Runs under way have it as it was.

    Raises `PermissionDenied`, `ToolNotFound`, `InvalidRequest`, `PreconditionFailed`, and `Conflict` for what is no
    HTTP tool of an admin's.
    """
    require_admin(user, _ADMINS_ONLY)
    _require_made(container, name)
    row = await container.conn.database.read(lambda c: tools.get_tool(c, name))
    if row["type"] != "http":
        raise Conflict("A server is made again: what it offers is approved with its address.")
    change = partial(_changed, container, sent=body.model_dump(exclude_unset=True), versions=versions)
    change(row)  # what is wrong in it is found before its address is looked at
    if body.url is not None:
        await _check_address(container, body.url)

    def write(connection: Connection) -> ToolRow:
        changed = tools.change_tool(connection, name, change)
        audit.record(connection, act_of(user, "tool.change", "tool", name))
        return changed

    changed = await container.conn.database.write(write)
    return _page(list_row(changed), is_admin=True), changed["version"]


def _changed(
    container: Container, row: ToolRow, *, sent: Mapping[str, Any], versions: frozenset[int] | None
) -> JsonObject:
    """The columns of an HTTP tool's row after a change."""
    if versions is not None:
        check_version(versions, row["version"])
    if row["type"] != "http":
        raise Conflict("This name belongs to a server by now.")
    given = {
        field: value
        for field, value in sent.items()
        if field != "headers" and (value is not None or field in _MAY_BE_NULL)
    }
    spec = {**row["spec"], **given}
    new_headers = sent.get("headers") or {}
    check_http_spec(spec, new_headers)
    if "headers" not in sent:
        return {"spec": spec}
    return {"spec": spec, "sealed_headers": container.tools.sealer.seal(new_headers) if new_headers else None}


async def delete_tool(container: Container, user: Principal, name: str) -> None:
    """Delete a tool or a server. Raises `PermissionDenied`, `ToolNotFound`, and `Conflict` for a tool in Python."""
    require_admin(user, _ADMINS_ONLY)
    _require_made(container, name)

    def delete(connection: Connection) -> None:
        tools.delete_tool(connection, name)
        audit.record(connection, act_of(user, "tool.delete", "tool", name))

    await container.conn.database.write(delete)
    await container.stored_providers.refresh()


def _require_made(container: Container, name: str) -> None:
    if container.tools.registry.find(name) is not None:
        raise Conflict("This tool was not made here: it belongs to the program.")


async def _server_for(container: Container, user: Principal, row: ToolRow) -> McpServer:
    """The client that asks a server for its tools, with the user's own headers if it is called with such.

    Raises `SealBroken`.
    """
    of_server = row["name"], row["spec"]["url"], row["sealed_headers"]
    if not credentials.takes_credentials(row["spec"]):
        return container.tools.server(*of_server)
    own: dict[str, str] = {}
    # Some servers tell everybody what they offer.
    with suppress(NoCredentials):
        own = await container.tools.find_own_headers(row, user.user_id)
    return container.tools.user_server(*of_server, own)


async def _check_spec(container: Container, made: CreateHttpTool | CreateMcpServer, spec: JsonObject) -> None:
    if isinstance(made, CreateHttpTool):
        check_http_spec(spec, made.headers)
    else:
        check_url(made.url)
        check_headers(made.headers)
        if made.own_headers is not None:
            if made.credentials is None:
                rule = "Headers of the admin's own are for a server with credentials of its users."
                raise InvalidRequest(rule, loc=("own_headers",))
            check_credentials(made.own_headers, field="own_headers")
    await _check_address(container, made.url)


async def _check_address(container: Container, url: str) -> None:
    """Raises `InvalidRequest` for an IP address to which nothing may go from here."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return  # a host name is resolved and checked at each call, since its address can change
    try:
        await container.tools.outbound.addresses(host, parts.port or (443 if parts.scheme == "https" else 80))
    except AddressNotPublic as error:
        raise InvalidRequest(f"{error} AI_AGENTS_OUTBOUND_ALLOW makes exceptions.", loc=("url",)) from error
    except (OSError, UnicodeError) as error:
        raise InvalidRequest("This address cannot be reached from here.", loc=("url",)) from error


async def _list_offered(server: McpServer, *, keep: Collection[str] = ()) -> ServerTools:
    try:
        return await server.list_tools(keep=keep)
    except ToolError as error:
        raise InvalidRequest(str(error), loc=("url",)) from error


def _page(listed: Sequence[ListedTool], *, is_admin: bool) -> JsonObject:
    return {"data": [_to_dict(tool, is_admin=is_admin) for tool in listed], "next": None}


def _to_dict(tool: ListedTool, *, is_admin: bool) -> dict[str, Any]:
    shown = asdict(tool)
    return {
        name: value
        for name, value in shown.items()
        if name not in (*_ADMIN_FIELDS, "credentials") or (value is not None and (is_admin or name == "credentials"))
    }
