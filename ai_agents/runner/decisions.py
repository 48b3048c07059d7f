"""What people decide about runs: approvals of tool calls, and cancellation.

A run that waits for approvals is only a row: no process owns it. Each call that waits has a deadline, and the run's
lease ends with the first of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.exceptions import Conflict, ToolCallNotFound
from ai_agents.core.ids import time_at
from ai_agents.core.notices import Notice
from ai_agents.core.rows import Run
from ai_agents.core.table_rows import RunRow, RunValues
from ai_agents.core.types import (
    TERMINAL_RUN_STATUSES,
    JsonObject,
    ToolCallPart,
    ToolCallStatus,
    ToolResultPart,
)
from ai_agents.guardrails.base import Finding
from ai_agents.runner.ending import end_unowned, start_next
from ai_agents.runner.ownership import NO_FOLLOW_UP, FollowUp, NewLease
from ai_agents.runner.recording import finding_entries, insert_result, running_values, started_call_entry
from ai_agents.store import pages, runs, thread_log, tool_calls
from ai_agents.store.runs import OwnedRun, owned_run
from ai_agents.store.thread_log import Entry

_REFUSED = "A person refused this call"
_EXPIRED = f"This call was refused: {tool_calls.EXPIRED}. No person decided on it in time."
_NOT_ANSWERED = "Not answered: no result of this call came in time."


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision on one call. The model is told the `reason`; guardrails found `findings` in it."""

    tool_call_id: str
    approved: bool
    reason: str | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """The run after a decision; the owner of one that is cancelled may still have to end it.

    To follow up: the run, where no call waits any more and it goes on here, or the next run of the queue.
    """

    run: Run
    follow_up: FollowUp = NO_FOLLOW_UP


def record_waiting(
    connection: Connection,
    run: OwnedRun,
    *,
    approval_s: Callable[[str], float | None],
    notices: Sequence[Notice],
) -> bool:
    """Let the run wait for its approvals and for results of the client; False where it is to be cancelled.

    `notices` are those so far. `approval_s` says of a tool's name for how many seconds its calls wait (None: for ever).
    Raises `LeaseLost`.
    """
    thread_log.lock(connection, run.thread_id)
    if runs.get_row(connection, run.thread_id, run.id)["cancel_requested"]:
        return False
    waiting, deadline = tool_calls.begin_waiting(connection, run.id, approval_s)
    values: RunValues = {
        "status": "waiting",
        "lease_owner": None,
        "lease_expires_at": deadline,
        "notices": list(notices),
    }
    runs.update_owned(connection, run, values)
    approvals: list[JsonObject] = []
    client_calls: list[JsonObject] = []
    for each in waiting:
        call = {"tool_call_id": each.call.tool_call_id, "name": each.call.name, "arguments": each.call.arguments}
        if each.status == "client":
            client_calls.append(call)
        else:
            approvals.append(call | {"expires_at": None if each.expires_at is None else time_at(each.expires_at)})
    facts: JsonObject = {"approvals": approvals, "client_calls": client_calls}
    thread_log.append(connection, run.thread_id, Entry("run.waiting", run.id, facts))
    return True


def decide(connection: Connection, thread_id: str, run_id: str, decision: Decision, lease: NewLease | None) -> Decided:
    """Record a decision. After the last one the run goes on, under `lease`.

    Raises `ThreadNotFound`, `RunNotFound`, `ToolCallNotFound`, `Conflict` for a call that does not wait (any more).
    """
    thread_log.lock(connection, thread_id)
    row = runs.get_row(connection, thread_id, run_id)
    call = tool_calls.find(connection, run_id, decision.tool_call_id)
    if call is None:
        raise ToolCallNotFound
    if row["status"] != "waiting" or not tool_calls.decide(
        connection, run_id, call.tool_call_id, approved=decision.approved, reason=decision.reason
    ):
        raise Conflict("This call does not wait for an approval, or not any more.")
    if decision.findings:
        thread_log.append(connection, thread_id, *finding_entries(run_id, decision.findings))
    if not decision.approved:
        reason = f": {decision.reason}" if decision.reason else "."
        _refuse(connection, thread_id, run_id, call, _REFUSED + reason)
    return resume(connection, row, lease)


def expire_approvals(connection: Connection, run_id: str, thread_id: str, lease: NewLease | None) -> Decided | None:
    """Refuse the calls whose deadline has passed, and answer those that the client did not.

    The run goes on after the last call that waits. None where it does not wait, or the first deadline of its calls is
    still to come.
    """
    thread_log.lock(connection, thread_id)
    if not runs.has_waited_out(connection, run_id):
        return None
    row = runs.get_row(connection, thread_id, run_id)
    for each in tool_calls.expire(connection, run_id):
        if each.status == "client":
            _refuse(connection, thread_id, run_id, each.call, _NOT_ANSWERED, status="unknown")
        else:
            _refuse(connection, thread_id, run_id, each.call, _EXPIRED)
    return resume(connection, row, lease)


def start_approved(connection: Connection, run: OwnedRun) -> list[ToolCallPart]:
    """Record that the approved calls begin; the calls. Raises `LeaseLost`."""
    calls = tool_calls.start_approved(connection, run.id)
    if calls:
        first = thread_log.reserve(connection, run.thread_id, len(calls))
        runs.update_owned(connection, run, {"fence": run.fence})
        thread_log.write(connection, run.thread_id, first, [started_call_entry(run.id, call) for call in calls])
    return calls


def _refuse(
    connection: Connection,
    thread_id: str,
    run_id: str,
    call: ToolCallPart,
    text: str,
    *,
    status: ToolCallStatus = "refused",
) -> None:
    result = ToolResultPart(call.tool_call_id, call.name, text, is_error=True)
    seq = thread_log.reserve(connection, thread_id, 1)
    insert_result(connection, thread_id, run_id, result, seq=seq, status=status)


def resume(connection: Connection, row: RunRow, lease: NewLease | None) -> Decided:
    """Let a waiting run go on if none of its calls waits any more. The caller holds the thread's lock."""
    open_calls = tool_calls.list_open(connection, row["id"])
    if any(each.waits for each in open_calls):
        deadline = tool_calls.first_deadline(open_calls)
        runs.update_unowned(connection, row["id"], ("waiting",), {"lease_expires_at": deadline})
        return Decided(runs.to_public(row))
    values: RunValues = {**running_values(lease), "fence": row["fence"] + 1}
    resumed = runs.update_unowned(connection, row["id"], ("waiting",), values)
    assert resumed is not None  # noqa: S101  # the thread is locked since it was seen to wait
    reset_seq = thread_log.last_reset(connection, row["thread_id"], pages.MAX_SEQ)
    owned = owned_run(resumed, reset_seq=reset_seq, continued=True)
    return Decided(runs.to_public(resumed), FollowUp(owned, "resumed") if lease else NO_FOLLOW_UP)


def cancel(connection: Connection, thread_id: str, run_id: str, lease: NewLease | None) -> Decided:
    """Cancel a run. One that has ended stays as it is. Raises `RunNotFound`, `ThreadNotFound`."""
    thread_log.lock(connection, thread_id)
    row = runs.get_row(connection, thread_id, run_id)
    if row["status"] in TERMINAL_RUN_STATUSES:
        return Decided(runs.to_public(row))
    if row["status"] == "running":
        runs.request_cancel(connection, run_id)
        return Decided(runs.to_public(row))
    if row["cancel_requested"]:
        # A later message has interrupted it while it waited: it ends with the run before it.
        return Decided(runs.to_public(row))
    ended = end_unowned(connection, row)
    if row["queue_position"] == runs.HELD_POSITION:
        runs.hold_next(connection, thread_id)
    next_run = start_next(connection, thread_id, lease) if row["status"] == "waiting" else None
    return Decided(ended or runs.to_public(row), FollowUp(next_run, "queued"))
