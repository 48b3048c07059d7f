"""The state of tool calls: requested, waiting for a person or for the client, started, ended.

After a crash, this is all that the run's next owner knows about them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

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
    """A call and its status. One without a result waits for a person or for the client, is approved, or has started.

    One that waits does so until `expires_at`, in seconds of the database's clock since 1970; None: for ever.
    """

    call: ToolCallPart
    status: ToolCallStatus
    expires_at: float | None = None

    @property
    def waits(self) -> bool:
        """Whether its run cannot go on before a person decides on the call, or the client answers it."""
        return self.status in {"waiting", "client"}


def insert_calls(
    connection: Connection, run_id: str, calls: Sequence[ToolCallPart], *, waiting: Mapping[str, ToolCallStatus]
) -> None:
    """Record that these calls are about to start, but those with ids in `waiting`, which have these statuses."""
    now = utc_now()
    connection.execute(
        insert(ToolCallTable),
        [
            {
                "run_id": run_id,
                "tool_call_id": call.tool_call_id,
                "position": position,
                "part": part_to_stored(call),
                "status": waiting.get(call.tool_call_id, "started"),
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
    """Let the calls that wait be decided or answered from now on, each for as long as `approval_s` says of its tool.

    Returns these calls and the first of their deadlines.
    """
    now = connection.execute(select(database_now(connection.dialect.name))).scalar_one()
    waits_since = utc_now()
    waiting = [each for each in list_open(connection, run_id) if each.waits]
    for place, each in enumerate(waiting):
        seconds = approval_s(each.call.name)
        deadline = None if seconds is None or seconds > _FOR_EVER_S else now + seconds
        waiting[place] = replace(each, expires_at=deadline)
        this = update(ToolCallTable).where(*_this(run_id, each.call.tool_call_id))
        # Since when it waits is noted of calls that people look for.
        since = waits_since if each.status == "waiting" else None
        connection.execute(this.values(waits_since=since, expires_at=deadline))
    return waiting, first_deadline(waiting)


def expire(connection: Connection, run_id: str) -> list[OpenCall]:
    """The calls whose deadline has passed, in the model's order. Those that wait for a person are recorded as refused.

    The caller has seen that the run's first deadline has passed: calls without one of their own share it.
    """
    now = connection.execute(select(database_now(connection.dialect.name))).scalar_one()
    of_person = ToolCallTable.status == "waiting"
    late = or_(ToolCallTable.expires_at <= now, and_(of_person, ToolCallTable.waits_since.is_(None)))
    this_run = (ToolCallTable.run_id == run_id, or_(of_person, ToolCallTable.status == "client"))
    found = select(ToolCallTable.part, ToolCallTable.status).where(*this_run, late)
    rows = connection.execute(found.order_by(ToolCallTable.created_at, ToolCallTable.position)).all()
    calls = [OpenCall(_to_call(row.part), row.status) for row in rows]
    values = {"status": "refused", "approval": {"approved": False, "reason": EXPIRED}, "waits_since": None}
    for each in calls:
        if each.status == "waiting":
            connection.execute(update(ToolCallTable).where(*_this(run_id, each.call.tool_call_id)).values(values))
    return calls


def first_deadline(calls: Sequence[OpenCall]) -> float | None:
    """When the first of the calls that wait expires; None where none does."""
    return min((each.expires_at for each in calls if each.waits and each.expires_at), default=None)


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
    found = find_calls(connection, run_id, [tool_call_id]).get(tool_call_id)
    return None if found is None else found.call


def find_calls(connection: Connection, run_id: str, ids: Sequence[str]) -> dict[str, OpenCall]:
    """Those of these calls that the run has, by their ids."""
    statement = select(ToolCallTable.part, ToolCallTable.status).where(
        ToolCallTable.run_id == run_id, ToolCallTable.tool_call_id.in_(ids)
    )
    found = [OpenCall(_to_call(row.part), row.status) for row in connection.execute(statement)]
    return {each.call.tool_call_id: each for each in found}


def list_open(connection: Connection, run_id: str) -> list[OpenCall]:
    """The calls without a result, in the model's order."""
    statement = (
        select(ToolCallTable.part, ToolCallTable.status, ToolCallTable.expires_at)
        .where(ToolCallTable.run_id == run_id, ToolCallTable.finished_at.is_(None))
        .order_by(ToolCallTable.created_at, ToolCallTable.position)
    )
    return [OpenCall(_to_call(row.part), row.status, row.expires_at) for row in connection.execute(statement)]


def wait_for_client_alone(connection: Connection, run_id: str) -> bool:
    """Whether all calls without a result are the client's, and there is one."""
    statuses = {each.status for each in list_open(connection, run_id)}
    return statuses == {"client"}


def _this(run_id: str, tool_call_id: str) -> tuple[ColumnElement[bool], ...]:
    return ToolCallTable.run_id == run_id, ToolCallTable.tool_call_id == tool_call_id


def _to_call(stored: JsonObject) -> ToolCallPart:
    part = part_from_stored(stored)
    assert isinstance(part, ToolCallPart)  # noqa: S101  # no other part is written here
    return part
