"""Roles: who may do what on an agent or a thread."""

from ai_agents.core.types import ResourceType, RoleName
from app.schemas.common import Id, Page, Read, Strict, Timestamp, UserId


class CreateRole(Strict):
    """A role for a user (`*`: every user) in place of the one that he has there."""

    user_id: UserId
    role: RoleName
    resource_type: ResourceType
    resource_id: Id


class RoleRead(Read):
    """A role that somebody has."""

    id: Id
    user_id: str
    role: RoleName
    resource_type: ResourceType
    resource_id: Id
    created_at: Timestamp


class RolePage(Page[RoleRead]):
    """Roles, newest first."""
