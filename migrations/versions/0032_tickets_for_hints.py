"""Tickets without a thread, which let a browser follow all threads of its user."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    with op.batch_alter_table("tickets") as tickets:
        tickets.alter_column("thread_id", existing_type=sa.String(36), nullable=True)


def downgrade() -> None:
    """Return to tickets that are all for a thread."""
    op.execute("DELETE FROM tickets WHERE thread_id IS NULL")
    with op.batch_alter_table("tickets") as tickets:
        tickets.alter_column("thread_id", existing_type=sa.String(36), nullable=False)
