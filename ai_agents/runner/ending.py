"""How a run ends, and what comes after it: messages that have joined it, or the next run of the queue.

Each function works within a transaction of the caller, as those of `recording.py` do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from ai_agents.context.notices import merge_notices
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.notices import Notice
from ai_agents.core.rows import Message, Problem, Run, Upstream
from ai_agents.core.table_rows import RunRow, RunValues
from ai_agents.core.types import JsonObject, RunStatus, StopReason, ToolCallStatus, ToolResultPart
from ai_agents.guardrails.base import Finding
from ai_agents.runner import retrying, steering
from ai_agents.runner.needed_jobs import NeededJobs
from ai_agents.runner.ownership import FollowUp, NewLease
from ai_agents.runner.recording import (
    Answer,
    completed_entry,
    finding_entries,
    insert_answer,
    insert_call_of,
    insert_result,
    running_values,
    started_entry,
    usage_values,
    with_call,
)
from ai_agents.runner.steering import Joining
from ai_agents.store import runs, thread_log, tool_calls
from ai_agents.store.messages import place_message, refuse_run
from ai_agents.store.model_calls import CallRecord
from ai_agents.store.runs import OwnedRun, owned_run
from ai_agents.store.statements import send_together, together
from ai_agents.store.thread_log import Entry

# The result and status of a call without a result when its run stops, by the call's status before.
_STOPPED: Mapping[str, tuple[str, ToolCallStatus]] = {
    "waiting": ("The call was not made: the run was stopped before a person had agreed to it.", "refused"),
    "client": ("Not answered: the run was stopped before a result of this call was given.", "unknown"),
    "approved": ("The call was not made: a person had agreed to it, but the run was stopped first.", "refused"),
    "started": ("The call was not finished: the run was stopped.", "unknown"),
}


@dataclass(frozen=True, slots=True)
class RunEnding:
    """How a run ends: its status, why, and its last message. `call` is a last model call that left no message.

    `refused`: the provider would refuse its messages again, so that later requests leave them out. `upstream` is what a
    provider said when it last failed in this run.
    """

    status: RunStatus
    stop_reason: StopReason | None = None
    error: Problem | None = None
    answer: Answer | None = None
    call: CallRecord | None = None
    notices: tuple[Notice, ...] = ()
    findings: tuple[Finding, ...] = ()
    refused: bool = False
    upstream: Upstream | None = None


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended, and its last message where it has one.

    To follow up: the next run of the queue, and the background jobs that became necessary.
    """

    run: Run
    message: Message | None
    follow_up: FollowUp


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer after which the run goes on, since messages have joined it. `owned` is the run as it goes on."""

    run: Run
    message: Message
    owned: OwnedRun


def end_owned(
    connection: Connection, run: OwnedRun, ending: RunEnding, lease: NewLease | None, needed: NeededJobs | None = None
) -> EndedRun | Answered:
    """Record the last message and the terminal event, request the needed jobs, and start the next queued run.

    A run that would be completed while messages wait to join it goes on with them after its answer: the UPDATE that
    would end it decides. Raises `LeaseLost`.
    """
    if ending.status != "completed":
        thread_log.lock(connection, run.thread_id)
        _stop_calls(connection, run.thread_id, run.id)
    found = finding_entries(run.id, ending.findings)
    reserved = thread_log.reserve_and_see(connection, run.thread_id, len(found) + (2 if ending.answer else 1))
    first = reserved.first_seq
    if needed is not None:
        ending = replace(ending, notices=merge_notices(ending.notices, needed.notices(run, reserved)))
    call = ending.answer.call if ending.answer else ending.call
    used = run if call is None else with_call(run, call)
    values: RunValues = {**_terminal_values(ending), **usage_values(used)}
    row = joining = None
    if ending.answer is not None and ending.status == "completed":
        row = runs.update_unless_steered(connection, run, values)
        joining = steering.look(connection, run) if row is None else None
        if joining is not None and joining.allowed:
            return _go_on(connection, used, ending.answer, joining, first=first, found=found, notices=ending.notices)
    row = row or runs.update_owned(connection, run, values)
    with together(connection):
        if call is not None:
            insert_call_of(connection, run, call)
        message = insert_answer(connection, run, ending.answer, seq=first + len(found)) if ending.answer else None
        discard = [] if message else [run.message_id]
        entries = [*found, completed_entry(run.id, message)] if message else found
        waiting = steering.count_waiting(row)
        if ending.refused or waiting:
            send_together(connection)
        if ending.refused:
            # Before messages that the provider was not sent have a place in the history.
            refuse_run(connection, run.thread_id, run.id)
        if waiting:
            thread_log.reserve(connection, run.thread_id, waiting)
            seq = first + len(entries)
            entries += (
                steering.place(connection, joining, seq) if joining else steering.place_unanswered(connection, row, seq)
            )
        entries.append(_terminal_entry(row, discard=discard, resets=True))
        thread_log.write(connection, run.thread_id, first, entries)
    return EndedRun(
        run=runs.to_public(row),
        message=message,
        follow_up=FollowUp(
            start_next(connection, run.thread_id, lease),
            "queued",
            job_ids=needed.request(connection, run, reserved) if needed and message else (),
        ),
    )


def _go_on(
    connection: Connection,
    run: OwnedRun,
    answer: Answer,
    joining: Joining,
    *,
    first: int,
    found: Sequence[Entry],
    notices: Sequence[Notice],
) -> Answered:
    """Record an answer, and let messages join the run after it.

    The numbers from `first` on are reserved for what was `found` in the answer, the answer, and one row more.
    """
    count = len(joining.message_ids)
    if count > 1:
        thread_log.reserve(connection, run.thread_id, count - 1)
    values: RunValues = {**steering.joined_values(joining), **usage_values(run), "notices": list(notices)}
    row = runs.update_owned(connection, run, {**values, "message_id": new_id()})
    insert_call_of(connection, run, answer.call)
    seq = first + len(found)
    message = insert_answer(connection, run, answer, seq=seq)
    joined = steering.place(connection, joining, seq + 1)
    thread_log.write(connection, run.thread_id, first, [*found, completed_entry(run.id, message), *joined])
    return Answered(runs.to_public(row), message, owned_run(row, reset_seq=seq + count, continued=True))


def end_unowned(connection: Connection, row: RunRow) -> Run | None:
    """Cancel a run without an owner (queued, or waiting for approvals); None if its status has changed.

    A queued run's message never gets a place in the history: who cancels it takes it back. Messages that wait to join a
    run are sent by others, perhaps, and get theirs, unanswered. The caller holds the thread's lock.
    """
    ending = RunEnding("cancelled")
    ended = runs.update_unowned(connection, row["id"], (row["status"],), _terminal_values(ending))
    if ended is None:
        return None
    _stop_calls(connection, row["thread_id"], row["id"])
    was_active = row["status"] == "waiting"
    seq = thread_log.reserve(connection, row["thread_id"], steering.count_waiting(ended) + 1)
    entries = steering.place_unanswered(connection, ended, seq)
    entries.append(_terminal_entry(ended, discard=[], resets=was_active))
    thread_log.write(connection, row["thread_id"], seq, entries)
    return runs.to_public(ended)


def end_interrupted(connection: Connection, row: RunRow) -> None:
    """Cancel a queued run for the sake of a later message: its own takes its place in the history, unanswered.

    The caller holds the thread's lock.
    """
    ended = runs.update_unowned(connection, row["id"], ("queued",), _terminal_values(RunEnding("cancelled")))
    if ended is None:
        return
    end = _terminal_entry(ended, discard=[], resets=False)
    if row["retry_of"]:
        # Its message has a place, and the answers that it would have superseded stand.
        thread_log.append(connection, row["thread_id"], end)
        return
    seq = thread_log.reserve(connection, row["thread_id"], 2)
    message = place_message(connection, row["user_message_id"], seq)
    thread_log.write(connection, row["thread_id"], seq, [completed_entry(row["id"], message), end])


def start_next(connection: Connection, thread_id: str, lease: NewLease | None) -> OwnedRun | None:
    """Start the first run of the queue: its message gets its place in the history now.

    Before it, those that were interrupted while they waited come to their end. Without `lease` the run starts without
    an owner, and the next process that sweeps takes it over.
    """
    while (waiting := runs.find_next_queued(connection, thread_id)) is not None and waiting["cancel_requested"]:
        end_interrupted(connection, waiting)
    if waiting is None:
        return None
    values: RunValues = {
        **running_values(lease),
        "fence": waiting["fence"] + 1,
        "queue_position": None,
        "started_at": utc_now(),
    }
    row = runs.update_unowned(connection, waiting["id"], ("queued",), values)
    if row is None:
        return None
    seq = thread_log.reserve(connection, thread_id, 1)
    if row["retry_of"]:
        entry = retrying.begin(connection, row)
    else:
        entry = started_entry(row, place_message(connection, row["user_message_id"], seq))
    thread_log.write(connection, thread_id, seq, [entry])
    return owned_run(row, reset_seq=seq) if lease else None


def _stop_calls(connection: Connection, thread_id: str, run_id: str) -> None:
    """Answer every call that has no result yet, so that the history stays one that providers accept."""
    for each in tool_calls.list_open(connection, run_id):
        seq = thread_log.reserve(connection, thread_id, 1)
        text, status = _STOPPED[each.status]
        result = ToolResultPart(each.call.tool_call_id, each.call.name, text, is_error=True)
        insert_result(connection, thread_id, run_id, result, seq=seq, status=status)


def _terminal_values(ending: RunEnding) -> RunValues:
    values: RunValues = {
        "status": ending.status,
        "stop_reason": ending.stop_reason,
        "error": ending.error,
        "finished_at": utc_now(),
        "lease_owner": None,
        "lease_s": None,
        "message_id": None,
        "queue_position": None,
    }
    if ending.notices:
        values["notices"] = list(ending.notices)
    if ending.upstream is not None:
        values["upstream"] = ending.upstream
    return values


def _terminal_entry(row: RunRow, *, discard: Sequence[str], resets: bool) -> Entry:
    facts: JsonObject = {"run": runs.to_public(row)}
    if row["status"] == "completed":
        return Entry("run.completed", row["id"], facts, resets=resets)
    facts["discard"] = list(discard)
    if row["status"] == "cancelled":
        return Entry("run.cancelled", row["id"], facts, resets=resets)
    return Entry("run.failed", row["id"], facts | {"problem": row["error"]}, resets=resets)
