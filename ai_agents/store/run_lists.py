"""Lists of runs as clients see them: of a thread, and of all threads that a user sees."""

from typing import cast

from sqlalchemy import ColumnElement, Connection, Table, func, select

from ai_agents.core.rows import Page, Run
from ai_agents.core.scopes import AgentScope
from ai_agents.core.table_rows import RunRow
from ai_agents.core.types import RunStatus
from ai_agents.store import pages, visibility
from ai_agents.store.access_tables import RoleAssignmentTable
from ai_agents.store.database import Store, reading
from ai_agents.store.models import RunTable
from ai_agents.store.runs import LISTED, STATUS, get_row, to_details, to_public

_RUNS = cast(Table, RunTable.__table__)
# With more threads than these one has very many. Of the newest runs of all, so many are looked through for one's own.
_MANY_THREADS = 500
_NEWEST = 5_000


def get_run(connection: Connection, thread_id: str, run_id: str, *, upstream: bool = False) -> Run:
    """One run of a thread, as clients see it; with `upstream` as `RunDetails`. Raises `RunNotFound`."""
    row = get_row(connection, thread_id, run_id)
    return to_details(row) if upstream else to_public(row)


def list_runs(
    connection: Connection, thread_id: str, *, limit: int = 20, after: str | None = None, upstream: bool = False
) -> Page[Run]:
    """A page of a thread's runs, newest first: `{"data", "next"}`; with `upstream` as `RunDetails`.

    Raises `InvalidCursor`.
    """
    statement = LISTED.where(_RUNS.c.thread_id == thread_id)
    to_dict = to_details if upstream else to_public
    return pages.newest_first(connection, statement, RunTable, limit=limit, after=after, to_dict=to_dict)


def _newest_visible(
    connection: Connection,
    user_id: str | None,
    conditions: list[ColumnElement[bool]],
    *,
    before: str | None,
    limit: int,
    shared: bool,
) -> list[RunRow]:
    """The newest of these runs that the user sees (None: all), before that one.

    A person's are found by their threads. Of one who has very many threads, the newest are likely to be among the
    newest of all: those are looked through first, along their ids.
    """
    if before is not None:
        conditions.append(_RUNS.c.id < before)

    def read(*more: ColumnElement[bool], order: ColumnElement[str] = _RUNS.c.id) -> list[RunRow]:
        found = LISTED.where(*conditions, *more).order_by(order.desc()).limit(limit)
        return cast("list[RunRow]", connection.execute(found).mappings().all())

    if user_id is None:
        return read()
    seen = visibility.resources_of("thread", user_id, shared=shared)
    if visibility.sees_more_threads_than(connection, user_id, _MANY_THREADS, shared=shared):
        newest = select(_RUNS.c.id).order_by(_RUNS.c.id.desc()).limit(_NEWEST)
        newest = newest if before is None else newest.where(_RUNS.c.id < before)
        oldest = select(func.min(newest.subquery().c.id)).scalar_subquery()
        mine = seen.where(RoleAssignmentTable.resource_id == _RUNS.c.thread_id).correlate(_RUNS).exists()
        if len(rows := read(_RUNS.c.id >= oldest, mine)) == limit:
            return rows
    # Not a bare column, so that runs are not read along their ids, from the newest of all to one's first.
    return read(_RUNS.c.thread_id.in_(seen), order=func.coalesce(_RUNS.c.id, ""))


def list_visible_runs(
    connection: Connection,
    user_id: str | None = None,
    *,
    status: RunStatus | None = None,
    agent_id: str | None = None,
    within: AgentScope | None = None,
    shared: bool = False,
    limit: int = 20,
    after: str | None = None,
) -> Page[Run]:
    """A page of the runs of all threads on which the user has a role (None: of all threads), newest first.

    With `shared`, also of threads on which every user has one. Of all these, the runs `within` these agents. A run is
    `RunDetails` where the user may change its agent. `{"data", "next"}`. Raises `InvalidCursor`.
    """
    # Ids are UUIDv7, so that they are in the order of creation.
    before = None if after is None else pages.decode_time_cursor(after)[1]
    conditions: list[ColumnElement[bool]] = []
    if status is not None:
        conditions.append(_RUNS.c.status == STATUS.get(status, status))
    if agent_id is not None:
        conditions.append(_RUNS.c.agent_id == agent_id)
    if within is not None:
        conditions.append(_RUNS.c.agent_id.in_(within.agents))
    rows = _newest_visible(connection, user_id, conditions, before=before, limit=limit + 1, shared=shared)
    agents = {row["agent_id"] for row in rows}
    changed_by_user = agents if user_id is None else visibility.agents_to_change(connection, user_id, agents)
    return pages.to_page(
        rows,
        limit=limit,
        cursor=lambda row: pages.encode_cursor(row["created_at"], row["id"]),
        to_dict=lambda row: to_details(row) if row["agent_id"] in changed_by_user else to_public(row),
    )


class RunStore(Store):
    """Runs as clients read them."""

    get = reading(get_run)
    list = reading(list_runs, long=True)
    list_visible = reading(list_visible_runs, long=True)
