"""Taking over runs that their owners left."""

from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, select, update

from ai_agents.core.exceptions import RunInterrupted
from ai_agents.core.ids import new_id
from ai_agents.core.problems import problem_of
from ai_agents.core.table_rows import RunRow
from ai_agents.runner.ending import EndedRun, RunEnding, end_owned
from ai_agents.runner.ownership import FollowUp, NewLease
from ai_agents.runner.recording import MAX_ATTEMPTS
from ai_agents.store import pages, runs, thread_log
from ai_agents.store.clock import database_now
from ai_agents.store.models import RunTable
from ai_agents.store.runs import OwnedRun, owned_run
from ai_agents.store.thread_log import Entry


@dataclass(frozen=True, slots=True)
class TakenOver:
    """An abandoned run that was taken over or ended here. To follow up: that run, or the next one of the queue."""

    follow_up: FollowUp


def take_over(
    connection: Connection, run_id: str, thread_id: str, lease: NewLease, *, expired_only: bool
) -> TakenOver | None:
    """Become the owner of an abandoned run, or end it if it was cancelled or tried too often.

    None where another process was quicker. Text that its former owner streamed and did not record becomes void.
    """
    thread_log.lock(connection, thread_id)
    row = _claim(connection, run_id, lease, expired_only=expired_only)
    if row is None:
        return None
    owned = owned_run(row, reset_seq=thread_log.last_reset(connection, thread_id, pages.MAX_SEQ), continued=True)
    if row["cancel_requested"]:
        return _end(connection, owned, RunEnding("cancelled", "cancelled"), lease)
    if row["former_owner"] is None:
        # A stopping process let it begin, or resume after an approval: no process has worked on it.
        return TakenOver(FollowUp(owned, "resumed"))
    if row["attempt"] >= MAX_ATTEMPTS:
        error = problem_of(RunInterrupted(f"The run was lost with its process {MAX_ATTEMPTS} times."))
        return _end(connection, owned, RunEnding("failed", error=error), lease)
    return TakenOver(FollowUp(_begin_attempt(connection, owned), "lost"))


def _end(connection: Connection, run: OwnedRun, ending: RunEnding, lease: NewLease) -> TakenOver:
    ended = end_owned(connection, run, ending, lease)
    assert isinstance(ended, EndedRun)  # noqa: S101  # only a run that is completed may go on
    return TakenOver(ended.follow_up)


class _ClaimedRow(RunRow):
    """A run that was just taken over, and the process that had it before."""

    former_owner: str | None


def _claim(connection: Connection, run_id: str, lease: NewLease, *, expired_only: bool) -> _ClaimedRow | None:
    former = connection.execute(
        select(RunTable.fence, RunTable.lease_owner).where(RunTable.id == run_id, RunTable.status == "running")
    ).one_or_none()
    if former is None:
        return None
    now = database_now(connection.dialect.name)
    statement = (
        update(RunTable)
        .where(RunTable.id == run_id, RunTable.status == "running", RunTable.fence == former.fence)
        .values(lease_owner=lease.owner, lease_expires_at=now + lease.lease_s, fence=RunTable.fence + 1)
        .returning(*RunTable.__table__.c)
    )
    if expired_only:
        statement = statement.where(RunTable.lease_expires_at < now)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else cast("_ClaimedRow", {**row, "former_owner": former.lease_owner})


def _begin_attempt(connection: Connection, run: OwnedRun) -> OwnedRun:
    attempt = run.attempt + 1
    seq = thread_log.reserve(connection, run.thread_id, 1)
    row = runs.update_owned(connection, run, {"attempt": attempt, "message_id": new_id()})
    facts = {"attempt": attempt, "reason": "process_lost", "discard": [run.message_id]}
    thread_log.write(connection, run.thread_id, seq, [Entry("run.retrying", run.id, facts, resets=True)])
    return owned_run(row, reset_seq=seq, continued=True)
