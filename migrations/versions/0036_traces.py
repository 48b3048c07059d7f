"""The trace that a run or a job belongs to, in whatever process it goes on."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None
_TABLES = "runs", "jobs"


def upgrade() -> None:
    """Migrate to this revision."""
    for table in _TABLES:
        op.add_column(table, sa.Column("trace", sa.String(55), nullable=True))


def downgrade() -> None:
    """Return to runs and jobs that belong to no trace."""
    for table in _TABLES:
        op.drop_column(table, "trace")
