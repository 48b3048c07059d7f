"""Summaries of a thread's messages up to one of them. Their rows never change.

The summary that covers most counts; of several that cover the same, the last one. An empty text means no summary: it is
what remains when a summary is cleared.

A thread's `summary_misses` counts the summaries that were asked for since then and were not usable. Whatever gives the
thread another summary ends it, and so does a newer version of the agent, which may have a better model.
"""

from typing import TypedDict

from sqlalchemy import Connection, bindparam, delete, insert, null, select, update

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.ids import utc_now
from ai_agents.core.json import clean_text
from ai_agents.core.types import StoredSummary
from ai_agents.store import thread_log
from ai_agents.store.models import SummaryTable, ThreadTable
from ai_agents.store.pages import MAX_SEQ


class SummaryMisses(TypedDict):
    """How many summaries in a row were not usable, the end of the log at the last one, and the agent's version then."""

    times: int
    seq: int
    agent_version: int


_NEWEST = (
    select(SummaryTable.text, SummaryTable.covers_through_seq, SummaryTable.number)
    .where(
        SummaryTable.thread_id == bindparam("thread_id"), SummaryTable.covers_through_seq <= bindparam("through_seq")
    )
    .order_by(SummaryTable.covers_through_seq.desc(), SummaryTable.number.desc())
    .limit(1)
)
# As part of a statement about threads.
TEXT_OF_NEWEST = (
    select(SummaryTable.text)
    .where(SummaryTable.thread_id == ThreadTable.id)
    .order_by(SummaryTable.covers_through_seq.desc(), SummaryTable.number.desc())
    .limit(1)
    .correlate(ThreadTable)
    .scalar_subquery()
)


def newest(connection: Connection, thread_id: str, *, through_seq: int = MAX_SEQ) -> StoredSummary | None:
    """The summary that counts, among those that cover nothing after `through_seq`."""
    row = connection.execute(_NEWEST, {"thread_id": thread_id, "through_seq": through_seq}).one_or_none()
    return StoredSummary(row.text, row.covers_through_seq) if row is not None and row.text else None


def add(
    connection: Connection,
    thread_id: str,
    text: str,
    *,
    covers_through_seq: int,
    expected_covers: int,
    expected_text: str | None = None,
) -> bool:
    """Add a summary if the one that counts is still the one from which it was made. Returns whether it was added.

    `expected_covers` is what that one covers, 0 if there was none; `expected_text` is its text, "" if there was none,
    None if the text does not matter. Writes the log row `context.compacted`.
    Raises `ThreadNotFound`, `InvalidRequest` for an empty text or for a summary that covers more than the log has.
    """
    text = clean_text(text).strip()
    if not text:
        raise InvalidRequest("A summary is not empty.", loc=("summary",))
    thread_log.lock(connection, thread_id)
    row = connection.execute(_NEWEST, {"thread_id": thread_id, "through_seq": MAX_SEQ}).one_or_none()
    covered = row.covers_through_seq if row is not None and row.text else 0
    least = row.covers_through_seq if row is not None else 0
    if expected_text is not None and expected_text != (row.text if row is not None else ""):
        return False
    if covered != expected_covers or covers_through_seq < max(least, 1):
        return False
    facts = {"summary": text, "covers_through_seq": covers_through_seq}
    seq = thread_log.append(connection, thread_id, thread_log.Entry("context.compacted", facts=facts))
    if covers_through_seq >= seq:
        raise InvalidRequest("A summary covers messages that are in the thread.", loc=("covers_through_seq",))
    number = row.number + 1 if row is not None and row.covers_through_seq == covers_through_seq else 1
    insert_summary(connection, thread_id, text, covers_through_seq=covers_through_seq, number=number)
    changed = {"version": ThreadTable.version + 1, "updated_at": utc_now(), "summary_misses": null()}
    connection.execute(update(ThreadTable).where(ThreadTable.id == thread_id).values(changed))
    return True


def forget_from(connection: Connection, thread_id: str, seq: int) -> None:
    """Delete the summaries that cover this message: it is to be answered anew. The caller holds the thread's lock."""
    covers = SummaryTable.thread_id == thread_id, SummaryTable.covers_through_seq >= seq
    connection.execute(delete(SummaryTable).where(*covers))


def replace_text(connection: Connection, thread_id: str, text: str) -> None:
    """Replace the text of the summary that counts; "" clears it. The caller holds the thread's lock."""
    row = connection.execute(_NEWEST, {"thread_id": thread_id, "through_seq": MAX_SEQ}).one_or_none()
    covers, number = (row.covers_through_seq, row.number + 1) if row is not None else (0, 1)
    insert_summary(connection, thread_id, text, covers_through_seq=covers, number=number)
    connection.execute(update(ThreadTable).where(ThreadTable.id == thread_id).values(summary_misses=null()))


def note_miss(connection: Connection, thread_id: str, *, agent_version: int, expected: StoredSummary | None) -> None:
    """Count that a summary was not usable, if the one that counts is still the one from which it was to be made."""
    if not thread_log.try_lock(connection, thread_id) or newest(connection, thread_id) != expected:
        return
    found = select(ThreadTable.summary_misses, ThreadTable.last_seq).where(ThreadTable.id == thread_id)
    earlier, last_seq = connection.execute(found).one()
    times = earlier["times"] if earlier and earlier["agent_version"] == agent_version else 0
    misses: SummaryMisses = {"times": times + 1, "seq": last_seq, "agent_version": agent_version}
    connection.execute(update(ThreadTable).where(ThreadTable.id == thread_id).values(summary_misses=misses))


def insert_summary(
    connection: Connection, thread_id: str, text: str, *, covers_through_seq: int, number: int = 1
) -> None:
    """Write only a summary's row."""
    row = {
        "thread_id": thread_id,
        "covers_through_seq": covers_through_seq,
        "number": number,
        "text": text,
        "created_at": utc_now(),
    }
    connection.execute(insert(SummaryTable), row)
