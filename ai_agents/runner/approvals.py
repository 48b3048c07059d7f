"""Runs that wait for a person: how one begins to wait, what is said of its calls, and how it goes on.

A waiting run is a row and nothing else: no process owns it. Its lease is how long it waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.exceptions import Conflict, ToolCallNotFound
from ai_agents.core.rows import Notice, Run, RunRow
from ai_agents.core.types import ToolCallPart, ToolResultPart
from ai_agents.guardrails.base import Finding
from ai_agents.runner.recording import Successor, insert_result, started_call_entry, trigger_entries
from ai_agents.store import pages, runs, thread_log, tool_calls
from ai_agents.store.runs import OwnedRun, owned_run
from ai_agents.store.thread_log import Entry

_REFUSED = "A person refused this call"
_WAITED_OUT = "The call was not made: nobody agreed to it in time."


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person says of one call. `reason` is told to the model; `triggers` is what guardrails found in it."""

    tool_call_id: str
    approved: bool
    reason: str | None = None
    triggers: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """The run as it is now, and, where nothing waits any more, the run as it goes on here."""

    run: Run
    resumed: OwnedRun | None = None


def record_waiting(connection: Connection, run: OwnedRun, *, wait_s: float, notices: Sequence[Notice]) -> bool:
    """Let the run wait for what is said of its calls; False where somebody wants it cancelled. `notices` are what it
    has to say so far. Raises `LeaseLost`.
    """
    thread_log.lock(connection, run.thread_id)
    if runs.get_row(connection, run.thread_id, run.id)["cancel_requested"]:
        return False
    values = {"status": "waiting", "lease_owner": None, "lease_s": wait_s, "notices": list(notices)}
    runs.update_owned(connection, run, values)
    approvals = [
        {"tool_call_id": each.call.tool_call_id, "name": each.call.name, "arguments": each.call.arguments}
        for each in tool_calls.list_open(connection, run.id)
        if each.status == "waiting"
    ]
    thread_log.append(connection, run.thread_id, Entry("run.waiting", run.id, {"approvals": approvals}))
    return True


def decide(
    connection: Connection, thread_id: str, run_id: str, decision: Decision, successor: Successor | None
) -> Decided:
    """Note a decision; the last one lets the run go on, in the successor's process.

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
    if decision.triggers:
        thread_log.append(connection, thread_id, *trigger_entries(run_id, decision.triggers))
    if not decision.approved:
        reason = f": {decision.reason}" if decision.reason else "."
        _refuse(connection, thread_id, run_id, call, _REFUSED + reason)
    return _go_on(connection, row, successor)


def give_up_waiting(connection: Connection, run_id: str, thread_id: str, successor: Successor | None) -> Decided | None:
    """Refuse whatever nobody has decided in time, and let the run go on; None where it does not wait any more, or
    waits for something else by now.
    """
    thread_log.lock(connection, thread_id)
    if not runs.has_waited_out(connection, run_id):
        return None
    row = runs.get_row(connection, thread_id, run_id)
    for each in tool_calls.list_open(connection, run_id):
        if each.status == "waiting":
            _refuse(connection, thread_id, run_id, each.call, _WAITED_OUT)
    return _go_on(connection, row, successor)


def start_approved(connection: Connection, run: OwnedRun) -> list[ToolCallPart]:
    """Note that the calls that a person agreed to begin now; them. Raises `LeaseLost`."""
    calls = tool_calls.start_approved(connection, run.id)
    if calls:
        first = thread_log.reserve(connection, run.thread_id, len(calls))
        runs.update_owned(connection, run, {"fence": run.fence})
        thread_log.write(connection, run.thread_id, first, [started_call_entry(run.id, call) for call in calls])
    return calls


def _refuse(connection: Connection, thread_id: str, run_id: str, call: ToolCallPart, text: str) -> None:
    result = ToolResultPart(call.tool_call_id, call.name, text, is_error=True)
    seq = thread_log.reserve(connection, thread_id, 1)
    insert_result(connection, thread_id, run_id, result, seq=seq, status="refused")


def _go_on(connection: Connection, row: RunRow, successor: Successor | None) -> Decided:
    if any(each.status == "waiting" for each in tool_calls.list_open(connection, row["id"])):
        return Decided(runs.to_public(row))
    values = {
        "status": "running",
        "lease_owner": successor.owner if successor else None,
        # A lease that has run out already is one that anybody may take over.
        "lease_s": successor.lease_s if successor else -1.0,
        "fence": row["fence"] + 1,
    }
    resumed = runs.update_unowned(connection, row["id"], ("waiting",), values)
    assert resumed is not None  # noqa: S101  # the thread is locked since it was seen to wait
    reset_seq = thread_log.last_reset(connection, row["thread_id"], pages.MAX_SEQ)
    owned = owned_run(resumed, reset_seq=reset_seq, continued=True)
    return Decided(runs.to_public(resumed), owned if successor else None)
