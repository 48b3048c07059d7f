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
    "CREATE TABLE message_search_state (id INTEGER PRIMARY KEY, message_id VARCHAR(36))",
    "INSERT INTO message_search_state(id, message_id) VALUES (1, NULL)",
    """CREATE TRIGGER message_search_changed AFTER UPDATE OF search ON messages WHEN old.search IS NOT new.search BEGIN
        INSERT INTO message_search(message_search, rowid, words)
            SELECT 'delete', id, old.search FROM message_search_rows WHERE message_id = old.id;
        DELETE FROM message_search_rows WHERE message_id = old.id;
        INSERT INTO message_search_rows(message_id) SELECT new.id WHERE new.search <> '' AND new.rowid <= (
            SELECT m.rowid FROM messages m JOIN message_search_state s ON s.message_id = m.id
        );
        INSERT INTO message_search(rowid, words)
            SELECT id, new.search FROM message_search_rows WHERE message_id = new.id;
    END""",
    """CREATE TRIGGER message_search_deleted AFTER DELETE ON messages BEGIN
        INSERT INTO message_search(message_search, rowid, words)
            SELECT 'delete', id, old.search FROM message_search_rows WHERE message_id = old.id;
        DELETE FROM message_search_rows WHERE message_id = old.id;
        UPDATE message_search_state SET message_id = (
            SELECT id FROM messages WHERE rowid < old.rowid ORDER BY rowid DESC LIMIT 1
        ) WHERE message_id = old.id;
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
