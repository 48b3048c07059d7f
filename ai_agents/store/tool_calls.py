"""The journal of tool calls: what was asked for, what waits for a person, what began, how it ended.

It is what a successor knows after a crash.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from ai_agents.core.ids import utc_now
from ai_agents.core.parts import part_from_stored, part_to_stored
from ai_agents.core.types import JsonObject, ToolCallPart
from ai_agents.store.models import ToolCallTable


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call without a result: it waits for a person, was approved by one, or has started."""

    call: ToolCallPart
    status: str


def insert_calls(
    connection: Connection, run_id: str, calls: Sequence[ToolCallPart], *, waiting: Collection[str] = ()
) -> None:
    """Note that these calls begin now, in the transaction after which they do; those in `waiting`, by their ids, wait
    for a person instead.
    """
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
    """Note that the approved calls begin now; them, in the order asked for."""
    approved = [each.call for each in list_open(connection, run_id) if each.status == "approved"]
    if approved:
        statement = update(ToolCallTable).where(ToolCallTable.run_id == run_id, ToolCallTable.status == "approved")
        connection.execute(statement.values(status="started", started_at=utc_now()))
    return approved


def decide(connection: Connection, run_id: str, tool_call_id: str, *, approved: bool, reason: str | None) -> bool:
    """Note what was said of a call that waits; False if it does not."""
    statement = (
        update(ToolCallTable)
        .where(
            ToolCallTable.run_id == run_id,
            ToolCallTable.tool_call_id == tool_call_id,
            ToolCallTable.status == "waiting",
        )
        .values(status="approved" if approved else "refused", approval={"approved": approved, "reason": reason})
    )
    return connection.execute(statement).rowcount == 1


def finish(connection: Connection, run_id: str, tool_call_id: str, *, status: str = "finished") -> bool:
    """Note how a call ended (`finished`, `refused` or `unknown`); False if that was noted before."""
    statement = (
        update(ToolCallTable)
        .where(
            ToolCallTable.run_id == run_id,
            ToolCallTable.tool_call_id == tool_call_id,
            ToolCallTable.finished_at.is_(None),
        )
        .values(status=status, finished_at=utc_now())
    )
    return connection.execute(statement).rowcount == 1


def find(connection: Connection, run_id: str, tool_call_id: str) -> ToolCallPart | None:
    """A call of this run."""
    statement = select(ToolCallTable.part).where(
        ToolCallTable.run_id == run_id, ToolCallTable.tool_call_id == tool_call_id
    )
    part = connection.execute(statement).scalar_one_or_none()
    return None if part is None else _to_call(part)


def list_open(connection: Connection, run_id: str) -> list[OpenCall]:
    """Calls that have no result, in the order asked for."""
    statement = (
        select(ToolCallTable.part, ToolCallTable.status)
        .where(ToolCallTable.run_id == run_id, ToolCallTable.finished_at.is_(None))
        .order_by(ToolCallTable.created_at, ToolCallTable.position)
    )
    return [OpenCall(_to_call(row.part), row.status) for row in connection.execute(statement)]


def _to_call(stored: JsonObject) -> ToolCallPart:
    part = part_from_stored(stored)
    assert isinstance(part, ToolCallPart)  # noqa: S101  # nothing else is written here
    return part
