"""Runs: stopping them, and deciding on what they wait for."""

from ai_agents.auth.roles import ThreadAccess, ThreadAction, may_on_thread
from ai_agents.core.exceptions import PermissionDenied, RunNotFound
from ai_agents.core.rows import Run
from app.container import Container, Principal
from app.dependencies import check_id
from app.schemas.runs import Approval


async def cancel(services: Container, user: Principal, thread: ThreadAccess, run_id: str) -> Run:
    """The run as it ended. Raises `RunNotFound`, `PermissionDenied`."""
    await _require(services, user, thread, run_id, "cancel")
    return await services.runner.cancel(thread.thread_id, run_id)


async def decide(services: Container, user: Principal, thread: ThreadAccess, run_id: str, body: Approval) -> Run:
    """The run after the decision. Raises `RunNotFound`, `PermissionDenied`, `ToolCallNotFound`, `Conflict`, and
    `GuardrailBlocked` for the reason.
    """
    await _require(services, user, thread, run_id, "approve")
    return await services.runner.decide(
        thread.thread_id, run_id, body.tool_call_id, approved=body.approved, reason=body.reason
    )


async def _require(
    services: Container, user: Principal, thread: ThreadAccess, run_id: str, action: ThreadAction
) -> Run:
    run = await services.runs.get(thread.thread_id, check_id(run_id, RunNotFound))
    if not user.is_admin and not may_on_thread(action, thread.thread_role):
        raise PermissionDenied(f"To {action} takes editor on the thread.")
    return run
