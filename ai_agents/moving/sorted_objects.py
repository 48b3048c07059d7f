"""Objects of a file, sorted on disk: so that a file may be larger than memory, and have its objects in any order."""

import json
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ai_agents.moving.assistants import Found

_TABLE = """
    CREATE TABLE objects (
        n INTEGER PRIMARY KEY, kind TEXT, id TEXT, thread_id TEXT, created_at INT, listed INT, line INT, value TEXT,
        UNIQUE (kind, id)
    )
"""
_THREADS_OF_MESSAGES_ALONE = """
    SELECT DISTINCT thread_id FROM objects m WHERE kind = 'message' AND NOT EXISTS (
        SELECT 1 FROM objects t WHERE t.kind = 'thread' AND t.id = m.thread_id
    ) ORDER BY thread_id
"""


@contextmanager
def sorted_objects() -> Generator["SortedObjects"]:
    """An empty collection, which is removed at the end."""
    with (
        TemporaryDirectory(prefix="ai-agents-import-") as directory,
        closing(SortedObjects(Path(directory) / "objects.db")) as made,
    ):
        yield made


class SortedObjects:
    """The objects of a file in a database of their own. One that comes again replaces the first."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(_TABLE)
        self._connection.execute("CREATE INDEX by_thread ON objects (thread_id, created_at)")

    def add(self, found: Found, line: int) -> None:
        """Add an object that stands in this line."""
        value = json.dumps(found.value)
        row = (found.kind, found.id, found.thread_id, found.created_at, found.listed, line, value)
        self._connection.execute("INSERT OR REPLACE INTO objects VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", row)

    def of(self, kind: str) -> Iterator[tuple[Found, int]]:
        """All of a kind with their lines, the oldest first."""
        yield from self._rows("kind = ? ORDER BY created_at, id", kind)

    def messages(self, thread_id: str) -> Iterator[tuple[Found, int]]:
        """The messages of a thread, the oldest first; those of one second as the order of the whole tells."""
        query = "SELECT created_at, listed FROM objects WHERE thread_id = ? ORDER BY n"
        first = self._connection.execute(f"{query} LIMIT 1", (thread_id,)).fetchone()
        last = self._connection.execute(f"{query} DESC LIMIT 1", (thread_id,)).fetchone()
        if first is None:
            return
        newest_first = first[0] > last[0] or (first[0] == last[0] and bool(first[1]))
        yield from self._rows(f"thread_id = ? ORDER BY created_at, n {'DESC' if newest_first else 'ASC'}", thread_id)

    def threads_without_object(self) -> list[str]:
        """The threads that messages name and that are not there themselves."""
        return [thread_id for (thread_id,) in self._connection.execute(_THREADS_OF_MESSAGES_ALONE)]

    def find(self, kind: str, foreign_id: str) -> Found | None:
        """One object."""
        return next((found for found, _ in self._rows("kind = ? AND id = ?", kind, foreign_id)), None)

    def count(self, kind: str) -> int:
        """How many there are of a kind."""
        (found,) = self._connection.execute("SELECT count(*) FROM objects WHERE kind = ?", (kind,)).fetchone()
        return int(found)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _rows(self, where: str, *values: str) -> Iterator[tuple[Found, int]]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(f"SELECT * FROM objects WHERE {where}", values)  # noqa: S608  # no value is in it
            for _, kind, foreign_id, thread_id, created_at, _, line, value in cursor:
                yield Found(kind, foreign_id, json.loads(value), thread_id, created_at), line
