"""Runs: reading and cancelling them, and deciding on tool calls that wait for approval."""

from ai_agents.auth.roles import ThreadAction, may_on_thread
from ai_agents.core.exceptions import PermissionDenied, RunNotFound
from ai_agents.core.rows import Page, Run
from ai_agents.store.roles import ThreadAccess
from app.container import Container
from app.schemas.threads import Approval
from app.services.arguments import PageArguments, check_id
from app.services.identity import Principal


async def list_runs(container: Container, thread: ThreadAccess, page: PageArguments) -> Page[Run]:
    """The runs of a thread, newest first. Raises `InvalidCursor`."""
    return await container.runs.list(thread.thread_id, **page)


async def get_run(container: Container, thread: ThreadAccess, run_id: str) -> Run:
    """A run of the thread. Raises `RunNotFound`."""
    return await container.runs.get(thread.thread_id, check_id(run_id, RunNotFound))


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


async def _require(
    container: Container, user: Principal, thread: ThreadAccess, run_id: str, action: ThreadAction
) -> None:
    await get_run(container, thread, run_id)
    if not user.is_admin and not may_on_thread(action, thread.thread_role):
        raise PermissionDenied(f"To {action} takes editor on the thread.")
