"""Summaries of threads, read and written in transactions of their own."""

from ai_agents.core.types import StoredSummary
from ai_agents.store.database import HasDatabase
from ai_agents.store.summaries import add, newest


class SummaryStore:
    """Reads and writes summaries."""

    def __init__(self, conn: HasDatabase) -> None:
        self._db = conn.database

    async def newest(self, thread_id: str) -> StoredSummary | None:
        """The summary that counts."""
        return await self._db.read(lambda c: newest(c, thread_id))

    async def add(self, thread_id: str, text: str, *, covers_through_seq: int, expected_covers: int) -> bool:
        """Add a summary if the one that counts still covers `expected_covers` (0: none). Returns whether it was added.

        Raises `ThreadNotFound`, `InvalidRequest`.
        """
        return await self._db.write(
            lambda c: add(c, thread_id, text, covers_through_seq=covers_through_seq, expected_covers=expected_covers)
        )
