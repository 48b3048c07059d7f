"""The run of a message that is admitted: a new one, or one that answers an earlier message anew."""

from dataclasses import replace

from sqlalchemy import Connection

from ai_agents.auth.roles import may_on_agent
from ai_agents.core.exceptions import PermissionDenied, ThreadBusy
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.overrides import FOR_EDITORS
from ai_agents.core.parts import tools_to_stored
from ai_agents.core.table_rows import RunValues
from ai_agents.runner import retrying
from ai_agents.runner.admission_request import AdmissionRequest
from ai_agents.store import runs
from ai_agents.store.thread_access import ThreadAccess


def new_run(request: AdmissionRequest, found: ThreadAccess) -> RunValues:
    """The columns of a run that answers the message; its status and place in a queue are added where it is stored."""
    new: RunValues = {
        "id": new_id(),
        "thread_id": request.thread_id,
        "agent_id": found.agent_id,
        "agent_version": found.agent_version,
        "user_id": request.user_id,
        "attempt": 1,
        "user_message_id": new_id(),
        # The answer's id is stored before its first delta can leave.
        "message_id": new_id(),
        "fence": 1,
        "cancel_requested": False,
        "key_id": request.key_id,
        "by_admin": request.is_admin,
        "created_at": utc_now(),
    }
    if request.client_tools:
        new["client_tools"] = tools_to_stored(request.client_tools)
    if request.overrides:
        new["overrides"] = request.overrides
    if request.trace is not None:
        new["trace"] = request.trace
    return new


def new_retry(connection: Connection, new: RunValues, request: AdmissionRequest, found: ThreadAccess) -> RunValues:
    """A new run that answers the message of another one anew, with the tools of the client and overrides of that one.

    Raises `ThreadBusy`, `Conflict` unless that run is the thread's last one, and `PermissionDenied` for a user who may
    not override so.
    """
    if found.active_run_id is not None:
        raise ThreadBusy(run_id=found.active_run_id)
    retried = runs.get_row(connection, request.thread_id, request.retry_of or "")
    retrying.require_last(connection, retried)
    asked = retrying.find_exchange(connection, retried).asked
    values: RunValues = {**new, "retry_of": request.retry_of or "", "user_message_id": asked[0]["id"]}
    if retried["client_tools"]:
        values["client_tools"] = retried["client_tools"]
    if retried["overrides"]:
        require_overriding(found, replace(request, overrides=retried["overrides"]))
        values["overrides"] = retried["overrides"]
    return values


def require_overriding(found: ThreadAccess, request: AdmissionRequest) -> None:
    """Raises `PermissionDenied` for a user who may not say these things otherwise than the agent."""
    wanted = [name for name in FOR_EDITORS if name in (request.overrides or ())]
    if wanted and not request.is_admin and not may_on_agent("update", found.agent_role):
        raise PermissionDenied(f"To override {wanted[0]} takes editor on the agent.")
