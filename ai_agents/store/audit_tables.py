"""The tables of the audit log. The database itself refuses to change or delete their rows.

An entry names users by pseudonyms alone; who they are is in `audit_people`, which the erasure of a user empties. The
owner of the database can switch the triggers off: what is changed then is what `audit_chain.verify` finds.
"""

from typing import Any, cast

from sqlalchemy import DDL, JSON, Index, Integer, String, Table, Text, event
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base, TimestampType


class AuditPersonTable(Base):
    """A user of the audit log. The `id` is a hash of `salt` and `user_id`: an erased user, who has lost both, cannot be
    guessed from it, and another name put in their place does not fit it.
    """

    __tablename__ = "audit_people"
    __table_args__ = (Index("ix_audit_people_user_id", "user_id", unique=True),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str | None] = mapped_column(Text)
    salt: Mapped[str | None] = mapped_column(String(32))


class AuditEntryTable(Base):
    """What was done; see `core.audit_rows.AuditEntry`. `batch` is null until the chain covers the entry.

    `actor` and `subject` are ids of `audit_people`, and so is `resource_id` where the resource is a user.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_created_at_id", "created_at", "id"),
        Index("ix_audit_entries_actor_created_at", "actor", "created_at"),
        Index("ix_audit_entries_resource_id_created_at", "resource_id", "created_at"),
        Index("ix_audit_entries_batch_id", "batch", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    created_at: Mapped[str] = mapped_column(TimestampType)
    actor: Mapped[str | None] = mapped_column(String(32))
    key_id: Mapped[str | None] = mapped_column(String(36))
    action: Mapped[str] = mapped_column(String(32))
    operation: Mapped[str | None] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(8))
    resource_type: Mapped[str | None] = mapped_column(String(16))
    resource_id: Mapped[str | None] = mapped_column(String(64))
    subject: Mapped[str | None] = mapped_column(String(32))
    count: Mapped[int] = mapped_column(Integer)
    request_id: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    batch: Mapped[int | None] = mapped_column(Integer)


class AuditBatchTable(Base):
    """A link of the chain: `digest` is of its entries, `previous` the hash of the link before, `hash` of all of it."""

    __tablename__ = "audit_batches"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    created_at: Mapped[str] = mapped_column(TimestampType)
    entries: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(String(64))
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


# Of an entry, only the number of its batch is set, once. Migration 0016 makes the same.
_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_rows_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit_entries' THEN
        IF OLD.batch IS NULL AND to_jsonb(NEW) - 'batch' = to_jsonb(OLD) - 'batch' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'rows of the audit log are neither changed nor deleted';
END $$
"""
_POSTGRES_TRIGGERS = (
    "CREATE TRIGGER {table}_stay BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION audit_rows_stay()",
    "CREATE TRIGGER {table}_all_stay BEFORE TRUNCATE ON {table} EXECUTE FUNCTION audit_rows_stay()",
)
_REFUSE = "BEGIN SELECT RAISE(ABORT, 'rows of the audit log are neither changed nor deleted'); END"
_SQLITE_DELETE = f"CREATE TRIGGER {{table}}_stay BEFORE DELETE ON {{table}} {_REFUSE}"
_SQLITE_BATCHES = f"CREATE TRIGGER {{table}}_same BEFORE UPDATE ON {{table}} {_REFUSE}"
_VALUES = (
    "id, created_at, actor, key_id, action, operation, outcome, "
    "resource_type, resource_id, subject, count, request_id, details"
)
_SQLITE_ENTRIES = (
    f"CREATE TRIGGER {{table}}_same BEFORE UPDATE OF {_VALUES} ON {{table}} {_REFUSE}",
    f"CREATE TRIGGER {{table}}_batched BEFORE UPDATE OF batch ON {{table}} WHEN OLD.batch IS NOT NULL {_REFUSE}",
)


def _guard(model: type[Base], *sqlite: str) -> None:
    """Let the database refuse changes of the table, from its making on."""
    table = cast(Table, model.__table__)
    by_dialect = {"postgresql": (_POSTGRES_FUNCTION, *_POSTGRES_TRIGGERS), "sqlite": (_SQLITE_DELETE, *sqlite)}
    for dialect, statements in by_dialect.items():
        for statement in statements:
            made = DDL(statement.replace("{table}", table.name))  # type: ignore[no-untyped-call]  # it has no types
            made = made.execute_if(dialect=dialect)
            event.listen(table, "after_create", made)


_guard(AuditEntryTable, *_SQLITE_ENTRIES)
_guard(AuditBatchTable, _SQLITE_BATCHES)
