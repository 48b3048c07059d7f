"""Threads and files that are removed at a time of their own."""

import sqlalchemy as sa
from alembic import op

from ai_agents.store.models import TimestampType

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None
_TABLES = ("threads", "files")


def upgrade() -> None:
    """Migrate to this revision."""
    for table in _TABLES:
        op.add_column(table, sa.Column("expires_at", TimestampType))
        where = sa.text("expires_at IS NOT NULL")
        op.create_index(f"ix_{table}_expires_at", table, ["expires_at"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Return to threads and files that stay."""
    for table in _TABLES:
        op.drop_index(f"ix_{table}_expires_at", table)
        op.drop_column(table, "expires_at")
