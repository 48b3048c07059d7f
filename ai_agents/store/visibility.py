"""What a user sees, as conditions and subqueries for the statements of others."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, select, true, union
from sqlalchemy.orm import InstrumentedAttribute

from ai_agents.core.types import ResourceType, RoleName
from ai_agents.store.access_tables import RoleAssignmentTable
from ai_agents.store.models import AgentTable, ThreadTable
from ai_agents.store.ranks import EVERYBODY, RANKS


def newest_visible(
    resource_type: ResourceType,
    model: type[AgentTable] | type[ThreadTable],
    user_id: str,
    *,
    conditions: tuple[Any, ...],
    before_id: str | None,
    limit: int,
    shared: bool,
    columns: Sequence[ColumnElement[Any]] = (RoleAssignmentTable.__table__.c.resource_id,),
) -> Select[*tuple[Any, ...]]:
    """Ids of the newest `limit` resources on which the user has a role, and of agents that are listed for every user.

    With `shared`, also of all other agents and threads on which every user has a role. `columns`: these in place of
    ids.
    Ids are UUIDv7, so they are in the order of creation. The user's roles and those of every user are each read along
    an index, only as far as the page needs.
    """

    # Both are bounded: PostgreSQL reads from whichever it likes, and does not tell one from the other.
    before = () if before_id is None else (RoleAssignmentTable.resource_id < before_id, model.id < before_id)

    def along(role_of: str, *more: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
        statement = (
            select(*columns)
            .select_from(RoleAssignmentTable)
            .join(model, model.id == RoleAssignmentTable.resource_id)
            .where(
                RoleAssignmentTable.user_id == role_of,
                RoleAssignmentTable.resource_type == resource_type,
                *before,
                *conditions,
                *more,
            )
            .order_by(RoleAssignmentTable.resource_id.desc())
            .limit(limit)
        )
        # As subqueries, since not every database allows a LIMIT within a UNION.
        return select(statement.subquery())

    if shared:
        return select(union(along(user_id), along(EVERYBODY)).subquery())
    if resource_type != "agent":
        return along(user_id)
    listed = along(EVERYBODY, RoleAssignmentTable.listed.is_(true()))
    return select(union(along(user_id), listed).subquery())


def resources_of(resource_type: ResourceType, user_id: str, *, shared: bool = False) -> Select[*tuple[str]]:
    """Ids of the resources on which the user has a role; with `shared`, also of those on which every user has one."""
    return select(RoleAssignmentTable.resource_id).where(
        RoleAssignmentTable.resource_type == resource_type,
        RoleAssignmentTable.user_id.in_((user_id, EVERYBODY) if shared else (user_id,)),
    )


def sees_more_threads_than(connection: Connection, user_id: str, number: int, *, shared: bool) -> bool:
    """Whether the user has a role on more threads than this; with `shared`, those of every user count, too."""
    another = resources_of("thread", user_id, shared=shared).offset(number).limit(1)
    return connection.scalar(another) is not None


def has_role_on(
    resource_type: ResourceType, resource_id: InstrumentedAttribute[str], *user_ids: str, among: Collection[RoleName]
) -> ColumnElement[bool]:
    """Whether one of these users has one of these roles on a resource."""
    return exists(
        select(RoleAssignmentTable.id).where(
            RoleAssignmentTable.resource_type == resource_type,
            RoleAssignmentTable.resource_id == resource_id,
            RoleAssignmentTable.user_id.in_(user_ids),
            RoleAssignmentTable.role.in_(among),
        )
    )


def agents_to_change(connection: Connection, user_id: str, agent_ids: Collection[str]) -> set[str]:
    """Which of these agents the user may change, by a role of their own or by one that every user has."""
    if not agent_ids:
        return set()
    statement = resources_of("agent", user_id, shared=True).where(
        RoleAssignmentTable.resource_id.in_(agent_ids), RoleAssignmentTable.role.in_(RANKS[RANKS.index("editor") :])
    )
    return set(connection.execute(statement).scalars())
