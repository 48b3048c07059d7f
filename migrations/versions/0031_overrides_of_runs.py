"""Runs with what their message says otherwise than the agent."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("runs", sa.Column("overrides", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Return to runs without them."""
    op.drop_column("runs", "overrides")
