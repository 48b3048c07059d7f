"""What the databases need to find messages by their words, besides the column: see `store.search_index`."""

from typing import cast

from sqlalchemy import DDL, Table, event

from ai_agents.store.models import MessageTable

# What `create_all` executes with the table; a migration has the same.
ON_SQLITE = (
    # Words are apart already, and every byte beyond ASCII is part of one. `tend` merges, never a message's transaction.
    "CREATE VIRTUAL TABLE message_search USING fts5(words, content='', tokenize='ascii')",
    "INSERT INTO message_search(message_search, rank) VALUES ('automerge', 0)",
    "INSERT INTO message_search(message_search, rank) VALUES ('crisismerge', 1999)",
    "CREATE TABLE message_search_rows (id INTEGER PRIMARY KEY, message_id VARCHAR(36) NOT NULL UNIQUE)",
    """CREATE TRIGGER message_search_added AFTER INSERT ON messages WHEN new.search <> '' BEGIN
        INSERT INTO message_search_rows(message_id) VALUES (new.id);
    END""",
    """CREATE TRIGGER message_search_changed AFTER UPDATE OF search ON messages WHEN old.search IS NOT new.search BEGIN
        INSERT INTO message_search(message_search, rowid, words)
            SELECT 'delete', r.id, old.search FROM message_search_rows r
            WHERE r.message_id = old.id AND r.id <= (SELECT max(id) FROM message_search_docsize);
        DELETE FROM message_search_rows WHERE message_id = old.id;
        INSERT INTO message_search_rows(message_id) SELECT new.id WHERE new.search <> '';
    END""",
    """CREATE TRIGGER message_search_deleted AFTER DELETE ON messages WHEN old.search <> '' BEGIN
        INSERT INTO message_search(message_search, rowid, words)
            SELECT 'delete', r.id, old.search FROM message_search_rows r
            WHERE r.message_id = old.id AND r.id <= (SELECT max(id) FROM message_search_docsize);
        DELETE FROM message_search_rows WHERE message_id = old.id;
    END""",
)
# The pending list is emptied by `tend`; past this size, in KB, by the transaction of a message.
ON_POSTGRESQL = (
    """CREATE INDEX ix_messages_search ON messages
        USING gin (array_to_tsvector(string_to_array(btrim(search), '  ')))
        WITH (fastupdate = on, gin_pending_list_limit = 16384) WHERE search <> ''""",
)
for _dialect, _statements in (("sqlite", ON_SQLITE), ("postgresql", ON_POSTGRESQL)):
    for _statement in _statements:
        _after = DDL(_statement).execute_if(dialect=_dialect)  # type: ignore[no-untyped-call]  # SQLAlchemy's
        event.listen(cast(Table, MessageTable.__table__), "after_create", _after)
