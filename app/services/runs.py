"""Runs and events: reading, following and cancelling runs, and answering tool calls that wait."""

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection

from ai_agents.auth.roles import ThreadAction, can, may_on_thread
from ai_agents.core.approval_rows import WaitingApproval
from ai_agents.core.exceptions import PermissionDenied, RunNotFound
from ai_agents.core.ids import is_id
from ai_agents.core.rows import Page, Run
from ai_agents.core.types import JsonObject, LogRow, RunStatus
from ai_agents.runner.client_calls import GivenResult, GivenResults
from ai_agents.store import thread_log
from ai_agents.store.thread_access import ThreadAccess
from ai_agents.streams.cursor import cursor_in_thread
from ai_agents.streams.feed import FeedReader, Follower
from ai_agents.streams.reader import StreamReader
from ai_agents.streams.rights import ReadRight
from app.container import Container
from app.schemas.threads import Approval, ToolResults
from app.services.identity import PageArguments, Principal, check_id, whose


async def list_runs(container: Container, user: Principal, thread: ThreadAccess, page: PageArguments) -> Page[Run]:
    """The runs of a thread, newest first. Raises `InvalidCursor`."""
    return await container.runs.list(thread.thread_id, **page, upstream=_sees_upstream(user, thread))


async def list_all_runs(
    container: Container,
    user: Principal,
    page: PageArguments,
    *,
    status: RunStatus | None,
    agent_id: str | None,
    shared: bool,
) -> Page[Run]:
    """The runs of all threads that the user sees, newest first; an admin sees all. Raises `InvalidCursor`."""
    if agent_id is not None and not is_id(agent_id):
        return {"data": [], "next": None}
    owner = await whose(container, user, "thread")
    return await container.runs.list_visible(
        owner, status=status, agent_id=agent_id, within=user.within, shared=shared, **page
    )


async def list_approvals(
    container: Container, user: Principal, page: PageArguments, *, shared: bool
) -> Page[WaitingApproval]:
    """The tool calls on which the user may decide, newest first; an admin sees all. Raises `InvalidCursor`."""
    owner = await whose(container, user, "thread")
    return await container.approvals.list(owner, within=user.within, shared=shared, **page)


async def get_run(container: Container, user: Principal, thread: ThreadAccess, run_id: str) -> Run:
    """A run of the thread. Raises `RunNotFound`."""
    found = check_id(run_id, RunNotFound)
    return await container.runs.get(thread.thread_id, found, upstream=_sees_upstream(user, thread))


def _sees_upstream(user: Principal, thread: ThreadAccess) -> bool:
    """Whether the user sees what providers said: it may tell of accounts and addresses, so that it is not for all."""
    return user.is_admin or can(thread.agent_role, "editor")


async def cancel_run(container: Container, user: Principal, thread: ThreadAccess, run_id: str) -> Run:
    """Cancel the run; the run as it ended. Raises `RunNotFound`, `PermissionDenied`."""
    await _require(container, user, thread, run_id, "cancel")
    return await container.runner.cancel(thread.thread_id, run_id)


async def decide_tool_call(
    container: Container, user: Principal, thread: ThreadAccess, run_id: str, body: Approval
) -> Run:
    """Approve or refuse a tool call; the run after that.

    Raises `RunNotFound`, `PermissionDenied`, `ToolCallNotFound`, `Conflict`, and `GuardrailBlocked` for the reason.
    """
    await _require(container, user, thread, run_id, "approve")
    return await container.runner.decide(
        thread.thread_id, run_id, body.tool_call_id, approved=body.approved, reason=body.reason
    )


async def give_results(
    container: Container, user: Principal, thread: ThreadAccess, run_id: str, body: ToolResults
) -> GivenResults:
    """Give results of calls of the client's tools; the run after that, and after which event it goes on.

    Raises what `AgentRunner.give_results` raises.
    """
    given: list[GivenResult] = [
        {"tool_call_id": each.tool_call_id, "result": each.result, "is_error": each.is_error} for each in body.results
    ]
    return await container.runner.give_results(
        thread.thread_id, check_id(run_id, RunNotFound), user.user_id, given, **user.reach
    )


async def _require(
    container: Container, user: Principal, thread: ThreadAccess, run_id: str, action: ThreadAction
) -> None:
    await get_run(container, user, thread, run_id)
    if not user.is_admin and not may_on_thread(action, thread.thread_role):
        raise PermissionDenied(f"To {action} takes editor on the thread.")


async def read_run(
    container: Container, thread: ThreadAccess, run_id: str, *, after: str | None, right: ReadRight
) -> StreamReader | None:
    """A stream of a run's events; None if the last event has been read.

    Raises `RunNotFound`, `InvalidEventId`, `LogTrimmed`.
    """
    check_id(run_id, RunNotFound)
    return await container.runner.read_run(thread.thread_id, run_id, after=after, right=right)


async def read_thread(
    container: Container, thread: ThreadAccess, *, after: str | None, right: ReadRight
) -> StreamReader:
    """A stream of all events of a thread. Raises `ThreadNotFound`, `InvalidEventId`, `LogTrimmed`."""
    return await container.runner.read_thread(thread.thread_id, after=after, right=right)


async def follow_threads(container: Container, user: Principal, *, shared: bool, right: ReadRight) -> FeedReader:
    """A stream of hints about all threads that the user sees; an admin sees all."""
    sees_all = await whose(container, user, "thread") is None
    follower = Follower(user.user_id, shared=shared, sees_all=sees_all, within=user.within)
    return container.conn.feed.open(follower, right=right)


async def list_events(container: Container, thread_id: str, page: PageArguments, *, newest_first: bool) -> JsonObject:
    """A page of the thread's log; `after` is an event id.

    Raises `InvalidEventId`, and `LogTrimmed` for the page that begins with rows that are gone.
    """
    limit = page["limit"]

    def read(connection: Connection) -> tuple[Sequence[LogRow], bool]:
        """The rows, one more than are asked for, and whether there were others behind them that are gone."""
        # Ids follow the same rules as in streams.
        seq = None if page["after"] is None else cursor_in_thread(connection, thread_id, page["after"]).seq
        if not newest_first:
            rows = thread_log.list_after(connection, thread_id, seq or 0, limit=limit + 1)
            thread_log.require_rows_after(connection, thread_id, seq or 0)
            return rows, False
        rows = thread_log.list_before(connection, thread_id, seq, limit=limit + 1)
        if not rows:
            thread_log.require_rows_after(connection, thread_id, 0)
        return rows, bool(rows) and rows[-1].seq > 1

    rows, has_gone = await container.conn.database.read(read, long=True)
    shown = rows[:limit]
    following = f"{shown[-1].seq}-0" if len(rows) > limit or has_gone else None
    return {"data": [_to_dict(row) for row in shown], "next": following}


def _to_dict(row: LogRow) -> JsonObject:
    """The number, type and time of the row, then the data of the event."""
    return {"seq": row.seq, "type": row.type, "created_at": row.created_at, **orjson.loads(row.data)}
