"""After a commit whose answer was lost, these functions look whether it happened, so that nothing is recorded twice.

Each returns what the recording would have returned, or None where the commit did not happen.
"""

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection, select

from ai_agents.core.types import ToolCallPart
from ai_agents.runner.ending import Answered, EndedRun
from ai_agents.runner.ownership import FollowUp
from ai_agents.runner.steering import count_waiting
from ai_agents.store import model_calls, runs, tool_calls
from ai_agents.store.messages import find_message
from ai_agents.store.models import MessageTable, RunTable, ThreadEventTable, ToolCallTable
from ai_agents.store.pages import MAX_SEQ
from ai_agents.store.runs import OwnedRun, owned_run
from ai_agents.store.thread_log import last_reset


def find_next_step(connection: Connection, run: OwnedRun) -> OwnedRun | None:
    """The run as `record_step` or `record_retry` left it: its message in progress is another one."""
    row = runs.find_row(connection, RunTable.id == run.id, RunTable.fence == run.fence, RunTable.status == "running")
    if row is None:
        raise runs.LeaseLost
    if row["message_id"] == run.message_id:
        return None
    newest = select(ThreadEventTable.seq).where(ThreadEventTable.run_id == run.id, ThreadEventTable.resets)
    seq = connection.execute(newest.order_by(ThreadEventTable.seq.desc()).limit(1)).scalar_one()
    return owned_run(row, reset_seq=seq)


def find_noted(connection: Connection, run: OwnedRun, call_id: str) -> OwnedRun | None:
    """The run as `record_call` left it."""
    if not model_calls.exists(connection, call_id):
        return None
    row = runs.get_row(connection, run.thread_id, run.id)
    return replace(owned_run(row, reset_seq=run.reset_seq), fence=run.fence)


def find_result(connection: Connection, run: OwnedRun, tool_call_id: str) -> int | None:
    """What `record_result` returned."""
    statement = select(ToolCallTable.finished_at).where(
        ToolCallTable.run_id == run.id, ToolCallTable.tool_call_id == tool_call_id
    )
    if connection.execute(statement).scalar_one_or_none() is None:
        return None
    return count_waiting(runs.get_row(connection, run.thread_id, run.id))


def find_joined(connection: Connection, run: OwnedRun) -> OwnedRun | None:
    """The run as `steering.take` left it."""
    row = runs.find_row(connection, RunTable.id == run.id, RunTable.fence == run.fence, RunTable.status == "running")
    if row is None:
        raise runs.LeaseLost
    if count_waiting(row):
        return None  # those that came since are taken with them
    return owned_run(row, reset_seq=last_reset(connection, run.thread_id, MAX_SEQ), continued=True)


def is_waiting(connection: Connection, run: OwnedRun) -> bool:
    """Whether `record_waiting` was committed, and the run still waits."""
    statement = select(RunTable.id).where(
        RunTable.id == run.id, RunTable.fence == run.fence, RunTable.status == "waiting"
    )
    return connection.execute(statement).scalar_one_or_none() is not None


def find_started(connection: Connection, run: OwnedRun, *, besides: Collection[str]) -> list[ToolCallPart] | None:
    """The calls that `start_approved` began; `besides` are the ids of calls that had begun before."""
    open_calls = tool_calls.list_open(connection, run.id)
    if any(each.status == "approved" for each in open_calls):
        return None
    started = [each.call for each in open_calls if each.status == "started"]
    return [call for call in started if call.tool_call_id not in besides]


def find_ended(connection: Connection, run: OwnedRun, owner: str) -> EndedRun | Answered | None:
    """What `end_owned` recorded, with the next run of the queue if that started here."""
    row = runs.find_row(connection, RunTable.id == run.id, RunTable.fence == run.fence)
    if row is None:
        return None
    if row["finished_at"] is None:
        answer = find_message(connection, run.thread_id, run.message_id)
        if row["status"] != "running" or answer is None:
            return None
        reset_seq = last_reset(connection, run.thread_id, MAX_SEQ)
        return Answered(runs.to_public(row), answer, owned_run(row, reset_seq=reset_seq, continued=True))
    active = runs.find_active(connection, run.thread_id)
    next_run = None
    if active is not None and active["lease_owner"] == owner and active["status"] == "running":
        placed = select(MessageTable.seq).where(MessageTable.id == active["user_message_id"])
        next_run = owned_run(active, reset_seq=connection.execute(placed).scalar_one() or 0)
    message = find_message(connection, run.thread_id, run.message_id)
    return EndedRun(runs.to_public(row), message, FollowUp(next_run, "queued"))
