"""The key with which a run's message was sent, and whether an admin sent it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("runs", sa.Column("key_id", sa.String(36), nullable=True))
    op.add_column("runs", sa.Column("by_admin", sa.Boolean(), nullable=False, server_default=sa.false()))
    # What waits now was accepted, and admins need no roles for it.
    admins = "user_id = 'admin' OR user_id IN (SELECT user_id FROM api_keys WHERE admin)"
    op.execute(
        sa.text(f"UPDATE runs SET by_admin = true WHERE status IN ('queued', 'running', 'waiting') AND ({admins})")  # noqa: S608  # no input
    )


def downgrade() -> None:
    """Return to runs that begin without being asked."""
    op.drop_column("runs", "by_admin")
    op.drop_column("runs", "key_id")
