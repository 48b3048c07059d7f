"""The words of messages, by which they are searched. What is stored already gets them from a job."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_ON_SQLITE = (
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
_ON_POSTGRESQL = (
    """CREATE INDEX ix_messages_search ON messages
        USING gin (array_to_tsvector(string_to_array(btrim(search), '  ')))
        WITH (fastupdate = on, gin_pending_list_limit = 16384) WHERE search <> ''""",
)


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("messages", sa.Column("search", sa.Text()))
    where = sa.text("search IS NULL")
    op.create_index("ix_messages_without_words", "messages", ["id"], sqlite_where=where, postgresql_where=where)
    for statement in _ON_SQLITE if op.get_bind().dialect.name == "sqlite" else _ON_POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    """Return to messages without words."""
    if op.get_bind().dialect.name == "sqlite":
        for name in ("changed", "deleted"):
            op.execute(f"DROP TRIGGER message_search_{name}")
        for name in ("message_search", "message_search_rows", "message_search_state"):
            op.execute(f"DROP TABLE {name}")
    else:
        op.drop_index("ix_messages_search", "messages")
    op.drop_index("ix_messages_without_words", "messages")
    op.drop_column("messages", "search")
