"""The journal of tool calls: what was asked for, what began, how it ended.

It is what a successor knows after a crash.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from ai_agents.core.ids import utc_now
from ai_agents.core.parts import part_from_stored, part_to_stored
from ai_agents.core.types import ToolCallPart
from ai_agents.store.models import ToolCall


def insert_started(connection: Connection, run_id: str, calls: Sequence[ToolCallPart]) -> None:
    """Note that these calls begin now, in the transaction after which they do."""
    now = utc_now()
    connection.execute(
        insert(ToolCall),
        [
            {
                "run_id": run_id,
                "tool_call_id": call.tool_call_id,
                "position": position,
                "part": part_to_stored(call),
                "status": "started",
                "created_at": now,
                "started_at": now,
            }
            for position, call in enumerate(calls)
        ],
    )


def finish(connection: Connection, run_id: str, tool_call_id: str, *, status: str = "finished") -> bool:
    """Note how a call ended (`finished` or `unknown`); False if that was noted before."""
    statement = (
        update(ToolCall)
        .where(ToolCall.run_id == run_id, ToolCall.tool_call_id == tool_call_id, ToolCall.finished_at.is_(None))
        .values(status=status, finished_at=utc_now())
    )
    return connection.execute(statement).rowcount == 1


def list_open(connection: Connection, run_id: str) -> list[ToolCallPart]:
    """Calls that began and have no result, in the order asked for."""
    statement = (
        select(ToolCall.part)
        .where(ToolCall.run_id == run_id, ToolCall.finished_at.is_(None))
        .order_by(ToolCall.created_at, ToolCall.position)
    )
    parts = (part_from_stored(part) for part in connection.execute(statement).scalars())
    return [part for part in parts if isinstance(part, ToolCallPart)]
