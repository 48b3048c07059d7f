"""How far the logs of threads are trimmed, and when retention looks at them next."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("threads", sa.Column("trimmed_seq", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("threads", sa.Column("log_since_hour", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Return to logs that only grow."""
    op.drop_column("threads", "log_since_hour")
    op.drop_column("threads", "trimmed_seq")
