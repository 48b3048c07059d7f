"""Tool calls that wait for a person, over all threads: each with what it takes to decide on it."""

from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, case, literal, or_, select, tuple_

from ai_agents.auth.roles import roles_that_may
from ai_agents.core.approval_rows import WaitingApproval
from ai_agents.core.ids import time_at
from ai_agents.core.parts import part_from_stored
from ai_agents.core.rows import Page
from ai_agents.core.scopes import AgentScope
from ai_agents.core.types import ToolCallPart
from ai_agents.store import pages, ranks, visibility
from ai_agents.store.clock import database_now
from ai_agents.store.database import Store, reading
from ai_agents.store.models import AgentTable, RunTable, ThreadTable, ToolCallTable


def list_approvals(
    connection: Connection,
    user_id: str | None = None,
    *,
    within: AgentScope | None = None,
    shared: bool = False,
    limit: int = 20,
    after: str | None = None,
) -> Page[WaitingApproval]:
    """A page of the calls that wait for a person and on which the user may decide (None: all), newest first.

    They are those of threads on which the user has a role; with `shared`, also of those on which every user has one.
    Of all these, the calls of runs `within` these agents. `{"data", "next"}`. Raises `InvalidCursor`.
    """
    keys = ToolCallTable.waits_since, ToolCallTable.run_id, ToolCallTable.tool_call_id
    sees_agent: Any = literal(True)  # a value of SQL
    statement = (
        select(*keys, ToolCallTable.part, ToolCallTable.expires_at, RunTable.thread_id, RunTable.agent_id)
        .add_columns(ThreadTable.title)
        .join(RunTable, RunTable.id == ToolCallTable.run_id)
        .join(ThreadTable, ThreadTable.id == RunTable.thread_id)
        .join(AgentTable, AgentTable.id == RunTable.agent_id)
        .where(
            ToolCallTable.waits_since.is_not(None),
            # One that has expired is refused within seconds, and takes no decision any more.
            or_(
                ToolCallTable.expires_at.is_(None),
                ToolCallTable.expires_at > database_now(connection.dialect.name),
            ),
        )
    )
    if user_id is not None:
        # Asked of each call that waits: there are few, while a user may have many threads.
        on_thread, every = partial(visibility.has_role_on, "thread", RunTable.thread_id), ranks.EVERYBODY
        statement = statement.where(on_thread(user_id, every, among=roles_that_may("approve")))
        statement = statement if shared else statement.where(on_thread(user_id, among=ranks.RANKS))
        sees_agent = ranks.best_rank("agent", AgentTable.id).is_not(None)
    if within is not None:
        statement = statement.where(RunTable.agent_id.in_(within.agents))
    if after is not None:
        statement = statement.where(tuple_(*keys) < pages.decode_call_cursor(after))
    statement = statement.add_columns(case((sees_agent, AgentTable.name)).label("agent_name"))
    statement = statement.order_by(*(key.desc() for key in keys)).limit(limit + 1)
    rows = connection.execute(statement, {} if user_id is None else {"user_id": user_id}).all()
    shown = rows[:limit]
    following = pages.encode_cursor(*shown[-1][:3]) if len(rows) > limit else None
    return {"data": [_to_public(row) for row in shown], "next": following}


def _to_public(row: Row[*tuple[Any, ...]]) -> WaitingApproval:
    call = part_from_stored(row.part)
    assert isinstance(call, ToolCallPart)  # noqa: S101  # no other part is stored there
    return {
        "tool_call_id": call.tool_call_id,
        "name": call.name,
        "arguments": call.arguments,
        "thread": {"id": row.thread_id, "title": row.title},
        "run_id": row.run_id,
        "agent": {"id": row.agent_id, "name": row.agent_name},
        "requested_at": row.waits_since,
        "expires_at": None if row.expires_at is None else time_at(row.expires_at),
    }


class Approvals(Store):
    """Tool calls that wait for a person. `AgentRunner.decide` decides on one."""

    list = reading(list_approvals, long=True)
