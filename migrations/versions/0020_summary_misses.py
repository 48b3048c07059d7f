"""Threads with what came of the summaries that were asked for in vain, so that they are asked for ever more seldom."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("threads", sa.Column("summary_misses", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Return to threads without it."""
    op.drop_column("threads", "summary_misses")
