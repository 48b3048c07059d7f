"""The audit log: entries and the chain over them, which the database itself keeps, and who its pseudonyms stand for."""

import sqlalchemy as sa
from alembic import op

from ai_agents.store.models import TimestampType

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_KEPT = ("audit_entries", "audit_batches")
_FUNCTION = """
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
_REFUSE = "BEGIN SELECT RAISE(ABORT, 'rows of the audit log are neither changed nor deleted'); END"
_VALUES = (
    "id, created_at, actor, key_id, action, operation, outcome, "
    "resource_type, resource_id, subject, count, request_id, details"
)


def upgrade() -> None:
    """Migrate to this revision."""
    op.create_table(
        "audit_people",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("salt", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_people"),
    )
    op.create_index("ix_audit_people_user_id", "audit_people", ["user_id"], unique=True)
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("created_at", TimestampType, nullable=False),
        sa.Column("actor", sa.String(32), nullable=True),
        sa.Column("key_id", sa.String(36), nullable=True),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("operation", sa.String(64), nullable=True),
        sa.Column("outcome", sa.String(8), nullable=False),
        sa.Column("resource_type", sa.String(16), nullable=True),
        sa.Column("resource_id", sa.String(64), nullable=True),
        sa.Column("subject", sa.String(32), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entries"),
    )
    op.create_index("ix_audit_entries_created_at_id", "audit_entries", ["created_at", "id"])
    op.create_index("ix_audit_entries_actor_created_at", "audit_entries", ["actor", "created_at"])
    op.create_index("ix_audit_entries_resource_id_created_at", "audit_entries", ["resource_id", "created_at"])
    op.create_index("ix_audit_entries_batch_id", "audit_entries", ["batch", "id"])
    op.create_table(
        "audit_batches",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", TimestampType, nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_batches"),
    )
    _keep_on_postgres() if op.get_bind().dialect.name == "postgresql" else _keep_on_sqlite()


def _keep_on_postgres() -> None:
    op.execute(_FUNCTION)
    does = "EXECUTE FUNCTION audit_rows_stay()"
    for table in _KEPT:
        op.execute(f"CREATE TRIGGER {table}_stay BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {does}")
        op.execute(f"CREATE TRIGGER {table}_all_stay BEFORE TRUNCATE ON {table} {does}")


def _keep_on_sqlite() -> None:
    for table in _KEPT:
        op.execute(f"CREATE TRIGGER {table}_stay BEFORE DELETE ON {table} {_REFUSE}")
    op.execute(f"CREATE TRIGGER audit_batches_same BEFORE UPDATE ON audit_batches {_REFUSE}")
    op.execute(f"CREATE TRIGGER audit_entries_same BEFORE UPDATE OF {_VALUES} ON audit_entries {_REFUSE}")
    once = "WHEN OLD.batch IS NOT NULL"
    op.execute(f"CREATE TRIGGER audit_entries_batched BEFORE UPDATE OF batch ON audit_entries {once} {_REFUSE}")


def downgrade() -> None:
    """Return to a service without an audit log. What it holds is lost."""
    for table in ("audit_batches", "audit_entries", "audit_people"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_rows_stay()")
