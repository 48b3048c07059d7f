"""Users as admins see them: their ids, with how much each has."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    Connection,
    Integer,
    Select,
    Subquery,
    Text,
    bindparam,
    column,
    func,
    literal,
    select,
    union,
    values,
)
from sqlalchemy.orm import InstrumentedAttribute

from ai_agents.core.rows import Page, UserSummary, only
from ai_agents.store import pages
from ai_agents.store.access_tables import ApiKeyTable, RoleAssignmentTable
from ai_agents.store.database import Store, reading
from ai_agents.store.models import AgentTable
from ai_agents.store.ranks import EVERYBODY
from ai_agents.store.text_filter import first_with, sizes
from ai_agents.store.thread_access import runs_at_once
from ai_agents.store.user_tables import UserLimitsTable, UserTotalsTable

# A user who has something, may do something or is limited has a row in one of these.
_SOURCES: tuple[InstrumentedAttribute[str], ...] = (
    ApiKeyTable.user_id,
    RoleAssignmentTable.user_id,
    UserTotalsTable.user_id,
    UserLimitsTable.user_id,
)
# The environment's admin key has a row without a user.
_NO_USERS = ("", EVERYBODY)
_AFTER, _MOST = bindparam("after", type_=Text), bindparam("most", type_=Integer)


def list_users(
    connection: Connection, *, q: str | None = None, limit: int = 20, after: str | None = None
) -> Page[UserSummary]:
    """A page of users by their ids: `{"data", "next"}`; with `q`, of those whose id has it in it, in any case.

    Raises `InvalidCursor`.
    """
    last = "" if after is None else pages.decode_text_cursor(after)
    if q is None:
        place = {"after": last, "most": limit + 1 + len(_NO_USERS)}
        rows = connection.execute(_LIST, place).mappings().all()
    else:
        found = first_with(q, _following(connection, last), limit=limit + 1)
        rows = connection.execute(_list(_these(found))).mappings().all() if found else []
    return pages.to_page(
        [row for row in rows if row["id"] not in _NO_USERS],
        limit=limit,
        cursor=lambda row: pages.encode_cursor(row["id"]),
        to_dict=lambda row: only(UserSummary, row),
    )


def _following(connection: Connection, after: str) -> Iterator[tuple[str, str]]:
    """The ids of users after this one, each twice: its name and its text. Read as far as they are asked for."""
    for size in sizes():
        ids = connection.scalars(_IDS, {"after": after, "most": size}).all()
        yield from ((user_id, user_id) for user_id in ids if user_id not in _NO_USERS)
        if len(ids) < size:
            return
        after = ids[-1]


def _ids(source: InstrumentedAttribute[str], number: int) -> Select[str]:
    """The next ids in a column, each once. Each is looked up in the index: a user may have 100,000 rows."""
    first = select(func.min(source).label("user_id")).where(source > _AFTER)
    found = first.cte(f"ids_{number}", recursive=True)
    following = select(func.min(source)).where(source > found.c.user_id).scalar_subquery()
    found = found.union_all(select(following).where(found.c.user_id.is_not(None)))
    return select(found.c.user_id).where(found.c.user_id.is_not(None)).limit(_MOST)


def _ids_of_rows(source: InstrumentedAttribute[str], _number: int) -> Select[str]:
    """The same for one who reads them all, so that every row is read anyway: along the index, which is quicker."""
    return select(source.label("user_id")).where(source > _AFTER).distinct().order_by(source).limit(_MOST)


def _count(of: Any, *conditions: Any) -> Any:
    return select(func.count()).select_from(of).where(*conditions).scalar_subquery()


def _next_ids(ids: Callable[[InstrumentedAttribute[str], int], Select[str]]) -> Select[str]:
    """The ids of the next `most` users, in order."""
    parts = [select(ids(source, number).subquery().c.user_id) for number, source in enumerate(_SOURCES)]
    every: Subquery = union(*parts).subquery()
    return select(every.c.user_id).order_by(every.c.user_id).limit(_MOST)


def _these(user_ids: Sequence[str]) -> CTE:
    """Users as a table."""
    return values(column("user_id", Text), name="these").data([(each,) for each in user_ids]).cte("these")


def _list(ids: CTE | Subquery) -> Select[Any]:
    totals, keys, roles = UserTotalsTable, ApiKeyTable, RoleAssignmentTable
    owned = _count(
        roles.__table__.join(AgentTable.__table__, AgentTable.id == roles.resource_id),
        roles.user_id == ids.c.user_id,
        roles.resource_type == literal("agent"),
        roles.role == literal("owner"),
        AgentTable.deleted_at.is_(None),
    )
    statement = select(
        ids.c.user_id.label("id"),
        _count(keys.__table__, keys.user_id == ids.c.user_id, ~keys.is_token).label("keys"),
        owned.label("agents"),
        *(func.coalesce(each, 0).label(each.key) for each in (totals.agent_versions, totals.threads)),
        *(func.coalesce(each, 0).label(each.key) for each in (totals.files, totals.files_bytes)),
        runs_at_once(ids.c.user_id).label("runs"),
    )
    return statement.outerjoin(totals, totals.user_id == ids.c.user_id).order_by(ids.c.user_id)


_IDS = _next_ids(_ids_of_rows)
_LIST = _list(_next_ids(_ids).subquery())


class UserStore(Store):
    """Users, with how much each has."""

    list = reading(list_users, long=True)
