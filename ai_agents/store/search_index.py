"""What finds messages by their words: `messages.search`, and an index of it for searches in many threads.

The column has the words of a message (`core.search_words`), written with the message, and is the truth: an index only
says where to look. NULL are messages of versions before it, which a job fills in.

PostgreSQL has a GIN index of a `tsvector` of the words. New messages wait in its pending list.
SQLite has a table of FTS5, `message_search`, without content of its own. Its rows have the numbers of
`message_search_rows`, which triggers keep: a new message gets a number there, and goes to FTS5 later, many in one step;
searches look through those without it. Deleted and changed messages leave FTS5 at once.
`tend` does what was put off. So a message costs its transaction one column.
"""

from sqlalchemy import Connection, exists, select, text, update

from ai_agents.store.messages import words_of
from ai_agents.store.models import MessageTable

# What FTS5 has; the numbers rise, so that all others are above them.
_FED = "(SELECT coalesce(max(id), 0) FROM message_search_docsize)"
_UNFED = text(f"SELECT 1 FROM message_search_rows WHERE id > {_FED} LIMIT 1")  # noqa: S608  # no value is in it
_FEED = text(f"""
    INSERT INTO message_search(rowid, words)
    SELECT r.id, m.search FROM message_search_rows r CROSS JOIN messages m ON m.id = r.message_id
    WHERE r.id > {_FED} ORDER BY r.id LIMIT :count
""")  # noqa: S608  # no value is in it
_MERGE = text("INSERT INTO message_search(message_search, rank) VALUES ('merge', :pages)")
_CLEAN = text("SELECT gin_clean_pending_list('ix_messages_search')")
# Each takes about 50 ms of the writer's thread at most.
_FEED_ROWS = 1_000
_MERGE_PAGES = 200
_FILL_ROWS = 200


def is_incomplete(connection: Connection) -> bool:
    """Whether there are messages that no search finds yet, since a version before searches wrote them."""
    return bool(connection.scalar(select(exists().where(MessageTable.search.is_(None)))))


def fill(connection: Connection) -> int:
    """Write the words of some messages that have none yet, the newest first. Returns how many: 0 at the end."""
    missing = select(MessageTable.id, MessageTable.role, MessageTable.parts).where(MessageTable.search.is_(None))
    rows = connection.execute(
        missing.order_by(MessageTable.id.desc()).limit(_FILL_ROWS).with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        words = words_of(row.role, row.parts)
        connection.execute(update(MessageTable).where(MessageTable.id == row.id).values(search=words))
    return len(rows)


def has_to_be_tended(connection: Connection) -> bool:
    """Whether `tend` would do anything; on PostgreSQL that is not known before."""
    return connection.dialect.name != "sqlite" or connection.scalar(_UNFED) is not None


def tend(connection: Connection) -> bool:
    """Bring new messages into the index proper, as many as takes a moment. Whether there may be more."""
    if connection.dialect.name != "sqlite":
        connection.execute(_CLEAN)
        return False
    connection.execute(_FEED, {"count": _FEED_ROWS})
    connection.execute(_MERGE, {"pages": _MERGE_PAGES})
    return connection.scalar(_UNFED) is not None
