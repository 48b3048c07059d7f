"""Roles: who may do what on an agent or a thread."""

from ai_agents.core.types import ResourceType, RoleName
from app.schemas.common import DateTime, Id, Read, ReadPage, Strict, UserId


class CreateRole(Strict):
    """A role for a user (`*`: every user). It replaces the role that they have on the resource."""

    user_id: UserId
    role: RoleName
    resource_type: ResourceType
    resource_id: Id


class RoleRead(Read):
    """A user's role on an agent or a thread."""

    id: Id
    user_id: str
    role: RoleName
    resource_type: ResourceType
    resource_id: Id
    created_at: DateTime


class RolePage(ReadPage[RoleRead]):
    """Roles, newest first."""
