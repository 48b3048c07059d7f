"""Runs with the tools that came with their message, which the client runs itself."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("runs", sa.Column("client_tools", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Return to runs without them."""
    op.drop_column("runs", "client_tools")
