"""Runs with the messages that wait to join them, and their newest author; idempotency keys with their message."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("runs", sa.Column("steered", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("runs", sa.Column("sender_id", sa.Text(), nullable=True))
    op.add_column("idempotency_keys", sa.Column("message_id", sa.String(36), nullable=True))


def downgrade() -> None:
    """Return to runs that no message joins."""
    op.drop_column("idempotency_keys", "message_id")
    op.drop_column("runs", "sender_id")
    op.drop_column("runs", "steered")
