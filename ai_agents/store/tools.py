"""Tools that admins made: HTTP calls, and MCP servers with the tools that they offered and those that are approved."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from sqlalchemy import Connection, Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.exceptions import Conflict, ToolNotFound
from ai_agents.core.ids import utc_now
from ai_agents.core.rows import only
from ai_agents.core.table_rows import OfferedTool, ServerTools, ToolRow
from ai_agents.store import credentials, roles
from ai_agents.store.models import AdminToolTable

_TOOLS = cast(Table, AdminToolTable.__table__)
_FIND = select(_TOOLS).where(AdminToolTable.name.in_(bindparam("names", expanding=True)))


def create_tool(
    connection: Connection,
    *,
    name: str,
    type: str,
    spec: Mapping[str, Any],
    sealed_headers: str | None,
    offered: ServerTools | None = None,
) -> ToolRow:
    """Write a tool, which only admins may use, and return its row. What a new server offers is approved with it.

    Raises `Conflict` if there is a tool of this name.
    """
    now = utc_now()
    row: dict[str, Any] = {
        "name": name,
        "type": type,
        "spec": dict(spec),
        "sealed_headers": sealed_headers,
        "listing": None if offered is None else {**offered, "listed_at": now},
        "approved": None if offered is None else {tool["name"]: dict(tool) for tool in offered["tools"]},
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = into(AdminToolTable).on_conflict_do_nothing()
    if connection.execute(statement, row).rowcount != 1:
        raise Conflict("There is a tool of this name.")
    roles.remove_all(connection, "tool", name)
    return only(ToolRow, row)


def find_tools(connection: Connection, names: Collection[str]) -> dict[str, ToolRow]:
    """The rows of the existing tools among these names, by name."""
    if not names:
        return {}
    found = connection.execute(_FIND, {"names": sorted(names)}).mappings()
    return {row["name"]: only(ToolRow, row) for row in found}


def list_tools(connection: Connection) -> list[ToolRow]:
    """All rows, by name."""
    return [only(ToolRow, row) for row in connection.execute(select(_TOOLS).order_by(AdminToolTable.name)).mappings()]


def get_tool(connection: Connection, name: str) -> ToolRow:
    """One row. Raises `ToolNotFound`."""
    found = find_tools(connection, [name]).get(name)
    if found is None:
        raise ToolNotFound
    return found


def change_tool(connection: Connection, name: str, change: Callable[[ToolRow], Mapping[str, Any]]) -> ToolRow:
    """Write what `change` makes of the row (`spec`, `sealed_headers`), as its next version. Returns the row.

    At another server it is another tool: headers that users gave for it are deleted, and runs that began before do not
    get those that are given from then on. Raises `ToolNotFound`.
    """
    found = select(_TOOLS).where(AdminToolTable.name == name).with_for_update()
    row = connection.execute(found).mappings().one_or_none()
    if row is None:
        raise ToolNotFound
    old = only(ToolRow, row)
    changed = {key: value for key, value in change(old).items() if value != row[key]}
    if not changed:
        return old
    values = changed | {"version": old["version"] + 1, "updated_at": utc_now()}
    spec = changed.get("spec", old["spec"])
    if _server_of(spec) != _server_of(old["spec"]) or not credentials.takes_credentials(spec):
        credentials.remove_all(connection, name)
    if _server_of(spec) != _server_of(old["spec"]):
        values["created_at"] = values["updated_at"]
    connection.execute(update(AdminToolTable).where(AdminToolTable.name == name).values(values))
    return only(ToolRow, {**row, **values})


def _server_of(spec: Mapping[str, Any]) -> tuple[str, str]:
    """Where the requests go: the scheme and the host with its port."""
    parts = urlsplit(spec["url"])
    return parts.scheme.lower(), parts.netloc.lower()


def delete_tool(connection: Connection, name: str) -> None:
    """Remove a tool with the roles on it. Raises `ToolNotFound`."""
    if connection.execute(delete(AdminToolTable).where(AdminToolTable.name == name)).rowcount != 1:
        raise ToolNotFound
    roles.remove_all(connection, "tool", name)


def save_listing(
    connection: Connection,
    name: str,
    created_at: str,
    offered: ServerTools,
    *,
    listed_at: str,
    approved: Mapping[str, OfferedTool] | None = None,
) -> ToolRow:
    """Store what a server listed at this time, unless a later listing is stored, and what is newly approved of it.

    Returns the row. Raises `ToolNotFound`, also if another server has this name now.
    """
    place = (AdminToolTable.name == name, AdminToolTable.created_at == created_at)
    row = connection.execute(select(_TOOLS).where(*place).with_for_update()).mappings().one_or_none()
    if row is None:
        raise ToolNotFound
    known = row["listing"] or {"tools": [], "listed_at": ""}
    before = {"tools": known["tools"], "left_out": known.get("left_out", [])}
    is_news = before != offered and known["listed_at"] < listed_at
    if not is_news and approved is None:
        return only(ToolRow, row)
    values = {
        "listing": {**offered, "listed_at": listed_at} if is_news else row["listing"],
        "approved": row["approved"] if approved is None else {**(row["approved"] or {}), **approved},
        "version": row["version"] + 1,
        "updated_at": utc_now(),
    }
    connection.execute(update(AdminToolTable).where(*place).values(values))
    return only(ToolRow, {**row, **values})
