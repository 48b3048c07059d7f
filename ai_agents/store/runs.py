"""Runs: which process executes them, under which lease, and how they end. Every write of an owner checks the fence."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Insert,
    String,
    Table,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from ai_agents.core.exceptions import RunNotFound
from ai_agents.core.notices import Notice
from ai_agents.core.overrides import shown_to_all
from ai_agents.core.parts import tools_from_stored
from ai_agents.core.rows import Run, RunDetails, RunOverrides, only
from ai_agents.core.table_rows import RunKey, RunRow, RunValues
from ai_agents.core.types import RunStatus, ToolDefinition, Usage
from ai_agents.store.clock import database_now
from ai_agents.store.model_calls import cost_from_dict
from ai_agents.store.models import RunTable, ToolCallTable
from ai_agents.store.statements import prepared

_RUNS = cast(Table, RunTable.__table__)
# Clients may bring large tools, which lists do not show.
LISTED = select(*(column for column in _RUNS.c if column.name not in ("client_tools", "steered")))
_OF_THREAD = select(_RUNS).where(_RUNS.c.thread_id == bindparam("b_thread"))
# Statuses are literals, as in the partial indexes: a parameter's value is not known when the index is chosen.
STATUS: dict[str, ColumnElement[str]] = {
    status: literal_column(f"'{status}'", String) for status in ("queued", "running", "waiting")
}
_ACTIVE = prepared(_OF_THREAD.where(_RUNS.c.status.in_((STATUS["running"], STATUS["waiting"]))))
_QUEUED = _OF_THREAD.where(_RUNS.c.status == STATUS["queued"]).order_by(_RUNS.c.queue_position)
_NEXT_QUEUED = prepared(_QUEUED.limit(1))
_GET = prepared(_OF_THREAD.where(_RUNS.c.id == bindparam("b_id")))
# Of one run, found by its id. As a bare column, PostgreSQL takes one of the partial indexes, which it thinks is nearly
# empty, and looks at all runs under way and at what is left of those that have ended.
_STATUS_OF_ONE = func.coalesce(_RUNS.c.status, "")
_OWNED = (_RUNS.c.id == bindparam("b_id"), _RUNS.c.fence == bindparam("b_fence"), STATUS["running"] == _STATUS_OF_ONE)
# The columns of a new run that is not given them.
_NEW: dict[str, Any] = {**dict.fromkeys(_RUNS.c.keys()), "cancel_requested": False, "by_admin": False}
# How many abandoned or held runs are read at once.
ABANDONED_PAGE = 20
HELD_PAGE = 20
# The `queue_position` of a run that waits for a process alone: the first of its thread, which has no active run.
HELD_POSITION = 0
_IS_HELD = (_RUNS.c.status == STATUS["queued"], _RUNS.c.queue_position == literal_column(str(HELD_POSITION)))
_HELD = prepared(select(_RUNS.c.id, _RUNS.c.thread_id).where(*_IS_HELD).order_by(_RUNS.c.id).limit(bindparam("b_most")))
_COUNT_HELD = prepared(select(func.count()).select_from(_RUNS).where(*_IS_HELD))


class LeaseLost(Exception):
    """The run has another owner, has ended, or is deleted. Its former owner stops and writes nothing more."""


@dataclass(frozen=True, slots=True)
class OwnedRun:
    """A run as its owner sees it. `reset_seq` is the newest log row of it that reset positions; `continued` says that
    an earlier owner may have recorded steps.

    `cost` is that of its model calls so far, in US dollars; None once one of them has no known cost. `notices` are
    those of the time before it last began to wait for a person. `user_id` is the author of its message, or of the last
    one that joined it; `key_id` and `by_admin` say how that was sent; `client_tools` and `overrides` came with it.
    `steered` is how many messages wait to join it. `trace` is the `traceparent` of what sent its message.
    """

    id: str
    thread_id: str
    agent_id: str
    agent_version: int
    user_id: str
    created_at: str
    attempt: int
    fence: int
    message_id: str
    usage: Usage
    cost: Decimal | None
    reset_seq: int
    continued: bool = False
    notices: tuple[Notice, ...] = ()
    key_id: str | None = None
    by_admin: bool = False
    client_tools: tuple[ToolDefinition, ...] = ()
    steered: int = 0
    overrides: RunOverrides | None = None
    trace: str | None = None


def owned_run(row: RunRow, *, reset_seq: int, continued: bool = False) -> OwnedRun:
    """The owner's view of a run's row."""
    return OwnedRun(
        id=row["id"],
        thread_id=row["thread_id"],
        agent_id=row["agent_id"],
        agent_version=row["agent_version"],
        user_id=row["sender_id"] or row["user_id"],
        created_at=row["created_at"],
        attempt=row["attempt"],
        fence=row["fence"],
        message_id=row["message_id"] or "",
        usage=Usage(**row["usage"]) if row["usage"] else Usage(),
        # Without usage there was no call yet, which costs nothing.
        cost=Decimal(0) if row["usage"] is None else cost_from_dict(row["cost"]),
        reset_seq=reset_seq,
        continued=continued,
        notices=tuple(row["notices"] or ()),
        key_id=row["key_id"],
        by_admin=row["by_admin"],
        client_tools=tools_from_stored(row["client_tools"]),
        steered=len(row["steered"] or ()),
        overrides=row["overrides"],
        trace=row["trace"],
    )


def to_public(row: RunRow) -> Run:
    """The run as clients see it."""
    run = only(Run, row)
    run["notices"] = run["notices"] or []
    if row["overrides"]:
        run["overrides"] = shown_to_all(row["overrides"])
    else:
        del run["overrides"]
    return run


def to_details(row: RunRow) -> RunDetails:
    """The run as those see it who may change its agent."""
    details: RunDetails = {**to_public(row), "upstream": row["upstream"]}
    if row["overrides"]:
        details["overrides"] = row["overrides"]
    return details


@lru_cache(maxsize=64)
def _assignments(dialect: str, names: frozenset[str]) -> dict[str, Any]:
    """The argument of `.values()` for these columns. `lease_s` is a lease of so many seconds from now; None: none."""
    values: dict[str, Any] = {name: bindparam(f"v_{name}", type_=_RUNS.c[name].type) for name in names - {"lease_s"}}
    if "lease_s" in names:
        values["lease_expires_at"] = database_now(dialect) + bindparam("v_lease_s", type_=Float)
    return values


@lru_cache(maxsize=64)
def _insert(dialect: str, names: frozenset[str]) -> Insert:
    return prepared(insert(_RUNS).values(**_assignments(dialect, names)))


@lru_cache(maxsize=64)
def _update(
    dialect: str, names: frozenset[str], statuses: tuple[RunStatus, ...] | None, *, unsteered: bool = False
) -> ReturningUpdate[Any]:
    guard: tuple[ColumnElement[bool], ...] = (*_OWNED, _RUNS.c.steered.is_(None)) if unsteered else _OWNED
    if statuses is not None:
        guard = (_RUNS.c.id == bindparam("b_id"), _STATUS_OF_ONE.in_([STATUS[status] for status in statuses]))
    return prepared(update(_RUNS).where(*guard).values(**_assignments(dialect, names)).returning(_RUNS))


def _parameters(values: RunValues) -> dict[str, Any]:
    return {f"v_{name}": value for name, value in values.items()}


def insert_run(connection: Connection, values: RunValues) -> RunRow:
    """Write a new run. `lease_s` among the values is a lease of so many seconds from now.

    Returns its row without the end of that lease, which only the database knows.
    """
    connection.execute(_insert(connection.dialect.name, frozenset(values)), _parameters(values))
    row = {**_NEW, **values}
    row.pop("lease_s", None)
    return cast("RunRow", row)


def find_active(connection: Connection, thread_id: str) -> RunRow | None:
    """The run that holds the thread: running, or waiting for a person."""
    return cast("RunRow | None", connection.execute(_ACTIVE, {"b_thread": thread_id}).mappings().one_or_none())


def list_queued(connection: Connection, thread_id: str) -> list[RunRow]:
    """The thread's queued runs, the next one first."""
    return cast("list[RunRow]", list(connection.execute(_QUEUED, {"b_thread": thread_id}).mappings()))


def find_next_queued(connection: Connection, thread_id: str) -> RunRow | None:
    """The queued run that starts when the active one ends."""
    return cast("RunRow | None", connection.execute(_NEXT_QUEUED, {"b_thread": thread_id}).mappings().one_or_none())


def list_held(connection: Connection, *, limit: int) -> list[RunKey]:
    """The oldest runs that wait for a process; `limit` is at least 1."""
    return cast("list[RunKey]", list(connection.execute(_HELD, {"b_most": limit}).mappings()))


def count_held(connection: Connection) -> int:
    """How many runs wait for a process."""
    return connection.execute(_COUNT_HELD).scalar_one()


def hold_next(connection: Connection, thread_id: str) -> None:
    """Let the thread's next queued run wait for a process alone, since the one before it is gone."""
    first = find_next_queued(connection, thread_id)
    if first is not None:
        update_unowned(connection, first["id"], ("queued",), {"queue_position": HELD_POSITION})


def update_owned(connection: Connection, run: OwnedRun, values: RunValues) -> RunRow:
    """Update a run that this owner still holds. Returns its row. Raises `LeaseLost`."""
    row = _update_owned(connection, run, values, unsteered=False)
    if row is None:
        raise LeaseLost
    return row


def update_unless_steered(connection: Connection, run: OwnedRun, values: RunValues) -> RunRow | None:
    """As `update_owned`; None where a message waits to join the run, and where this owner does not hold it any more."""
    return _update_owned(connection, run, values, unsteered=True)


def _update_owned(connection: Connection, run: OwnedRun, values: RunValues, *, unsteered: bool) -> RunRow | None:
    statement = _update(connection.dialect.name, frozenset(values), None, unsteered=unsteered)
    parameters = {**_parameters(values), "b_id": run.id, "b_fence": run.fence}
    return cast("RunRow | None", connection.execute(statement, parameters).mappings().one_or_none())


def update_unowned(
    connection: Connection, run_id: str, statuses: tuple[RunStatus, ...], values: RunValues
) -> RunRow | None:
    """Update a run without an owner if it is in one of these statuses. Returns its row, or None if it is not."""
    statement = _update(connection.dialect.name, frozenset(values), statuses)
    parameters = {**_parameters(values), "b_id": run_id}
    return cast("RunRow | None", connection.execute(statement, parameters).mappings().one_or_none())


def get_row(connection: Connection, thread_id: str, run_id: str) -> RunRow:
    """Every column of a run of this thread. Raises `RunNotFound`."""
    row = connection.execute(_GET, {"b_id": run_id, "b_thread": thread_id}).mappings().one_or_none()
    if row is None:
        raise RunNotFound
    return cast("RunRow", row)


def find_row(connection: Connection, *conditions: ColumnElement[bool]) -> RunRow | None:
    """Every column of the run that fits these conditions; they fit one run at most."""
    return cast("RunRow | None", connection.execute(select(_RUNS).where(*conditions)).mappings().one_or_none())


def request_cancel(connection: Connection, *run_ids: str) -> None:
    """Ask the owners of these runs to stop them; queued ones end when the run before them has ended."""
    connection.execute(update(RunTable).where(RunTable.id.in_(run_ids)).values(cancel_requested=True))


def renew_leases(connection: Connection, owner: str, run_ids: Collection[str], lease_s: float) -> set[str]:
    """Renew the leases of those of these runs that still run and belong to this owner. Returns their ids."""
    statement = (
        update(RunTable)
        .where(RunTable.id.in_(run_ids), RunTable.lease_owner == owner, RunTable.status == "running")
        .values(lease_expires_at=database_now(connection.dialect.name) + lease_s)
        .returning(RunTable.id)
    )
    return set(connection.execute(statement).scalars())


def list_cancel_requests(connection: Connection, owner: str) -> list[str]:
    """Ids of this owner's runs that are to be cancelled."""
    statement = select(RunTable.id).where(
        RunTable.lease_owner == owner, RunTable.status == "running", RunTable.cancel_requested
    )
    return list(connection.execute(statement).scalars())


def list_abandoned(connection: Connection, *, everything_but: str | None = None) -> list[RunKey]:
    """Running runs whose lease has expired, oldest first; with `everything_but`, all runs of other owners than this."""
    if everything_but is None:
        left = RunTable.lease_expires_at < database_now(connection.dialect.name)
    else:
        left = func.coalesce(RunTable.lease_owner, "") != everything_but
    return _list_keys(connection, RunTable.status == "running", left)


def list_waited_out(connection: Connection) -> list[RunKey]:
    """Runs whose approval deadline has passed, oldest first."""
    return _list_keys(connection, *_waited_out(connection))


def _list_keys(connection: Connection, *conditions: ColumnElement[bool]) -> list[RunKey]:
    statement = select(RunTable.id, RunTable.thread_id).where(*conditions).order_by(RunTable.lease_expires_at)
    return cast("list[RunKey]", list(connection.execute(statement.limit(ABANDONED_PAGE)).mappings()))


def has_waited_out(connection: Connection, run_id: str) -> bool:
    """Whether the run waits and its approval deadline has passed."""
    return connection.scalar(select(RunTable.id).where(RunTable.id == run_id, *_waited_out(connection))) is not None


def _waited_out(connection: Connection) -> tuple[ColumnElement[bool], ...]:
    return RunTable.status == STATUS["waiting"], RunTable.lease_expires_at < database_now(connection.dialect.name)


def exists(connection: Connection, run_id: str) -> bool:
    """Whether the run exists."""
    return connection.scalar(select(RunTable.id).where(RunTable.id == run_id)) is not None


def is_owned(connection: Connection, run: OwnedRun) -> bool:
    """Whether the run still runs under this fence."""
    owned = (RunTable.id == run.id, RunTable.fence == run.fence, RunTable.status == "running")
    return connection.scalar(select(RunTable.id).where(*owned)) is not None


def expire_leases(connection: Connection, owner: str) -> None:
    """Let every lease of this owner expire, so that other processes take its runs over at once."""
    running = (RunTable.lease_owner == owner, RunTable.status == "running")
    connection.execute(update(RunTable).where(*running).values(lease_expires_at=0.0))


def find_waiting(
    connection: Connection, user_id: str, tool_call_ids: Sequence[str], *, thread_id: str | None = None
) -> RunKey | None:
    """The newest run that waits and has made one of these calls: of this thread, or (None) the user's own."""
    whose = _RUNS.c.user_id == user_id if thread_id is None else _RUNS.c.thread_id == thread_id
    statement = (
        select(_RUNS.c.id, _RUNS.c.thread_id)
        .join(ToolCallTable, ToolCallTable.run_id == _RUNS.c.id)
        .where(_RUNS.c.status == STATUS["waiting"], whose)
        .where(ToolCallTable.tool_call_id.in_(tool_call_ids))
        .order_by(_RUNS.c.id.desc())
        .limit(1)
    )
    return cast("RunKey | None", connection.execute(statement).mappings().one_or_none())


def find_thread_id(connection: Connection, run_id: str) -> str | None:
    """The thread of a run; None where there is no such run (any more)."""
    return connection.scalar(select(_RUNS.c.thread_id).where(_RUNS.c.id == run_id))
