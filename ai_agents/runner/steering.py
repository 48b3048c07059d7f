"""Messages that join a run which is under way: they wait at the run, and are taken between two model calls.

Until then such a message is stored like a queued one, without a place in the history. The run's row lists those that
wait. What writes the list, or takes it, holds the thread's lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from ai_agents.auth.runs import require_to_begin
from ai_agents.core.exceptions import AgentDeleted, PermissionDenied
from ai_agents.core.notices import Notice
from ai_agents.core.rows import Message
from ai_agents.core.table_rows import RunRow, RunValues, SteeredMessage
from ai_agents.core.types import JsonObject
from ai_agents.store import runs, thread_log
from ai_agents.store.messages import leave_out, place_message
from ai_agents.store.runs import LeaseLost, OwnedRun, owned_run
from ai_agents.store.thread_log import Entry


def takes_messages(row: RunRow) -> bool:
    """Whether messages may join this run: it has begun, and it is not being cancelled."""
    return row["status"] in ("running", "waiting") and not row["cancel_requested"]


def count_waiting(row: RunRow) -> int:
    """How many messages wait to join the run."""
    return len(row["steered"] or ())


def join(connection: Connection, row: RunRow, message: SteeredMessage) -> RunRow:
    """Let a stored message wait until the run takes it. Returns the run's row. The caller holds the thread's lock."""
    values: RunValues = {"steered": [*(row["steered"] or ()), message]}
    joined = runs.update_unowned(connection, row["id"], ("running", "waiting"), values)
    assert joined is not None  # noqa: S101  # the thread is locked since the run was seen
    return joined


@dataclass(frozen=True, slots=True)
class Joining:
    """Messages that wait to join a run, in their order. `allowed` are those whose authors may still send them.

    `sender` is the run as the last of these goes on with it: for its author, under the key with which it was sent, with
    its overrides or none. `client_tools` are those of the last one that brought any.
    """

    message_ids: tuple[str, ...]
    allowed: frozenset[str]
    sender: OwnedRun
    client_tools: list[JsonObject] | None


def look(connection: Connection, run: OwnedRun) -> Joining:
    """The messages that wait to join a run, whose rights are asked for again. The caller holds the thread's lock.

    Raises `RunNotFound`.
    """
    waiting = runs.get_row(connection, run.thread_id, run.id)["steered"] or []
    allowed: set[str] = set()
    sender, client_tools = run, None
    for each in waiting:
        if each["user_id"] is None:
            continue
        candidate = replace(
            run,
            user_id=each["user_id"],
            key_id=each["key_id"],
            by_admin=each["by_admin"],
            # A message may have come to wait before there were any.
            overrides=each.get("overrides"),
        )
        try:
            require_to_begin(connection, candidate)
        except (PermissionDenied, AgentDeleted):
            continue
        allowed.add(each["message_id"])
        sender, client_tools = candidate, each["client_tools"] or client_tools
    return Joining(tuple(each["message_id"] for each in waiting), frozenset(allowed), sender, client_tools)


def place(connection: Connection, joining: Joining, first_seq: int) -> list[Entry]:
    """Give the messages their places from this number on; the rows of the log that tell of them.

    Those whose authors may not send them any more are left out of requests.
    """
    run = joining.sender
    if refused := [each for each in joining.message_ids if each not in joining.allowed]:
        leave_out(connection, refused)
    placed = [place_message(connection, each, seq) for seq, each in enumerate(joining.message_ids, first_seq)]
    return [_joined_entry(run.id, message, resets=True) for message in placed]


def place_unanswered(connection: Connection, row: RunRow, first_seq: int) -> list[Entry]:
    """Give the messages that still wait when their run ends their places, from this number on.

    The text that was in progress goes on to the run's last row, so that these rows leave a reader's position as it is.
    """
    waiting: Sequence[SteeredMessage] = row["steered"] or ()
    placed = [place_message(connection, each["message_id"], seq) for seq, each in enumerate(waiting, first_seq)]
    return [_joined_entry(row["id"], message, resets=False) for message in placed]


def take(connection: Connection, run: OwnedRun, notices: Sequence[Notice]) -> OwnedRun:
    """Let the messages that wait join the run here, between two model calls. `notices` are those of the run so far.

    Returns the run as it goes on. Raises `LeaseLost`.
    """
    thread_log.lock(connection, run.thread_id)
    joining = look(connection, run)
    count = len(joining.message_ids)
    if not count:
        # Another owner has taken them.
        raise LeaseLost
    first = thread_log.reserve(connection, run.thread_id, count)
    row = runs.update_owned(connection, run, {**joined_values(joining), "notices": list(notices)})
    thread_log.write(connection, run.thread_id, first, place(connection, joining, first))
    return owned_run(row, reset_seq=first + count - 1, continued=True)


def joined_values(joining: Joining) -> RunValues:
    """The columns of a run that messages have joined."""
    sender = joining.sender
    values: RunValues = {
        "steered": None,
        "sender_id": sender.user_id,
        "key_id": sender.key_id,
        "by_admin": sender.by_admin,
        "overrides": sender.overrides,
    }
    if joining.client_tools:
        values["client_tools"] = joining.client_tools
    return values


def _joined_entry(run_id: str, message: Message, *, resets: bool) -> Entry:
    return Entry("message.completed", run_id, {"message": message}, resets=resets)
