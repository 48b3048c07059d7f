"""The history of a thread, as models may be told of it."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, literal_column, not_, select

from ai_agents.core.parts import part_from_stored
from ai_agents.core.types import ModelMessage, StoredSummary
from ai_agents.store import summaries
from ai_agents.store.models import MessageTable
from ai_agents.store.pages import MAX_SEQ
from ai_agents.store.statements import prepared

# `seq <= …` also leaves out queued messages.
_BETWEEN = (
    MessageTable.thread_id == bindparam("thread_id"),
    MessageTable.seq > bindparam("after_seq"),
    MessageTable.seq <= bindparam("through_seq"),
)
_SENDABLE = and_(not_(MessageTable.refused), not_(MessageTable.superseded))
_SLICE = (
    select(MessageTable.role, MessageTable.parts, MessageTable.seq)
    .where(*_BETWEEN, _SENDABLE)
    .limit(bindparam("count"))
)
# Reading so many takes the event loop about ten milliseconds.
_PIECE = 500
_FROM_OLDEST = prepared(_SLICE.order_by(MessageTable.seq))
_FROM_NEWEST = prepared(_SLICE.order_by(MessageTable.seq.desc()))
_REFUSED, _SUPERSEDED = (
    prepared(
        select(MessageTable.role, MessageTable.parts, MessageTable.seq)
        .where(*_BETWEEN, left_out)
        .order_by(MessageTable.seq.desc())
        .limit(bindparam("count"))
    )
    for left_out in (and_(MessageTable.refused, not_(MessageTable.superseded)), MessageTable.superseded)
)
_TURN_START = prepared(
    select(MessageTable.seq)
    .where(
        MessageTable.thread_id == bindparam("thread_id"),
        # A literal, as in the partial index: a parameter's value is not known when the index is chosen.
        MessageTable.role == literal_column("'user'"),
        MessageTable.seq <= bindparam("through_seq"),
        _SENDABLE,
    )
    .order_by(MessageTable.seq.desc())
    .limit(1)
)
_FIRST_SEQ = prepared(
    select(MessageTable.seq)
    .where(MessageTable.thread_id == bindparam("thread_id"), MessageTable.seq > 0, _SENDABLE)
    .order_by(MessageTable.seq)
    .limit(1)
)
_COUNT = prepared(select(func.count()).select_from(MessageTable).where(*_BETWEEN, _SENDABLE))
_OF_RUN = prepared(
    select(MessageTable.role, MessageTable.parts, MessageTable.seq)
    .where(MessageTable.run_id == bindparam("run_id"), MessageTable.seq <= bindparam("through_seq"))
    .order_by(MessageTable.seq)
)


class History:
    """What models may be told of a thread, up to and including `through_seq` (None: all).

    It is read within the caller's transaction. Messages ascend by `seq`. Queued messages are not among them, nor are
    those that a provider always refuses, nor answers that a retry has superseded.
    """

    def __init__(self, connection: Connection, thread_id: str, *, through_seq: int | None = None) -> None:
        self._connection = connection
        self._thread_id = thread_id
        self._through_seq = MAX_SEQ if through_seq is None else through_seq

    def latest(self, limit: int, *, before_seq: int | None = None) -> list[ModelMessage]:
        """The last `limit` messages; with `before_seq`, of those before it."""
        through = self._through_seq if before_seq is None else min(self._through_seq, before_seq - 1)
        found = self._slice(_FROM_NEWEST, through_seq=through, count=limit)
        found.reverse()
        return found

    def first(self, limit: int) -> list[ModelMessage]:
        """The first `limit` messages."""
        return self._slice(_FROM_OLDEST, through_seq=self._through_seq, count=limit)

    def after(self, seq: int, *, limit: int | None = None) -> list[ModelMessage]:
        """The messages after `seq`, at most `limit` of them."""
        count = MAX_SEQ if limit is None else limit
        return self._slice(_FROM_OLDEST, after_seq=seq, through_seq=self._through_seq, count=count)

    def turn_start(self, seq: int) -> int:
        """The `seq` of the last user message at or before `seq`, where its turn begins.

        Without one it is that of the thread's first message; `seq` itself where no message is before it.
        """
        values = {"thread_id": self._thread_id, "through_seq": min(seq, self._through_seq)}
        found: int | None = self._connection.execute(_TURN_START, values).scalar_one_or_none()
        if found is None:
            found = self._connection.execute(_FIRST_SEQ, {"thread_id": self._thread_id}).scalar_one_or_none()
        return seq if found is None else min(seq, found)

    def count(self, *, after_seq: int, through_seq: int) -> int:
        """How many messages lie after `after_seq`, up to and including `through_seq`."""
        through = min(through_seq, self._through_seq)
        values = {"thread_id": self._thread_id, "after_seq": after_seq, "through_seq": through}
        return int(self._connection.execute(_COUNT, values).scalar_one())

    def refused(self, limit: int, *, after_seq: int) -> list[ModelMessage]:
        """The last `limit` messages after `after_seq` that a provider refused; they are part of no other answer."""
        found = self._slice(_REFUSED, after_seq=after_seq, through_seq=self._through_seq, count=limit)
        found.reverse()
        return found

    def superseded(self, limit: int, *, after_seq: int) -> list[ModelMessage]:
        """The last `limit` messages after `after_seq` that a retry has superseded; they are part of no other answer."""
        found = self._slice(_SUPERSEDED, after_seq=after_seq, through_seq=self._through_seq, count=limit)
        found.reverse()
        return found

    def run_messages(self, run_id: str) -> list[ModelMessage]:
        """The messages of one run of this thread."""
        values = {"run_id": run_id, "through_seq": self._through_seq}
        return _to_messages(self._connection.execute(_OF_RUN, values))

    def summary(self) -> StoredSummary | None:
        """The summary that counts, among those that cover nothing after this history."""
        return summaries.newest(self._connection, self._thread_id, through_seq=self._through_seq)

    def _slice(self, statement: Any, *, through_seq: int, count: int, after_seq: int = 0) -> list[ModelMessage]:
        """Messages in the order of the statement. Many are read in pieces: on PostgreSQL others go on between them."""
        found: list[ModelMessage] = []
        while len(found) < count:
            asked = min(count - len(found), _PIECE)
            values = {"thread_id": self._thread_id, "after_seq": after_seq, "through_seq": through_seq, "count": asked}
            piece = _to_messages(self._connection.execute(statement, values))
            found += piece
            if len(piece) < asked:
                break
            last = piece[-1].seq or 0
            if statement is _FROM_OLDEST:
                after_seq = last
            else:
                through_seq = last - 1
        return found


def _to_messages(rows: Iterable[Row[Any, Any, Any]]) -> list[ModelMessage]:
    return [ModelMessage(role, tuple(map(part_from_stored, parts)), seq) for role, parts, seq in rows]
