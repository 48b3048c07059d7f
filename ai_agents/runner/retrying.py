"""A retry of a thread's last run: a new run answers the same message, and what was answered before is superseded.

The message keeps its place in the history. The answers keep theirs, too, but later requests leave them out. The row
`run.started` of the new run names them.
"""

from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection

from ai_agents.core.exceptions import Conflict
from ai_agents.core.rows import Message
from ai_agents.core.table_rows import RunRow
from ai_agents.core.types import JsonObject
from ai_agents.store import runs, summaries
from ai_agents.store.messages import find_newest, hand_to_run, list_of_run, supersede
from ai_agents.store.thread_log import Entry


@dataclass(frozen=True, slots=True)
class Exchange:
    """The messages that a run had to answer last, in their order, at least one, and what it answered to them."""

    asked: tuple[Message, ...]
    answered: tuple[Message, ...]


def require_last(connection: Connection, row: RunRow) -> None:
    """Raises `Conflict` unless the run is the thread's last one: nothing was said after it."""
    newest = find_newest(connection, row["thread_id"])
    if newest is None or newest["run_id"] != row["id"]:
        raise Conflict("Only the last run of a thread can be retried.")


def find_exchange(connection: Connection, row: RunRow) -> Exchange:
    """What a retry of this run, which has ended, is about.

    A run that messages have joined may have answered earlier ones before it went on: those answers stand.
    Raises `Conflict` where there is no message to be answered anew.
    """
    # Messages that no model was sent, as their authors had lost the right, are no part of it.
    said = [
        message
        for message in list_of_run(connection, row["id"])
        if message["role"] != "user" or row["status"] == "failed" or not message.get("refused")
    ]
    start = 0
    for index, (before, after) in enumerate(pairwise(said), start=1):
        stands = before["status"] == "completed" or row["status"] == "completed"
        if (before["role"], after["role"]) == ("assistant", "user") and stands:
            start = index
    asked = tuple(message for message in said[start:] if message["role"] == "user")
    if not asked:
        raise Conflict("This run has no message that could be answered anew.")
    return Exchange(asked, tuple(message for message in said[start:] if message["role"] != "user"))


def begin(connection: Connection, row: RunRow) -> Entry:
    """Let a new run answer the message of the run that it retries; the row of the log that tells of it.

    The caller holds the thread's lock. Raises `RunNotFound`, `Conflict`.
    """
    retried = runs.get_row(connection, row["thread_id"], row["retry_of"] or "")
    exchange = find_exchange(connection, retried)
    superseded = [message["id"] for message in exchange.answered]
    if superseded:
        supersede(connection, superseded)
    summaries.forget_from(connection, row["thread_id"], exchange.asked[0]["seq"] or 0)
    asked = [message["id"] for message in exchange.asked]
    handed = hand_to_run(connection, asked, row["id"], sendable=retried["status"] == "failed")
    facts: JsonObject = {"attempt": row["attempt"], "user_message": handed[0], "superseded": superseded}
    return Entry("run.started", row["id"], facts, resets=True)
