"""What finds messages by their words: `messages.search`, and an index of it for searches in many threads.

The column has the words of a message (`core.search_words`), written with the message, and is the truth: an index only
says where to look. NULL are messages of versions before it, which a job fills in.

PostgreSQL has a GIN index of a `tsvector` of the words. New messages wait in its pending list.
SQLite has a table of FTS5, `message_search`, without content of its own; `message_search_rows` numbers what is in it.
New messages come into it many at a time, in the order in which they were written, up to the one that
`message_search_state` names; searches look through those behind it. (SQLite numbers the rows of `messages` in this
order, and a VACUUM, which numbers them anew, keeps it.) Triggers take deleted and changed messages out at once.
`tend` does what was put off. So a message costs its transaction one column.
"""

from sqlalchemy import Connection, exists, select, text, update

from ai_agents.store.messages import words_of
from ai_agents.store.models import MessageTable

# The row of the last message that is in FTS5.
FED = """coalesce((
    SELECT m.rowid FROM messages m JOIN message_search_state s ON s.message_id = m.id
), 0)"""
# So many are brought in at once. Fewer are looked through by each search in many threads: it takes milliseconds.
_FEED_ROWS = 2_000
_UNFED = text(f"SELECT 1 FROM messages WHERE rowid > {FED} LIMIT 1 OFFSET :count")  # noqa: S608  # no value is in it
_LAST = text(f"""
    SELECT max(rowid) FROM (SELECT rowid FROM messages WHERE rowid > {FED} ORDER BY rowid LIMIT :count)
""")  # noqa: S608  # no value is in it
_NUMBER = text(f"""
    INSERT OR IGNORE INTO message_search_rows(message_id)
    SELECT id FROM messages WHERE rowid > {FED} AND rowid <= :last AND search <> '' ORDER BY rowid
""")  # noqa: S608  # no value is in it
_NEWEST_NUMBER = text("SELECT coalesce(max(id), 0) FROM message_search_rows")
_FEED = text("""
    INSERT INTO message_search(rowid, words)
    SELECT r.id, m.search FROM message_search_rows r CROSS JOIN messages m ON m.id = r.message_id
    WHERE r.id > :numbered ORDER BY r.id
""")
_MOVE = text("UPDATE message_search_state SET message_id = (SELECT id FROM messages WHERE rowid = :last)")
_MERGE = text("INSERT INTO message_search(message_search, rank) VALUES ('merge', :pages)")
_CLEAN = text("SELECT gin_clean_pending_list('ix_messages_search')")
# It takes some tens of milliseconds of the writer's thread.
_MERGE_PAGES = 200
_FILL_ROWS = 200


# Whether there are messages that no search finds yet, since a version before searches wrote them.
INCOMPLETE = exists().where(MessageTable.search.is_(None)).correlate(None).label("incomplete")


def is_incomplete(connection: Connection) -> bool:
    """Whether there are messages that no search finds yet."""
    return bool(connection.scalar(select(INCOMPLETE)))


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
    return connection.dialect.name != "sqlite" or connection.scalar(_UNFED, {"count": _FEED_ROWS}) is not None


def tend(connection: Connection) -> bool:
    """Bring new messages into the index proper, as many as takes a moment. Whether there are many more."""
    if connection.dialect.name != "sqlite":
        connection.execute(_CLEAN)
        return False
    last = connection.scalar(_LAST, {"count": _FEED_ROWS})
    if last is None:
        return False
    numbered = connection.scalar(_NEWEST_NUMBER)
    connection.execute(_NUMBER, {"last": last})
    connection.execute(_FEED, {"numbered": numbered})
    connection.execute(_MOVE, {"last": last})
    connection.execute(_MERGE, {"pages": _MERGE_PAGES})
    return has_to_be_tended(connection)
