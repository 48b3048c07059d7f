"""Foreign ids of which something is said before there is a thread: conversations of OpenAI."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("foreign_ids", sa.Column("facts", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Return to ids alone."""
    op.drop_column("foreign_ids", "facts")
