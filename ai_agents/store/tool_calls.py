"""The state of tool calls: requested, waiting for a person, started, ended.

After a crash, this is all that the run's next owner knows about them.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from ai_agents.core.ids import utc_now
from ai_agents.core.parts import part_from_stored, part_to_stored
from ai_agents.core.types import JsonObject, ToolCallPart, ToolCallStatus
from ai_agents.store.clock import database_now
from ai_agents.store.models import ToolCallTable

# The reason of a refusal that no person gave.
EXPIRED = "expired"
# Times of a century hence and more need not have a form.
_FOR_EVER_S = 100 * 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call without a result: it waits for a person, is approved, or has started.

    One that waits does so until `expires_at`, in seconds of the database's clock since 1970; None: for ever.
    """

    call: ToolCallPart
    status: ToolCallStatus
    expires_at: float | None = None


def insert_calls(
    connection: Connection, run_id: str, calls: Sequence[ToolCallPart], *, waiting: Collection[str] = ()
) -> None:
    """Record that these calls are about to start, and that those with ids in `waiting` wait for a person."""
    now = utc_now()
    connection.execute(
        insert(ToolCallTable),
        [
            {
                "run_id": run_id,
                "tool_call_id": call.tool_call_id,
                "position": position,
                "part": part_to_stored(call),
                "status": "waiting" if call.tool_call_id in waiting else "started",
                "created_at": now,
                "started_at": None if call.tool_call_id in waiting else now,
            }
            for position, call in enumerate(calls)
        ],
    )


def start_approved(connection: Connection, run_id: str) -> list[ToolCallPart]:
    """Record that the approved calls start now. Returns them, in the model's order."""
    approved = [each.call for each in list_open(connection, run_id) if each.status == "approved"]
    if approved:
        statement = update(ToolCallTable).where(ToolCallTable.run_id == run_id, ToolCallTable.status == "approved")
        connection.execute(statement.values(status="started", started_at=utc_now()))
    return approved


def decide(connection: Connection, run_id: str, tool_call_id: str, *, approved: bool, reason: str | None) -> bool:
    """Record the decision on a waiting call; False if it does not wait, or has expired."""
    now = database_now(connection.dialect.name)
    in_time = or_(ToolCallTable.expires_at.is_(None), ToolCallTable.expires_at > now)
    statement = (
        update(ToolCallTable)
        .where(*_this(run_id, tool_call_id), ToolCallTable.status == "waiting", in_time)
        .values(
            status="approved" if approved else "refused",
            approval={"approved": approved, "reason": reason},
            waits_since=None,
        )
    )
    return connection.execute(statement).rowcount == 1


def begin_waiting(
    connection: Connection, run_id: str, approval_s: Callable[[str], float | None]
) -> tuple[list[OpenCall], float | None]:
    """Let the calls that wait be decided from now on, each for as long as `approval_s` says of its tool.

    Returns these calls and the first of their deadlines.
    """
    now = connection.execute(select(database_now(connection.dialect.name))).scalar_one()
    waits_since = utc_now()
    waiting = [each for each in list_open(connection, run_id) if each.status == "waiting"]
    for place, each in enumerate(waiting):
        seconds = approval_s(each.call.name)
        deadline = None if seconds is None or seconds > _FOR_EVER_S else now + seconds
        waiting[place] = replace(each, expires_at=deadline)
        this = update(ToolCallTable).where(*_this(run_id, each.call.tool_call_id))
        connection.execute(this.values(waits_since=waits_since, expires_at=deadline))
    return waiting, first_deadline(waiting)


def expire(connection: Connection, run_id: str) -> list[ToolCallPart]:
    """Record that the calls whose deadline has passed are refused; these calls, in the model's order.

    The caller has seen that the run's first deadline has passed: calls without one of their own share it.
    """
    now = connection.execute(select(database_now(connection.dialect.name))).scalar_one()
    late = or_(ToolCallTable.expires_at <= now, ToolCallTable.waits_since.is_(None))
    this_run = (ToolCallTable.run_id == run_id, ToolCallTable.status == "waiting")
    found = select(ToolCallTable.part).where(*this_run, late)
    calls = [
        _to_call(part) for part in connection.scalars(found.order_by(ToolCallTable.created_at, ToolCallTable.position))
    ]
    values = {"status": "refused", "approval": {"approved": False, "reason": EXPIRED}, "waits_since": None}
    for call in calls:
        connection.execute(update(ToolCallTable).where(*_this(run_id, call.tool_call_id)).values(values))
    return calls


def first_deadline(calls: Sequence[OpenCall]) -> float | None:
    """When the first of the calls that wait expires; None where none does."""
    return min((each.expires_at for each in calls if each.status == "waiting" and each.expires_at), default=None)


def finish(connection: Connection, run_id: str, tool_call_id: str, *, status: ToolCallStatus = "finished") -> bool:
    """Record how a call ended (`finished`, `refused` or `unknown`); False if that is recorded already."""
    statement = (
        update(ToolCallTable)
        .where(*_this(run_id, tool_call_id), ToolCallTable.finished_at.is_(None))
        .values(status=status, finished_at=utc_now(), waits_since=None)
    )
    return connection.execute(statement).rowcount == 1


def find(connection: Connection, run_id: str, tool_call_id: str) -> ToolCallPart | None:
    """A call of this run."""
    part = connection.scalar(select(ToolCallTable.part).where(*_this(run_id, tool_call_id)))
    return None if part is None else _to_call(part)


def list_open(connection: Connection, run_id: str) -> list[OpenCall]:
    """The calls without a result, in the model's order."""
    statement = (
        select(ToolCallTable.part, ToolCallTable.status, ToolCallTable.expires_at)
        .where(ToolCallTable.run_id == run_id, ToolCallTable.finished_at.is_(None))
        .order_by(ToolCallTable.created_at, ToolCallTable.position)
    )
    return [OpenCall(_to_call(row.part), row.status, row.expires_at) for row in connection.execute(statement)]


def _this(run_id: str, tool_call_id: str) -> tuple[ColumnElement[bool], ...]:
    return ToolCallTable.run_id == run_id, ToolCallTable.tool_call_id == tool_call_id


def _to_call(stored: JsonObject) -> ToolCallPart:
    part = part_from_stored(stored)
    assert isinstance(part, ToolCallPart)  # noqa: S101  # no other part is written here
    return part
