"""The limits that admins set for single users."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.create_table(
        "user_limits",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_limits"),
    )
    op.create_index("ix_user_limits_changed_at", "user_limits", ["changed_at"])


def downgrade() -> None:
    """Return to the same limits for every user."""
    op.drop_table("user_limits")
