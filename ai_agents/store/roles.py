"""Rows that say which role a user has on an agent, a thread, a tool or a provider.

`ai_agents.auth` decides what a role allows. On tools and providers `user` is the only role, and on threads it is none.
"""

from collections.abc import Collection, Mapping
from typing import Any, cast, get_args

from sqlalchemy import ColumnElement, Connection, Select, Table, bindparam, delete, func, insert, select, true, update

from ai_agents.core.exceptions import (
    AgentNotFound,
    LastOwner,
    NotFound,
    ProviderNotFound,
    RoleNotFound,
    ThreadNotFound,
    ToolNotFound,
)
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.rows import Page, Role, only
from ai_agents.core.types import ResourceType, RoleName, UsedType
from ai_agents.store import pages, revocations, thread_log
from ai_agents.store.access_tables import RoleAssignmentTable
from ai_agents.store.database import Store, reading, writing
from ai_agents.store.models import AdminToolTable, AgentTable, ThreadTable
from ai_agents.store.provider_tables import ProviderTable
from ai_agents.store.ranks import (
    EVERYBODY,
    RANK_OF_ROLE,
    RANKS,
    best_rank,
    checked_role,
    checked_type,
    of_rank,
)
from ai_agents.store.statements import prepared

_USED = get_args(UsedType)
# How many users who follow their threads are told of one that is deleted.
_MOST_TOLD = 1000
_NOT_FOUND: Mapping[str, type[NotFound]] = {
    "agent": AgentNotFound,
    "thread": ThreadNotFound,
    "tool": ToolNotFound,
    "provider": ProviderNotFound,
}
_ROLES = cast(Table, RoleAssignmentTable.__table__)
_ROLE_ON: Mapping[str, Select[*tuple[Any, ...]]] = {
    "thread": prepared(
        select(best_rank("thread", ThreadTable.id))
        .select_from(ThreadTable)
        .where(ThreadTable.id == bindparam("resource_id"))
    ),
    "agent": prepared(
        select(best_rank("agent", AgentTable.id))
        .select_from(AgentTable)
        .where(AgentTable.id == bindparam("resource_id"), AgentTable.deleted_at.is_(None))
    ),
    "tool": prepared(
        select(best_rank("tool", AdminToolTable.name))
        .select_from(AdminToolTable)
        .where(AdminToolTable.name == bindparam("resource_id"))
    ),
    "provider": prepared(
        select(best_rank("provider", ProviderTable.name))
        .select_from(ProviderTable)
        .where(ProviderTable.name == bindparam("resource_id"))
    ),
}


def get_role(connection: Connection, user_id: str, resource_type: str, resource_id: str) -> RoleName | None:
    """The stronger of the user's own role and that of every user; None if there is neither.

    Raises `AgentNotFound` (also for a deleted agent), `ThreadNotFound`, `ToolNotFound`, `ProviderNotFound`,
    `InvalidRequest` for another type.
    """
    checked_type(resource_type)
    row = connection.execute(_ROLE_ON[resource_type], {"user_id": user_id, "resource_id": resource_id}).one_or_none()
    if row is None:
        raise _NOT_FOUND[resource_type]
    return of_rank(row[0])


def get_roles(
    connection: Connection, user_id: str, resource_type: str, resource_ids: Collection[str]
) -> dict[str, RoleName]:
    """The same for many resources, in one statement: roles by ids, without those on which there is none.

    Deleted agents are left out. Raises `InvalidRequest` for another type.
    """
    kind = checked_type(resource_type)
    if not resource_ids:
        return {}
    table = RoleAssignmentTable
    held = select(table.resource_id, func.max(RANK_OF_ROLE)).where(
        table.resource_type == kind,
        table.resource_id.in_(resource_ids),
        table.user_id.in_((user_id, EVERYBODY)),
    )
    if kind == "agent":
        there = select(AgentTable.id).where(AgentTable.id.in_(resource_ids), AgentTable.deleted_at.is_(None))
        held = held.where(table.resource_id.in_(there))
    return {resource_id: RANKS[rank - 1] for resource_id, rank in connection.execute(held.group_by(table.resource_id))}


def assign(
    connection: Connection, user_id: str, role: str, resource_type: str, resource_id: str, *, listed: bool = True
) -> Role:
    """Give a user (`*`: every user) a role, which replaces their role there. Returns the role.

    An agent that every user may use is in the lists of all users only if the role is `listed`.
    Raises `InvalidRequest`, `AgentNotFound`, `ThreadNotFound`, `ToolNotFound`, `ProviderNotFound`, `LastOwner`.
    """
    kind = checked_type(resource_type)
    name = checked_role(user_id, role, kind)
    _lock_resource(connection, kind, resource_id)
    of_user = select(_ROLES).where(*_on(kind, resource_id), RoleAssignmentTable.user_id == user_id)
    row = connection.execute(of_user).mappings().one_or_none()
    if row is None:
        place: dict[str, Any] = {"resource_type": kind, "resource_id": resource_id}
        return insert_role(connection, user_id=user_id, role=name, listed=listed, **place)
    found = only(Role, row)
    if found["role"] == "owner" and name != "owner":
        _check_another_owner(connection, found)
    if RANKS.index(name) < RANKS.index(found["role"]):
        _note_loss(connection, found)
    connection.execute(
        update(RoleAssignmentTable).where(RoleAssignmentTable.id == found["id"]).values(role=name, listed=listed)
    )
    if kind == "thread":
        thread_log.note_changed(connection, resource_id)
    return {**found, "role": name}


def insert_role(
    connection: Connection,
    *,
    user_id: str,
    role: RoleName,
    resource_type: ResourceType,
    resource_id: str,
    listed: bool = True,
) -> Role:
    """Write the role of a user on a resource that this transaction creates. Returns the role."""
    row: Role = {
        "id": new_id(),
        "user_id": user_id,
        "role": role,
        "resource_type": resource_type,
        "resource_id": resource_id,
        "created_at": utc_now(),
    }
    connection.execute(insert(RoleAssignmentTable), {**row, "listed": listed})
    if resource_type == "thread":
        thread_log.note_changed(connection, resource_id)
    return row


def owners_of_agent(connection: Connection, agent_id: str) -> set[str]:
    """The users who own the agent."""
    owners = select(RoleAssignmentTable.user_id).where(*_on("agent", agent_id), RoleAssignmentTable.role == "owner")
    return set(connection.scalars(owners))


def users_by_name(connection: Connection) -> dict[UsedType, dict[str, frozenset[str]]]:
    """The users with a role (`*`: every user) on each tool and provider on which there is one."""
    table = RoleAssignmentTable
    held = select(table.resource_type, table.resource_id, table.user_id).where(table.resource_type.in_(_USED))
    found: dict[UsedType, dict[str, set[str]]] = {"tool": {}, "provider": {}}
    for kind, name, user_id in connection.execute(held):
        found[cast("UsedType", kind)].setdefault(name, set()).add(user_id)
    return {kind: {name: frozenset(users) for name, users in names.items()} for kind, names in found.items()}


def names_used_by(
    connection: Connection, kind: UsedType, names: Collection[str], user_ids: Collection[str]
) -> set[str]:
    """Those of these tools or providers on which one of the users, or every user, has a role."""
    table = RoleAssignmentTable
    users = sorted({*user_ids, EVERYBODY})
    held = table.resource_type == kind, table.resource_id.in_(sorted(names)), table.user_id.in_(users)
    return set(connection.scalars(select(table.resource_id).where(*held)))


def get(connection: Connection, role_id: str) -> Role:
    """One role. Raises `RoleNotFound`."""
    row = connection.execute(select(_ROLES).where(RoleAssignmentTable.id == role_id)).mappings().one_or_none()
    if row is None:
        raise RoleNotFound
    return only(Role, row)


def remove(connection: Connection, role_id: str) -> Role:
    """Delete a role. Returns what it was. Raises `RoleNotFound`, `LastOwner`."""
    found = get(connection, role_id)
    _lock_resource(connection, found["resource_type"], found["resource_id"], deleted_too=True)
    found = get(connection, role_id)  # again, now that other transactions cannot change it
    if found["role"] == "owner":
        _check_another_owner(connection, found)
    connection.execute(delete(RoleAssignmentTable).where(RoleAssignmentTable.id == role_id))
    _note_loss(connection, found)
    if found["resource_type"] == "thread":
        revocations.note(connection, [revocations.lost_subject(found["resource_id"], found["user_id"])])
    return found


def remove_all(connection: Connection, resource_type: ResourceType, resource_id: str) -> None:
    """Delete every role on a resource that is being deleted."""
    connection.execute(delete(RoleAssignmentTable).where(*_on(resource_type, resource_id)))


def note_deleted(connection: Connection, thread_id: str) -> None:
    """Tell those who follow their threads of one that is being deleted, while they have their roles."""
    holders = select(RoleAssignmentTable.user_id).where(*_on("thread", thread_id)).limit(_MOST_TOLD)
    lost = [revocations.lost_subject(thread_id, user_id) for user_id in connection.scalars(holders)]
    revocations.note(connection, lost)


def list_on(
    connection: Connection, resource_type: str, resource_id: str, *, limit: int = 20, after: str | None = None
) -> Page[Role]:
    """A page of the roles on a resource, newest first: `{"data", "next"}`. Raises `InvalidCursor`."""
    statement = select(_ROLES).where(*_on(resource_type, resource_id))
    return pages.newest_first(
        connection, statement, RoleAssignmentTable, limit=limit, after=after, to_dict=lambda row: only(Role, row)
    )


def list_of(connection: Connection, user_id: str, *, limit: int = 20, after: str | None = None) -> Page[Role]:
    """A page of the user's own roles, newest first: `{"data", "next"}`. Raises `InvalidCursor`."""
    statement = select(_ROLES).where(RoleAssignmentTable.user_id == user_id)
    return pages.newest_first(
        connection, statement, RoleAssignmentTable, limit=limit, after=after, to_dict=lambda row: only(Role, row)
    )


def _lock_resource(
    connection: Connection, resource_type: ResourceType, resource_id: str, *, deleted_too: bool = False
) -> None:
    """Keep other transactions from changing roles on the resource, whose owners are counted here."""
    of_agent = select(AgentTable.id).where(
        AgentTable.id == resource_id, true() if deleted_too else AgentTable.deleted_at.is_(None)
    )
    of_thread = select(ThreadTable.id).where(ThreadTable.id == resource_id)
    of_tool = select(AdminToolTable.name).where(AdminToolTable.name == resource_id)
    of_provider = select(ProviderTable.name).where(ProviderTable.name == resource_id)
    statement = {"agent": of_agent, "thread": of_thread, "tool": of_tool, "provider": of_provider}[resource_type]
    if connection.execute(statement.with_for_update(key_share=True)).one_or_none() is None:
        raise _NOT_FOUND[resource_type]


def _check_another_owner(connection: Connection, role: Role) -> None:
    owners = select(RoleAssignmentTable.id).where(
        *_on(role["resource_type"], role["resource_id"]), RoleAssignmentTable.role == "owner"
    )
    if connection.scalar(owners.where(RoleAssignmentTable.id != role["id"]).limit(1)) is None:
        raise LastOwner


def _note_loss(connection: Connection, role: Role) -> None:
    """Let the open streams of the thread ask again for their right."""
    if role["resource_type"] == "thread":
        revocations.note(connection, [revocations.role_subject("thread", role["resource_id"])])


def _on(resource_type: str, resource_id: str) -> tuple[ColumnElement[bool], ...]:
    return RoleAssignmentTable.resource_type == resource_type, RoleAssignmentTable.resource_id == resource_id


class RoleStore(Store):
    """Roles as clients read and write them. It does not check rights."""

    assign = writing(assign)
    get = reading(get)
    remove = writing(remove)
    list = reading(list_on, long=True)
    list_of = reading(list_of, long=True)
