"""What changed in many threads at once, and which users see it: one query, whatever the number of readers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Connection, and_, literal_column, or_, select

from ai_agents.core.activity_rows import ThreadActivity
from ai_agents.core.ids import format_time
from ai_agents.store import thread_log
from ai_agents.store.access_tables import RoleAssignmentTable
from ai_agents.store.models import RunTable, ThreadTable

# The only run that may hold the thread, by the partial index.
_ACTIVE = (
    select(RunTable.status)
    .where(
        RunTable.thread_id == ThreadTable.id,
        RunTable.status.in_((literal_column("'running'"), literal_column("'waiting'"))),
    )
    .correlate(ThreadTable)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class ChangedThread:
    """A thread as it is now, with the users who have a role on it, of those who were asked about.

    A temporary thread is not `listed`: it is told of no more than lists show it.
    `marks` tell of what is known by this: `find_changed` finds others where there is something new.
    """

    thread: ThreadActivity
    agent_id: str
    users: frozenset[str]
    marks: frozenset[str]
    listed: bool


def read_changed(
    connection: Connection, thread_ids: Sequence[str], user_ids: Collection[str] | None
) -> list[ChangedThread]:
    """These threads, without those that are gone. `user_ids` are the users to be asked about; None: all."""
    roles = RoleAssignmentTable
    of_thread = [roles.resource_type == "thread", roles.resource_id == ThreadTable.id]
    if user_ids is not None:
        of_thread.append(roles.user_id.in_(user_ids))
    statement = (
        select(
            ThreadTable.id,
            ThreadTable.title,
            ThreadTable.agent_id,
            ThreadTable.created_at,
            ThreadTable.updated_at,
            ThreadTable.last_activity_at,
            ThreadTable.expires_at,
            _ACTIVE.label("active"),
            roles.user_id,
            roles.id.label("role_id"),
        )
        .outerjoin(roles, and_(*of_thread))
        .where(ThreadTable.id.in_(thread_ids))
    )
    found: dict[str, Mapping[str, Any]] = {}
    held: dict[str, dict[str, str]] = {}
    for row in connection.execute(statement).mappings():
        found[row["id"]] = cast("Mapping[str, Any]", row)
        held.setdefault(row["id"], {}).update({} if row["user_id"] is None else {row["user_id"]: row["role_id"]})
    return [_changed(row, held[thread_id]) for thread_id, row in found.items()]


def _changed(row: Mapping[str, Any], roles: Mapping[str, str]) -> ChangedThread:
    return ChangedThread(
        thread={
            "id": row["id"],
            "title": row["title"],
            # As lists have it: see `thread_lists.to_public`.
            "last_activity_at": max(row["last_activity_at"], row["created_at"]),
            "running": row["active"] == "running",
            "waiting": row["active"] == "waiting",
        },
        agent_id=row["agent_id"],
        users=frozenset(roles),
        marks=frozenset({*roles.values(), _mark(row["last_activity_at"], row["updated_at"])}),
        listed=row["expires_at"] is None,
    )


def find_changed(connection: Connection, since: float, *, limit: int) -> list[tuple[str, str]]:
    """Ids of threads that have changed since then (in seconds since 1970), each with its mark; at most `limit`.

    A thread that a user sees from then on has the role's id as its mark. A new title, or other metadata, of a thread in
    which nothing has happened for an hour or two is left out: the index knows hours of activity.
    """
    time = format_time(datetime.fromtimestamp(since, UTC))
    moved = select(ThreadTable.id, ThreadTable.last_activity_at, ThreadTable.updated_at).where(
        ThreadTable.activity_hour >= thread_log.activity_hour(time) - 1,
        or_(ThreadTable.last_activity_at > time, ThreadTable.updated_at > time),
    )
    found = [(row.id, _mark(row.last_activity_at, row.updated_at)) for row in connection.execute(moved.limit(limit))]
    shared = select(RoleAssignmentTable.resource_id, RoleAssignmentTable.id).where(
        RoleAssignmentTable.id > _first_id(since), RoleAssignmentTable.resource_type == "thread"
    )
    found += [(row.resource_id, row.id) for row in connection.execute(shared.limit(limit))]
    return found[:limit]


def _mark(last_activity_at: str, updated_at: str) -> str:
    return f"{last_activity_at} {updated_at}"


def _first_id(seconds: float) -> str:
    """A UUIDv7 before all that are made from then on."""
    time = f"{int(seconds * 1000):012x}"
    return f"{time[:8]}-{time[8:]}-7000-8000-000000000000"
