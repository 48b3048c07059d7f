"""Roles: who may do what, seen and assigned by owners."""

from ai_agents.auth.roles import may_on_agent, may_on_thread
from ai_agents.core.exceptions import AgentNotFound, NotFound, PermissionDenied, RoleNotFound, ThreadNotFound
from ai_agents.core.rows import Page, Role
from app.container import Container, Principal
from app.dependencies import PageOf, check_id
from app.schemas.roles import CreateRole

_UNKNOWN: dict[str, type[NotFound]] = {"agent": AgentNotFound, "thread": ThreadNotFound}


async def assign_role(services: Container, user: Principal, body: CreateRole) -> Role:
    """The role, in place of the one that its user had there.

    Raises `AgentNotFound`, `ThreadNotFound`, `PermissionDenied`, `LastOwner`, `InvalidRequest`.
    """
    await _require_owner(services, user, body.resource_type, body.resource_id)
    return await services.roles.assign(body.user_id, body.role, body.resource_type, body.resource_id)


async def list_roles(
    services: Container, user: Principal, resource_type: str, resource_id: str, page: PageOf
) -> Page[Role]:
    """The roles on a resource. Raises `AgentNotFound`, `ThreadNotFound`, `PermissionDenied`."""
    await _require_owner(services, user, resource_type, resource_id)
    return await services.roles.list(resource_type, resource_id, **page.arguments())


async def remove_role(services: Container, user: Principal, role_id: str) -> None:
    """Take a role away. Raises `RoleNotFound`, also where the user may not see the resource; `PermissionDenied`."""
    role = await services.roles.get(check_id(role_id, RoleNotFound))
    try:
        await _require_owner(services, user, role["resource_type"], role["resource_id"])
    except NotFound:
        raise RoleNotFound from None
    await services.roles.remove(role_id)


async def _require_owner(services: Container, user: Principal, resource_type: str, resource_id: str) -> None:
    check_id(resource_id, _UNKNOWN[resource_type])
    if resource_type == "agent":
        role = await services.auth.agent_access(user.user_id, resource_id, is_admin=user.is_admin)
        allowed = may_on_agent("manage_roles", role)
    else:
        role = (await services.auth.thread_access(user.user_id, resource_id, is_admin=user.is_admin)).thread_role
        allowed = may_on_thread("manage_roles", role)
    if not user.is_admin and not allowed:
        raise PermissionDenied(f"Only owners of the {resource_type} see and assign its roles.")
