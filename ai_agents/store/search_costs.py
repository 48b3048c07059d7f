"""Which way is the quickest on PostgreSQL to what fits a search: to look through messages, or to ask the index.

The index has the messages of all tenants. Where few have the words, it names them, and others' are dropped. Where many
have them, what it names is cut down to the messages of one's own threads before any is read. And where many of one's
own messages fit, the newest are soon looked through. What each takes is worked out from how often a word is in the
messages of all, which ANALYZE writes down, and how many hits were among those that were looked through. It has been
measured (docs/performance.md): what counts is how these figures compare, not the machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from sqlalchemy import Connection, func, select, text

from ai_agents.store.search_threads import Search

# In microseconds: a message that is looked through, one that the index names, the same cut down to one's own, one of
# these that is read, and one of one's own threads.
_LOOKED_AT, _NAMED, _CUT, _READ, _THREAD = 3.0, 5.5, 0.3, 5.0, 6.0
# What takes so long is not worth a look at one's own messages before.
_MOMENT = 20_000
# A word that is not among the most common ones has so much of the last one's part.
_OF_UNLISTED = 0.1
_FREQUENCIES = text("""
    SELECT c.reltuples AS messages, min(e.part) AS least, array_agg(e.part) FILTER (WHERE e.word = ANY(:words)) AS parts
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname
    LEFT JOIN LATERAL unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS e(word, part)
        ON e.word IS NOT NULL
    WHERE c.oid = to_regclass('ix_messages_search') GROUP BY c.reltuples
""")


@dataclass(frozen=True, slots=True)
class Costs:
    """What is known before: all messages, the part of them that has the words, and one's threads (None: all)."""

    messages: float
    part: float
    threads: int | None

    @property
    def is_rare(self) -> bool:
        """Whether the index is asked before anything is looked through."""
        return self._of_index() <= _MOMENT

    def way_of_index(self, *, missing: int, hits: int, rows: int, threads: int) -> bool | None:
        """Whether what the index names is cut down to one's own threads first; None: to look on is quicker.

        `missing` hits are looked for. `hits` were found in so many rows of so many threads.
        """
        all_rows = self.messages if self.threads is None else self.threads * rows / max(threads, 1)
        looking = min(all_rows, missing * rows / hits if hits else all_rows) * _LOOKED_AT
        everywhere, own = self._of_index(), self._of_own(all_rows)
        if looking < min(everywhere, own):
            return None
        return own < everywhere

    def _of_index(self) -> float:
        return self.messages * self.part * _NAMED

    def _of_own(self, all_rows: float) -> float:
        if self.threads is None:
            return float("inf")
        return self.messages * self.part * _CUT + self.threads * _THREAD + all_rows * self.part * _READ


def estimate(connection: Connection, asked: Search, words: Sequence[str]) -> Costs:
    """What a search for messages with all of these words may take. Without statistics words are taken for rare."""
    row = connection.execute(_FREQUENCIES, {"words": list(words)}).one_or_none()
    threads = None
    if asked.user_id is not None:
        threads = connection.scalar(select(func.count()).select_from(asked.readable(asked.user_id).subquery()))
    if row is None or row.least is None:
        return Costs(0.0, 0.0, threads)
    known = row.parts or ()
    part = prod(known) * (row.least * _OF_UNLISTED) ** (len(words) - len(known))
    return Costs(max(row.messages, 0.0), part, threads)
