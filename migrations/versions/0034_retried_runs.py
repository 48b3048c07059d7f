"""Runs that answer a message anew, and the answers that they supersede."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("runs", sa.Column("retry_of", sa.String(36), nullable=True))
    op.add_column("messages", sa.Column("superseded", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Return to runs that are not retried."""
    op.drop_column("messages", "superseded")
    op.drop_column("runs", "retry_of")
