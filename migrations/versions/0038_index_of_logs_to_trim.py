"""An index by which retention finds the threads whose logs it has to look at."""

from alembic import op

from ai_agents.store.migration_steps import create_index_beside

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    create_index_beside("ix_threads_log_since_hour", "threads", ["log_since_hour"])


def downgrade() -> None:
    """Return to a schema without it."""
    op.drop_index("ix_threads_log_since_hour", "threads")
