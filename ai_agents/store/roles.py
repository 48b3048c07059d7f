"""Rows that say which role a user has on an agent, a thread, a tool or a provider.

`ai_agents.auth` decides what a role allows. On tools and providers `user` is the only role, and on threads it is none.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
    union,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute

from ai_agents.core.exceptions import (
    AgentNotFound,
    InvalidRequest,
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
from ai_agents.store.models import AdminToolTable, AgentTable, RunTable, ThreadTable
from ai_agents.store.provider_tables import ProviderTable
from ai_agents.store.statements import prepared

EVERYBODY = "*"
# From the weakest to the strongest. Roles are compared by their place here.
RANKS: tuple[RoleName, ...] = ("user", "viewer", "editor", "owner")
ROLES_ON: Mapping[ResourceType, tuple[RoleName, ...]] = {
    "agent": RANKS,
    "thread": RANKS[1:],
    "tool": RANKS[:1],
    "provider": RANKS[:1],
}
UNKNOWN: Mapping[str, type[NotFound]] = {
    "agent": AgentNotFound,
    "thread": ThreadNotFound,
    "tool": ToolNotFound,
    "provider": ProviderNotFound,
}
_USED = get_args(UsedType)
# How many users who follow their threads are told of one that is deleted.
_MOST_TOLD = 1000
_ROLES = cast(Table, RoleAssignmentTable.__table__)


@dataclass(frozen=True, slots=True)
class ThreadAccess:
    """A user's roles on a thread and on its agent, and the agent as it is now.

    `active_run_id` is the thread's run that is running, waiting for a person, or held until a process has room for it.
    `runs_at_once` are all runs of the user that are running or held, where they were asked for.
    """

    thread_id: str
    agent_id: str
    agent_version: int
    agent_deleted: bool
    thread_role: RoleName | None
    agent_role: RoleName | None
    active_run_id: str | None = None
    runs_at_once: int = 0


_RANK = case({role: number for number, role in enumerate(RANKS, 1)}, value=RoleAssignmentTable.role)


def best_rank(resource_type: ResourceType, resource_id: InstrumentedAttribute[str]) -> Any:
    """The highest rank (from 1) that `:user_id` or every user has on a resource; NULL for none."""
    return (
        select(func.max(_RANK))
        .where(
            RoleAssignmentTable.resource_type == resource_type,
            RoleAssignmentTable.resource_id == resource_id,
            RoleAssignmentTable.user_id.in_((bindparam("user_id"), EVERYBODY)),
        )
        .scalar_subquery()
    )


# Literals, as in the partial indexes. The second query is made only where the first finds nothing.
_ACTIVE_RUN = func.coalesce(
    select(RunTable.id)
    .where(
        RunTable.thread_id == ThreadTable.id,
        RunTable.status.in_((literal_column("'running'"), literal_column("'waiting'"))),
    )
    .scalar_subquery(),
    select(RunTable.id)
    .where(
        RunTable.thread_id == ThreadTable.id,
        RunTable.status == literal_column("'queued'"),
        # None is below 0. With `=`, PostgreSQL would look through all runs under way, in the index `ix_runs_at_once`.
        RunTable.queue_position <= literal_column("0"),
    )
    .scalar_subquery(),
)
# As in the partial index.
_AT_ONCE = or_(
    RunTable.status == literal_column("'running'"),
    and_(RunTable.status == literal_column("'queued'"), RunTable.queue_position == literal_column("0")),
)


def runs_at_once(user_id: ColumnElement[str]) -> ScalarSelect[int]:
    """How many of the user's runs are running, or held until a process has room for them."""
    return select(func.count()).select_from(RunTable).where(RunTable.user_id == user_id, _AT_ONCE).scalar_subquery()


_ACCESS = (
    select(
        ThreadTable.agent_id,
        AgentTable.version,
        AgentTable.deleted_at.is_not(None).label("agent_deleted"),
        best_rank("thread", ThreadTable.id).label("thread_rank"),
        best_rank("agent", ThreadTable.agent_id).label("agent_rank"),
        _ACTIVE_RUN.label("active_run_id"),
    )
    .join(AgentTable, AgentTable.id == ThreadTable.agent_id)
    .where(ThreadTable.id == bindparam("thread_id"))
)
_THREAD_ROLES = prepared(_ACCESS.add_columns(literal_column("0").label("runs_at_once")))
_THREAD_ROLES_AND_RUNS = prepared(_ACCESS.add_columns(runs_at_once(bindparam("user_id")).label("runs_at_once")))
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


def find_thread_roles(
    connection: Connection, user_id: str, thread_id: str, *, count_runs: bool = False
) -> ThreadAccess | None:
    """All that decides what a user may do with a thread, in one statement; None if there is no such thread.

    With `count_runs`, the user's runs that are under way are counted in it.
    """
    statement = _THREAD_ROLES_AND_RUNS if count_runs else _THREAD_ROLES
    row = connection.execute(statement, {"user_id": user_id, "thread_id": thread_id}).one_or_none()
    if row is None:
        return None
    return ThreadAccess(
        thread_id=thread_id,
        agent_id=row.agent_id,
        agent_version=row.version,
        agent_deleted=row.agent_deleted,
        thread_role=of_rank(row.thread_rank),
        agent_role=of_rank(row.agent_rank),
        active_run_id=row.active_run_id,
        runs_at_once=row.runs_at_once,
    )


def count_runs_at_once(connection: Connection, user_id: str) -> int:
    """The user's runs that are running, or held until a process has room for them."""
    return int(connection.scalar(select(runs_at_once(bindparam("user_id"))), {"user_id": user_id}) or 0)


def get_role(connection: Connection, user_id: str, resource_type: str, resource_id: str) -> RoleName | None:
    """The stronger of the user's own role and that of every user; None if there is neither.

    Raises `AgentNotFound` (also for a deleted agent), `ThreadNotFound`, `ToolNotFound`, `ProviderNotFound`,
    `InvalidRequest` for another type.
    """
    checked_type(resource_type)
    row = connection.execute(_ROLE_ON[resource_type], {"user_id": user_id, "resource_id": resource_id}).one_or_none()
    if row is None:
        raise UNKNOWN[resource_type]
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
    held = select(table.resource_id, func.max(_RANK)).where(
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


def newest_visible(
    resource_type: ResourceType,
    model: type[AgentTable] | type[ThreadTable],
    user_id: str,
    *,
    conditions: tuple[Any, ...],
    before_id: str | None,
    limit: int,
    shared: bool,
) -> Select[*tuple[Any, ...]]:
    """Ids of the newest `limit` resources on which the user has a role, and of agents that are listed for every user.

    With `shared`, also of all other agents and threads on which every user has a role.
    Ids are UUIDv7, so they are in the order of creation. The user's roles and those of every user are each read along
    an index, only as far as the page needs.
    """

    def along(role_of: str, *more: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
        statement = (
            select(RoleAssignmentTable.resource_id)
            .join(model, model.id == RoleAssignmentTable.resource_id)
            .where(
                RoleAssignmentTable.user_id == role_of,
                RoleAssignmentTable.resource_type == resource_type,
                true() if before_id is None else RoleAssignmentTable.resource_id < before_id,
                *conditions,
                *more,
            )
            .order_by(RoleAssignmentTable.resource_id.desc())
            .limit(limit)
        )
        # As subqueries, since not every database allows a LIMIT within a UNION.
        return select(statement.subquery().c.resource_id)

    if shared:
        return select(union(along(user_id), along(EVERYBODY)).subquery().c.resource_id)
    if resource_type != "agent":
        return along(user_id)
    listed = along(EVERYBODY, RoleAssignmentTable.listed.is_(true()))
    return select(union(along(user_id), listed).subquery().c.resource_id)


def resources_of(resource_type: ResourceType, user_id: str, *, shared: bool = False) -> Select[*tuple[str]]:
    """Ids of the resources on which the user has a role; with `shared`, also of those on which every user has one."""
    return select(RoleAssignmentTable.resource_id).where(
        RoleAssignmentTable.resource_type == resource_type,
        RoleAssignmentTable.user_id.in_((user_id, EVERYBODY) if shared else (user_id,)),
    )


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
        raise UNKNOWN[resource_type]


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


def of_rank(rank: int | None) -> RoleName | None:
    """The role of a rank that `best_rank` found."""
    return None if rank is None else RANKS[rank - 1]


class RoleStore(Store):
    """Roles as clients read and write them. It does not check rights."""

    assign = writing(assign)
    get = reading(get)
    remove = writing(remove)
    list = reading(list_on, long=True)
    list_of = reading(list_of, long=True)
