"""Which roles there are, on what, and how they are compared: the rank of a role is its place in `RANKS`."""

from collections.abc import Mapping
from typing import Any, cast, get_args

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.orm import InstrumentedAttribute

from ai_agents.core.exceptions import (
    InvalidRequest,
)
from ai_agents.core.types import ResourceType, RoleName
from ai_agents.store.access_tables import RoleAssignmentTable

EVERYBODY = "*"
# From the weakest to the strongest. Roles are compared by their place here.
RANKS: tuple[RoleName, ...] = ("user", "viewer", "editor", "owner")
ROLES_ON: Mapping[ResourceType, tuple[RoleName, ...]] = {
    "agent": RANKS,
    "thread": RANKS[1:],
    "tool": RANKS[:1],
    "provider": RANKS[:1],
}
RANK_OF_ROLE = case({role: number for number, role in enumerate(RANKS, 1)}, value=RoleAssignmentTable.role)


def best_rank(resource_type: ResourceType, resource_id: InstrumentedAttribute[str]) -> Any:
    """The highest rank (from 1) that `:user_id` or every user has on a resource; NULL for none."""
    return (
        select(func.max(RANK_OF_ROLE))
        .where(
            RoleAssignmentTable.resource_type == resource_type,
            RoleAssignmentTable.resource_id == resource_id,
            RoleAssignmentTable.user_id.in_((bindparam("user_id"), EVERYBODY)),
        )
        .scalar_subquery()
    )


def of_rank(rank: int | None) -> RoleName | None:
    """The role of a rank that `best_rank` found."""
    return None if rank is None else RANKS[rank - 1]


def checked_type(resource_type: str) -> ResourceType:
    """The type itself. Raises `InvalidRequest` for any other."""
    if resource_type not in get_args(ResourceType):
        raise InvalidRequest("Roles are on resources of type agent, thread, tool or provider.", loc=("resource_type",))
    return cast("ResourceType", resource_type)


def checked_role(user_id: str, role: str, resource_type: ResourceType) -> RoleName:
    """The role itself, if this user can have it there. Raises `InvalidRequest`."""
    if role not in ROLES_ON[resource_type]:
        raise InvalidRequest(
            f"On a {resource_type} a role is one of {', '.join(ROLES_ON[resource_type])}.", loc=("role",)
        )
    if not user_id:
        raise InvalidRequest("A user id is not empty.", loc=("user_id",))
    if user_id == EVERYBODY and role == "owner":
        raise InvalidRequest("Everybody (*) can be editor, viewer or user, not owner.", loc=("role",))
    return role
