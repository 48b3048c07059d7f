"""Users' own headers for tools that are called with them (`"credentials": "user"`). Sealed where they are stored."""

from collections.abc import Mapping
from typing import Any, TypedDict, cast

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.exceptions import Conflict, ToolNotFound
from ai_agents.core.headers import check_credentials
from ai_agents.core.ids import utc_now
from ai_agents.core.types import JsonObject
from ai_agents.store.credential_tables import ToolCredentialsTable
from ai_agents.store.database import HasDatabase, Store
from ai_agents.store.models import AdminToolTable
from ai_agents.store.sealing import Sealer

_CREDENTIALS = cast(Table, ToolCredentialsTable.__table__)


class UsersTool(TypedDict):
    """A tool for which a user has given headers. Nothing tells what they are."""

    tool: str


def takes_credentials(spec: Mapping[str, Any]) -> bool:
    """Whether a tool of an admin is called with each user's own headers."""
    return spec.get("credentials") == "user"


def put(connection: Connection, user_id: str, tool: str, sealed_headers: str) -> None:
    """Write a user's headers for a tool in place of earlier ones.

    Raises `ToolNotFound`, and `Conflict` for a tool that does not take them.
    """
    # The tool stays as long as this transaction lasts.
    found = select(AdminToolTable.spec).where(AdminToolTable.name == tool).with_for_update(read=True, key_share=True)
    spec: JsonObject | None = connection.scalar(found)
    if spec is None:
        raise ToolNotFound
    if not takes_credentials(spec):
        raise Conflict("This tool is not called with credentials of its users.")
    now = utc_now()
    row = {
        "user_id": user_id,
        "tool": tool,
        "sealed_headers": sealed_headers,
        "created_at": now,
        "updated_at": now,
    }
    into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = into(ToolCredentialsTable).values(row)
    changed = {"sealed_headers": statement.excluded.sealed_headers, "updated_at": statement.excluded.updated_at}
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id", "tool"], set_=changed))


def remove(connection: Connection, user_id: str, tool: str) -> bool:
    """Delete a user's headers for a tool. Returns whether there were any."""
    this = (_CREDENTIALS.c.user_id == user_id, _CREDENTIALS.c.tool == tool)
    return connection.execute(delete(_CREDENTIALS).where(*this)).rowcount == 1


def remove_all(connection: Connection, tool: str) -> None:
    """Delete what all users gave for a tool."""
    connection.execute(delete(_CREDENTIALS).where(_CREDENTIALS.c.tool == tool))


def list_tools_of(connection: Connection, user_id: str) -> list[UsersTool]:
    """The tools for which the user has given headers, by name."""
    asked = select(_CREDENTIALS.c.tool).where(_CREDENTIALS.c.user_id == user_id).order_by(_CREDENTIALS.c.tool)
    return [{"tool": name} for name in connection.scalars(asked)]


def find_sealed(connection: Connection, user_id: str, tool: str, created_at: str) -> str | None:
    """A user's headers, sealed, for the tool that was made then: a name may be used again, for another server."""
    asked = (
        select(_CREDENTIALS.c.sealed_headers)
        .join(AdminToolTable, AdminToolTable.name == _CREDENTIALS.c.tool)
        .where(_CREDENTIALS.c.user_id == user_id, _CREDENTIALS.c.tool == tool, AdminToolTable.created_at == created_at)
    )
    sealed: str | None = connection.scalar(asked)
    return sealed


class CredentialStore(Store):
    """Users' own headers for the tools that admins made. It does not check rights. Headers cannot be read back."""

    def __init__(self, conn: HasDatabase, sealer: Sealer) -> None:
        super().__init__(conn)
        self._sealer = sealer

    async def put(self, user_id: str, tool: str, headers: Mapping[str, str]) -> None:
        """Seal and write a user's headers for a tool in place of earlier ones.

        Raises `ToolNotFound`, `InvalidRequest`, and `Conflict` for a tool that does not take them.
        """
        check_credentials(headers)
        sealed = self._sealer.seal(headers)
        await self._db.write(lambda c: put(c, user_id, tool, sealed))

    async def delete(self, user_id: str, tool: str) -> bool:
        """Delete a user's headers for a tool. Returns whether there were any."""
        return await self._db.write(lambda c: remove(c, user_id, tool))

    async def list(self, user_id: str) -> list[UsersTool]:
        """The tools for which the user has given headers, by name."""
        return await self._db.read(lambda c: list_tools_of(c, user_id))
