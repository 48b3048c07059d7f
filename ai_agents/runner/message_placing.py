"""Where an admitted message goes: into the history, into a queue, or into the run that is under way.

Each function works within the transaction of the admission, which has locked the thread.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from ai_agents.core.exceptions import QueueFull
from ai_agents.core.rows import Message
from ai_agents.core.table_rows import RunRow, RunValues, SteeredMessage
from ai_agents.runner import steering
from ai_agents.runner.admission_request import AdmissionRequest, Admitted
from ai_agents.runner.recording import finding_entries
from ai_agents.store import runs, thread_log, tool_calls
from ai_agents.store.messages import insert_message
from ai_agents.store.thread_access import ThreadAccess
from ai_agents.store.thread_log import Entry

# How many messages may wait in one thread.
MAX_QUEUED = 100


def run_gives_way(connection: Connection, active: RunRow) -> bool:
    """Whether the run waits for nothing but results of the client: a new message ends it, as the user talks on."""
    return active["status"] == "waiting" and tool_calls.wait_for_client_alone(connection, active["id"])


def as_steered(connection: Connection, request: AdmissionRequest, found: ThreadAccess) -> ThreadAccess:
    """For a message that will join a run: the agent's version is the run's, whose guardrails judge the message."""
    if request.on_busy != "steer" or found.active_run_id is None:
        return found
    active = runs.get_row(connection, request.thread_id, found.active_run_id)
    if not steering.takes_messages(active) or run_gives_way(connection, active):
        return found
    return replace(found, agent_version=active["agent_version"])


def require_place(active: RunRow, queued: Sequence[RunRow]) -> None:
    """Raises `QueueFull` for one more message that waits in the thread, to be answered or to join the active run."""
    if len(queued) + steering.count_waiting(active) >= MAX_QUEUED:
        raise QueueFull(f"{MAX_QUEUED} messages wait in this thread already.")


def enqueue(connection: Connection, request: AdmissionRequest, new: RunValues, queued: Sequence[RunRow]) -> Admitted:
    """Let the run wait for its thread."""
    position = (queued[-1]["queue_position"] or 0) + 1 if queued else 1
    ahead = sum(not row["cancel_requested"] for row in queued)
    return _insert_queued(connection, request, {**new, "queue_position": position}, ahead + 1)


def hold(connection: Connection, request: AdmissionRequest, new: RunValues) -> Admitted:
    """Let the run wait for a process; its position is that among all that do."""
    position = runs.count_held(connection) + 1
    held = _insert_queued(connection, request, {**new, "queue_position": runs.HELD_POSITION}, position)
    return replace(held, is_held=True)


def _insert_queued(connection: Connection, request: AdmissionRequest, new: RunValues, position: int) -> Admitted:
    message = None if request.retry_of is not None else insert_user_message(connection, request, new, seq=None)
    row = runs.insert_run(connection, {**new, "status": "queued"})
    thread_log.append(connection, request.thread_id, Entry("run.queued", new["id"], {"position": position}))
    record_findings(connection, request, new["id"])
    return Admitted(runs.to_public(row), row["user_message_id"], user_message=message)


def steer(connection: Connection, request: AdmissionRequest, new: RunValues, active: RunRow) -> Admitted:
    """Let the message join the run that is under way, at its next boundary between two model calls."""
    message = insert_user_message(connection, request, {**new, "id": active["id"]}, seq=None)
    sent: SteeredMessage = {
        "message_id": message["id"],
        "user_id": request.user_id,
        "key_id": request.key_id,
        "by_admin": request.is_admin,
        "client_tools": new.get("client_tools"),
        "overrides": request.overrides,
    }
    row = steering.join(connection, active, sent)
    record_findings(connection, request, active["id"])
    return Admitted(runs.to_public(row), message["id"], user_message=message)


def insert_user_message(
    connection: Connection, request: AdmissionRequest, new: RunValues, *, seq: int | None
) -> Message:
    """Store the message: under this number of the history, or without one while it waits."""
    return insert_message(
        connection,
        message_id=new["user_message_id"],
        thread_id=request.thread_id,
        run_id=new["id"],
        seq=seq,
        role="user",
        parts=request.parts,
        status="queued" if seq is None else "completed",
        user_id=request.user_id,
        metadata=request.metadata,
        created_at=new["created_at"],
    )


def record_findings(connection: Connection, request: AdmissionRequest, run_id: str) -> None:
    """Write the log rows of what guardrails found in the message."""
    if request.verdict is not None and request.verdict.message.findings:
        thread_log.append(connection, request.thread_id, *finding_entries(run_id, request.verdict.message.findings))
