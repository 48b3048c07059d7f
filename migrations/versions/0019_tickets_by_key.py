"""Tickets by their key or token, since they are deleted with it, and tokens come and go in great numbers."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.create_index("ix_tickets_key_id", "tickets", ["key_id"])


def downgrade() -> None:
    """Return to tickets without it."""
    op.drop_index("ix_tickets_key_id", "tickets")
