"""Roles on agents and threads: owners see, assign and remove them."""

from ai_agents.auth.roles import may_on_agent, may_on_thread
from ai_agents.core.exceptions import AgentNotFound, NotFound, PermissionDenied, RoleNotFound, ThreadNotFound
from ai_agents.core.rows import Page, Role
from app.container import Container
from app.schemas.access import CreateRole
from app.services.arguments import PageArguments, check_id
from app.services.identity import Principal

_UNKNOWN: dict[str, type[NotFound]] = {"agent": AgentNotFound, "thread": ThreadNotFound}


async def assign_role(container: Container, user: Principal, body: CreateRole) -> Role:
    """Give a user a role in place of the one that they have on the resource.

    Raises `AgentNotFound`, `ThreadNotFound`, `PermissionDenied`, `LastOwner`, `InvalidRequest`.
    """
    await _require_owner(container, user, body.resource_type, body.resource_id)
    return await container.roles.assign(body.user_id, body.role, body.resource_type, body.resource_id)


async def list_roles(
    container: Container, user: Principal, resource_type: str, resource_id: str, page: PageArguments
) -> Page[Role]:
    """The roles on a resource. Raises `AgentNotFound`, `ThreadNotFound`, `PermissionDenied`."""
    await _require_owner(container, user, resource_type, resource_id)
    return await container.roles.list(resource_type, resource_id, **page)


async def remove_role(container: Container, user: Principal, role_id: str) -> None:
    """Remove a role. Raises `PermissionDenied`, and `RoleNotFound` also if the user does not see the resource."""
    role = await container.roles.get(check_id(role_id, RoleNotFound))
    try:
        await _require_owner(container, user, role["resource_type"], role["resource_id"])
    except NotFound:
        raise RoleNotFound from None
    await container.roles.remove(role_id)


async def _require_owner(container: Container, user: Principal, resource_type: str, resource_id: str) -> None:
    check_id(resource_id, _UNKNOWN[resource_type])
    if resource_type == "agent":
        role = await container.auth.agent_access(user.user_id, resource_id, is_admin=user.is_admin)
        allowed = may_on_agent("manage_roles", role)
    else:
        role = (await container.auth.thread_access(user.user_id, resource_id, is_admin=user.is_admin)).thread_role
        allowed = may_on_thread("manage_roles", role)
    if not user.is_admin and not allowed:
        raise PermissionDenied(f"Only owners of the {resource_type} see and assign its roles.")
