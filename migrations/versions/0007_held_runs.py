"""An index of the queued runs that wait for a process."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    held = sa.text("status = 'queued' AND queue_position = 0")
    op.create_index("ix_runs_held", "runs", ["id"], sqlite_where=held, postgresql_where=held)


def downgrade() -> None:
    """Return to queues of threads alone. Runs that wait for a process are cancelled: none would begin them."""
    op.drop_index("ix_runs_held", "runs")
    op.execute(sa.text("UPDATE runs SET status = 'cancelled' WHERE status = 'queued' AND queue_position = 0"))
