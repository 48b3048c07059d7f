"""Users' own headers for tools that are called with them: given, listed by the names of the tools, deleted."""

from sqlalchemy import Connection

from ai_agents.core.exceptions import Conflict, ToolNotFound
from ai_agents.core.headers import check_credentials
from ai_agents.core.types import JsonObject
from ai_agents.store import audit, credentials, tools
from app.container import Container
from app.schemas.tools import PutCredentials
from app.services.catalogue import may_name
from app.services.identity import Principal, act_of

_NOT_TAKEN = "This tool is not called with credentials of its users."


async def list_credentials(container: Container, user: Principal) -> JsonObject:
    """The tools for which the user has given headers, by name."""
    return {"data": await container.credentials.list(user.user_id), "next": None}


async def see_tool(container: Container, user: Principal, name: str) -> str:
    """The name of a tool or server that the user may name in agents. Raises `ToolNotFound`."""
    if container.tools.registry.find(name) is None:
        await container.conn.database.read(lambda c: tools.get_tool(c, name))
    if not may_name(container, user, name):
        raise ToolNotFound
    return name


async def put_credentials(container: Container, user: Principal, tool: str, body: PutCredentials) -> None:
    """Keep the user's headers for a tool, in place of earlier ones.

    Raises `InvalidRequest`, `ToolNotFound`, and `Conflict` for a tool that does not take them.
    """
    check_credentials(body.headers)
    if container.tools.registry.find(tool) is not None:
        raise Conflict(_NOT_TAKEN)
    sealed = container.tools.sealer.seal(body.headers)

    def write(connection: Connection) -> None:
        credentials.put(connection, user.user_id, tool, sealed)
        audit.record(connection, act_of(user, "credentials.put", "tool", tool, subject_id=user.user_id))

    await container.conn.database.write(write)


async def delete_credentials(container: Container, user: Principal, tool: str) -> None:
    """Delete the user's headers for a tool, also for one that the user may not name any more.

    Raises `ToolNotFound`, and `Conflict` for a tool that does not take them.
    """

    def write(connection: Connection) -> bool:
        removed = credentials.remove(connection, user.user_id, tool)
        if removed:
            audit.record(connection, act_of(user, "credentials.delete", "tool", tool, subject_id=user.user_id))
        return removed

    removed = await container.conn.database.write(write)
    container.tools.user_servers.forget(tool, user.user_id)
    if removed:
        return
    await see_tool(container, user, tool)
    if container.tools.registry.find(tool) is not None:
        raise Conflict(_NOT_TAKEN)
    row = await container.conn.database.read(lambda c: tools.get_tool(c, tool))
    if not credentials.takes_credentials(row["spec"]):
        raise Conflict(_NOT_TAKEN)
