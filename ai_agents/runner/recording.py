"""What a run writes to the database: each function writes one step, within a transaction of the caller.

The thread's lock, which `thread_log.reserve` takes, orders the writers of a thread. The run's fence is checked in the
same transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.rows import Message
from ai_agents.core.table_rows import RunRow, RunValues
from ai_agents.core.types import JsonObject, MessageStatus, Part, ToolCallPart, ToolCallStatus, ToolResultPart, Usage
from ai_agents.guardrails.base import Finding
from ai_agents.runner import steering
from ai_agents.runner.ownership import NewLease
from ai_agents.store import runs, thread_log, tool_calls
from ai_agents.store.messages import insert_message
from ai_agents.store.model_calls import CallRecord, cost_to_dict, insert_call
from ai_agents.store.runs import OwnedRun, owned_run
from ai_agents.store.thread_log import Entry

# How often a run is tried before it fails.
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """An assistant's message, recorded under the run's `message_id`, and the model call that gave it."""

    parts: Sequence[Part]
    call: CallRecord
    status: MessageStatus = "completed"


def record_step(
    connection: Connection,
    run: OwnedRun,
    answer: Answer,
    calls: Sequence[ToolCallPart],
    *,
    waiting: Mapping[str, ToolCallStatus] | None = None,
    findings: Sequence[Finding] = (),
) -> OwnedRun:
    """Record an assistant's message that calls tools, and that the calls begin, but for those in `waiting`.

    These wait, for a person or for the client, as their status says. Returns the run with the id of its next message.
    Guardrails found `findings` in the message. Raises `LeaseLost`.
    """
    waiting = waiting or {}
    started = [call for call in calls if call.tool_call_id not in waiting]
    first = thread_log.reserve(connection, run.thread_id, len(findings) + 1 + len(started))
    seq = first + len(findings)
    used = with_call(run, answer.call)
    next_message_id = new_id()
    runs.update_owned(connection, run, {"message_id": next_message_id, **usage_values(used)})
    insert_call_of(connection, run, answer.call)
    message = insert_answer(connection, run, answer, seq=seq)
    tool_calls.insert_calls(connection, run.id, calls, waiting=waiting)
    entries = [
        *finding_entries(run.id, findings),
        completed_entry(run.id, message),
        *(started_call_entry(run.id, call) for call in started),
    ]
    thread_log.write(connection, run.thread_id, first, entries)
    return replace(used, message_id=next_message_id, reset_seq=seq)


def record_result(
    connection: Connection,
    run: OwnedRun,
    result: ToolResultPart,
    *,
    status: ToolCallStatus = "finished",
    findings: Sequence[Finding] = (),
) -> int:
    """Record how a tool call ended, and what guardrails found in its result. Raises `LeaseLost`.

    Returns how many messages wait to join the run.
    """
    first = thread_log.reserve(connection, run.thread_id, len(findings) + 1)
    seq = first + len(findings)
    row = runs.update_owned(connection, run, {"fence": run.fence})
    if findings:
        thread_log.write(connection, run.thread_id, first, finding_entries(run.id, findings))
    insert_result(connection, run.thread_id, run.id, result, seq=seq, status=status)
    return steering.count_waiting(row)


def record_call(connection: Connection, run: OwnedRun, call: CallRecord) -> OwnedRun:
    """Record a model call that left no message, and whose message goes on. Raises `LeaseLost`."""
    used = with_call(run, call)
    runs.update_owned(connection, run, usage_values(used))
    insert_call_of(connection, run, call)
    return used


def record_call_of_deleted_run(connection: Connection, run: OwnedRun, call: CallRecord) -> bool:
    """Record a model call of a run that was deleted with its thread; False where the run still exists."""
    if runs.exists(connection, run.id):
        return False
    insert_call_of(connection, run, call)
    return True


def record_retry(connection: Connection, run: OwnedRun, reason: str, call: CallRecord) -> OwnedRun:
    """Void the message in progress, record its model call, and begin the next attempt. Raises `LeaseLost`."""
    attempt = run.attempt + 1
    next_message_id = new_id()
    seq = thread_log.reserve(connection, run.thread_id, 1)
    values: RunValues = {"attempt": attempt, "message_id": next_message_id, **usage_values(with_call(run, call))}
    row = runs.update_owned(connection, run, values)
    insert_call_of(connection, run, call)
    facts = {"attempt": attempt, "reason": reason, "discard": [run.message_id]}
    thread_log.write(connection, run.thread_id, seq, [Entry("run.retrying", run.id, facts, resets=True)])
    return owned_run(row, reset_seq=seq)


def running_values(lease: NewLease | None) -> RunValues:
    """The columns of a run that begins or goes on. Without a lease that holds, any process may take the run over."""
    if lease is None:
        return {"status": "running", "lease_owner": None, "lease_s": -1.0}
    return {"status": "running", "lease_owner": lease.owner, "lease_s": lease.lease_s}


def finding_entries(run_id: str | None, findings: Sequence[Finding]) -> list[Entry]:
    """The log rows `guardrail.triggered`."""
    return [
        Entry("guardrail.triggered", run_id, {"guardrail": each.guardrail, "stage": each.stage, "action": each.action})
        for each in findings
    ]


def started_entry(row: RunRow, user_message: Message) -> Entry:
    """The log row `run.started`; its number is the `seq` of the user's message."""
    return Entry("run.started", row["id"], {"attempt": row["attempt"], "user_message": user_message}, resets=True)


def with_call(run: OwnedRun, call: CallRecord) -> OwnedRun:
    """The run with the usage and cost of one more model call."""
    cost = None if run.cost is None or call.cost is None else run.cost + call.cost
    return replace(run, usage=run.usage + call.usage, cost=cost)


def usage_values(run: OwnedRun) -> RunValues:
    """The run's usage and cost so far, as columns. A run that has called no model has no cost, rather than 0."""
    nothing = run.usage == Usage()
    cost = None if nothing else cost_to_dict(run.cost, estimated=run.usage.estimated)
    return {"usage": run.usage.to_dict(), "cost": cost}


def insert_call_of(connection: Connection, run: OwnedRun, call: CallRecord) -> None:
    """Store a model call of the run."""
    insert_call(connection, call, run_id=run.id, thread_id=run.thread_id, agent_id=run.agent_id, user_id=run.user_id)


def completed_entry(run_id: str, message: Message) -> Entry:
    """The log row `message.completed`; its number is the `seq` of the message."""
    return Entry("message.completed", run_id, {"message": message}, resets=True)


def insert_answer(connection: Connection, run: OwnedRun, answer: Answer, *, seq: int) -> Message:
    """Store the message that the run has in progress, under this number of the history."""
    return insert_message(
        connection,
        message_id=run.message_id,
        thread_id=run.thread_id,
        run_id=run.id,
        seq=seq,
        role="assistant",
        parts=answer.parts,
        status=answer.status,
        usage=answer.call.usage,
        cost=answer.call.cost_to_dict(),
        created_at=utc_now(),
    )


def started_call_entry(run_id: str, call: ToolCallPart) -> Entry:
    """The log row `tool.started`."""
    facts = {"tool_call_id": call.tool_call_id, "name": call.name, "arguments": call.arguments}
    return Entry("tool.started", run_id, facts)


def insert_result(
    connection: Connection,
    thread_id: str,
    run_id: str,
    result: ToolResultPart,
    *,
    seq: int,
    status: ToolCallStatus,
    user_id: str | None = None,
) -> None:
    """Write how a call ended, as a message under this number, and its row of the log.

    `user_id` is the user whose client made the call.
    """
    tool_calls.finish(connection, run_id, result.tool_call_id, status=status)
    insert_message(
        connection,
        message_id=new_id(),
        thread_id=thread_id,
        run_id=run_id,
        seq=seq,
        role="tool",
        parts=[result] if result.kept_as is None else [result, result.kept_as],
        user_id=user_id,
        created_at=utc_now(),
    )
    facts: JsonObject = {
        "tool_call_id": result.tool_call_id,
        "name": result.name,
        "result": result.result,
        "is_error": result.is_error,
    }
    if user_id is not None:
        facts["user_id"] = user_id
    thread_log.write(connection, thread_id, seq, [Entry("tool.completed", run_id, facts)])
