"""The state of tool calls: requested, waiting for a person, started, ended.

After a crash, this is all that the run's next owner knows about them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, insert, select, update

from ai_agents.core.ids import utc_now
from ai_agents.core.parts import part_from_stored, part_to_stored
from ai_agents.core.types import JsonObject, ToolCallPart, ToolCallStatus
from ai_agents.store.models import ToolCallTable


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call without a result: it waits for a person, is approved, or has started."""

    call: ToolCallPart
    status: ToolCallStatus


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
    """Record the decision on a waiting call; False if it does not wait."""
    statement = (
        update(ToolCallTable)
        .where(*_this(run_id, tool_call_id), ToolCallTable.status == "waiting")
        .values(status="approved" if approved else "refused", approval={"approved": approved, "reason": reason})
    )
    return connection.execute(statement).rowcount == 1


def finish(connection: Connection, run_id: str, tool_call_id: str, *, status: ToolCallStatus = "finished") -> bool:
    """Record how a call ended (`finished`, `refused` or `unknown`); False if that is recorded already."""
    statement = (
        update(ToolCallTable)
        .where(*_this(run_id, tool_call_id), ToolCallTable.finished_at.is_(None))
        .values(status=status, finished_at=utc_now())
    )
    return connection.execute(statement).rowcount == 1


def find(connection: Connection, run_id: str, tool_call_id: str) -> ToolCallPart | None:
    """A call of this run."""
    part = connection.scalar(select(ToolCallTable.part).where(*_this(run_id, tool_call_id)))
    return None if part is None else _to_call(part)


def list_open(connection: Connection, run_id: str) -> list[OpenCall]:
    """The calls without a result, in the model's order."""
    statement = (
        select(ToolCallTable.part, ToolCallTable.status)
        .where(ToolCallTable.run_id == run_id, ToolCallTable.finished_at.is_(None))
        .order_by(ToolCallTable.created_at, ToolCallTable.position)
    )
    return [OpenCall(_to_call(row.part), row.status) for row in connection.execute(statement)]


def _this(run_id: str, tool_call_id: str) -> tuple[ColumnElement[bool], ...]:
    return ToolCallTable.run_id == run_id, ToolCallTable.tool_call_id == tool_call_id


def _to_call(stored: JsonObject) -> ToolCallPart:
    part = part_from_stored(stored)
    assert isinstance(part, ToolCallPart)  # noqa: S101  # no other part is written here
    return part
