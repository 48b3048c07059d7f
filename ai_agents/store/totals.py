"""How much each user has, and the quotas on it.

Who makes a thing pays for it: the uploader of a file, the creator of a thread, the writer of an agent's version. It
counts until it is deleted, no matter which user deletes or owns it by then, so that no user fills the quota of another.

A user's row is the last thing that a transaction locks, but for its idempotency key and then its entry of the audit
log: so it is held for hardly longer than the commit takes, and no two transactions wait for each other.
"""

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, bindparam, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute

from ai_agents.core.exceptions import QuotaExceeded
from ai_agents.core.limits import UserLimits
from ai_agents.store import thread_log
from ai_agents.store.access_tables import RoleAssignmentTable
from ai_agents.store.models import AgentVersionTable, ThreadTable
from ai_agents.store.user_tables import UserTotalsTable

# `counted_for` of a thing that counts for no user. Null is of the time before there were totals.
NO_USER = ""
Quota = Literal["files_bytes", "threads", "agent_versions"]
_QUOTAS: tuple[Quota, ...] = ("files_bytes", "threads", "agent_versions")
# In the newest so many of a user's threads the longest one is looked for.
_NEWEST_THREADS = 1000


Counted = Literal["files", "files_bytes", "threads", "agent_versions"]
# What a user has, or what is added to it.
Totals = Mapping[Counted, int]
_NONE: Totals = {"files": 0, "files_bytes": 0, "threads": 0, "agent_versions": 0}
_COLUMNS = {name: UserTotalsTable.__table__.c[name] for name in _NONE}
_FIND = select(*_COLUMNS.values()).where(UserTotalsTable.user_id == bindparam("user_id"))


def find_totals(connection: Connection, user_id: str) -> Totals:
    """What the user has now."""
    row = connection.execute(_FIND, {"user_id": user_id}).one_or_none()
    return _NONE if row is None else _to_totals(row)


def require_room(connection: Connection, user_id: str | None, limits: UserLimits, change: Totals) -> None:
    """Raises `QuotaExceeded` where the user has no room for this, as far as can be seen without a lock.

    A cheap look before expensive work; `add` decides.
    """
    if user_id is not None and any(limits[name] is not None for name in _QUOTAS if change.get(name)):
        found = find_totals(connection, user_id)
        _check({name: found[name] + change.get(name, 0) for name in _NONE}, limits, change)


def add(connection: Connection, user_id: str | None, limits: UserLimits, change: Totals) -> None:
    """Count what the transaction has made for this user; None: for no user.

    Other transactions that count for the same user wait until this one ends. Raises `QuotaExceeded`.
    """
    if user_id is None:
        return
    into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = into(UserTotalsTable).values(user_id=user_id, **{name: change.get(name, 0) for name in _NONE})
    sums = {name: _COLUMNS[name] + added for name, added in change.items()}
    counted = statement.on_conflict_do_update(index_elements=["user_id"], set_=sums).returning(*_COLUMNS.values())
    _check(_to_totals(connection.execute(counted).one()), limits, change)


def give_back(connection: Connection, user_id: str | None, change: Totals) -> None:
    """Count no longer what the transaction has deleted."""
    if not user_id or not change:
        return
    rest: dict[str, Any] = {name: _not_negative(_COLUMNS[name] - gone) for name, gone in change.items()}
    connection.execute(update(UserTotalsTable).where(UserTotalsTable.user_id == user_id).values(rest))


def payer_of_thread(connection: Connection, thread_id: str) -> str | None:
    """The user for which the thread counts; None for no user."""
    payer = func.coalesce(ThreadTable.counted_for, _first_owner("thread", ThreadTable.id))
    return connection.scalar(select(payer).where(ThreadTable.id == thread_id)) or None


def payers_of_versions(connection: Connection, agent_id: str) -> Mapping[str, int]:
    """How many of the agent's versions count for which user."""
    payer = func.coalesce(AgentVersionTable.counted_for, _first_owner("agent", AgentVersionTable.agent_id))
    counted = select(payer, func.count()).where(AgentVersionTable.agent_id == agent_id).group_by(payer).order_by(payer)
    return {user_id: count for user_id, count in connection.execute(counted) if user_id}


def longest_thread(connection: Connection, user_id: str) -> int:
    """The rows of the longest log of the newest thousand threads that count for the user."""
    newest = (
        select((ThreadTable.last_seq - ThreadTable.trimmed_seq).label("rows"))
        .where(ThreadTable.counted_for == user_id)
        .order_by(ThreadTable.id.desc())
        .limit(_NEWEST_THREADS)
        .subquery()
    )
    return int(connection.scalar(select(func.max(newest.c.rows))) or 0)


def require_rows(limits: UserLimits, rows: int) -> None:
    """Raises `QuotaExceeded` where a new thread would have so many rows, and more than this user may write to."""
    most = limits["thread_rows"]
    if most is not None and rows > most:
        raise QuotaExceeded("thread_rows", used=0, limit=most)


def require_rows_in(connection: Connection, thread_id: str, limits: UserLimits, last_seq: int, *, added: int) -> None:
    """As `require_rows`, of a thread to which so many rows are added, up to this number.

    Rows that retention has removed do not count. How many they are is asked only where the numbers go beyond the limit.
    """
    most = limits["thread_rows"]
    if most is None or last_seq <= most:
        return
    rows = last_seq - thread_log.trimmed_seq(connection, thread_id)
    if rows > most:
        raise QuotaExceeded("thread_rows", used=rows - added, limit=most)


def _to_totals(row: Row[Any]) -> Totals:
    return dict(zip(_NONE, row, strict=True))


def _check(totals: Totals, limits: UserLimits, change: Totals) -> None:
    for name in _QUOTAS:
        most, added = limits[name], change.get(name, 0)
        if most is not None and added > 0 and totals[name] > most:
            raise QuotaExceeded(name, used=totals[name] - added, limit=most)


def _not_negative(value: ColumnElement[int]) -> ColumnElement[int]:
    """What is left of a user from before there were totals may be less than is given back."""
    return case((value < 0, 0), else_=value)


def _first_owner(resource_type: str, resource_id: InstrumentedAttribute[str]) -> Any:
    """The user for which a thing of the time before there were totals counts."""
    owners = select(RoleAssignmentTable.user_id).where(
        RoleAssignmentTable.resource_type == resource_type,
        RoleAssignmentTable.resource_id == resource_id,
        RoleAssignmentTable.role == "owner",
    )
    return owners.order_by(RoleAssignmentTable.id).limit(1).scalar_subquery()
