"""Cancelling a run: at once where nobody executes it, else by asking its owner."""

from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.core.rows import Run
from ai_agents.core.types import TERMINAL_RUN_STATUSES
from ai_agents.runner.recording import Successor, end_unowned, start_next
from ai_agents.store import runs, thread_log
from ai_agents.store.runs import OwnedRun


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """The run as it is now (its owner may still have to end it), and the run that starts in its place here."""

    run: Run
    next_run: OwnedRun | None = None


def cancel(connection: Connection, thread_id: str, run_id: str, successor: Successor | None) -> CancelAsked:
    """Cancel a run. One that has ended stays as it is. Raises `RunNotFound`, `ThreadNotFound`."""
    thread_log.lock(connection, thread_id)
    row = runs.get_row(connection, thread_id, run_id)
    if row["status"] in TERMINAL_RUN_STATUSES:
        return CancelAsked(runs.to_public(row))
    if row["status"] == "running":
        runs.request_cancel(connection, run_id)
        return CancelAsked(runs.to_public(row))
    ended = end_unowned(connection, row)
    next_run = start_next(connection, thread_id, successor) if row["status"] == "waiting" else None
    return CancelAsked(ended or runs.to_public(row), next_run)
