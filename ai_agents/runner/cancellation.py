"""Cancelling a run: at once where no process executes it, else through its owner."""

from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.rows import Run
from ai_agents.core.types import TERMINAL_RUN_STATUSES
from ai_agents.runner.follow_up import NO_FOLLOW_UP, FollowUp
from ai_agents.runner.ownership import NewLease
from ai_agents.runner.recording import end_unowned, start_next
from ai_agents.store import runs, thread_log


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The run after the request; its owner may still have to end it. To follow up: the next run of the queue."""

    run: Run
    follow_up: FollowUp = NO_FOLLOW_UP


def cancel(connection: Connection, thread_id: str, run_id: str, lease: NewLease | None) -> CancelRequested:
    """Cancel a run. One that has ended stays as it is. Raises `RunNotFound`, `ThreadNotFound`."""
    thread_log.lock(connection, thread_id)
    row = runs.get_row(connection, thread_id, run_id)
    if row["status"] in TERMINAL_RUN_STATUSES:
        return CancelRequested(runs.to_public(row))
    if row["status"] == "running":
        runs.request_cancel(connection, run_id)
        return CancelRequested(runs.to_public(row))
    ended = end_unowned(connection, row)
    next_run = start_next(connection, thread_id, lease) if row["status"] == "waiting" else None
    return CancelRequested(ended or runs.to_public(row), FollowUp(next_run))
