"""Jobs that are claimed, sent and tried again; periodic tasks; heartbeats of workers."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OPEN = sa.text("status IN ('queued', 'running')")


def upgrade() -> None:
    """Migrate to this revision."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("thread_id", existing_type=sa.String(36), nullable=True)
        jobs.add_column(sa.Column("payload", sa.JSON(), nullable=True))
        jobs.add_column(sa.Column("fence", sa.Integer(), nullable=False, server_default="0"))
        jobs.add_column(sa.Column("lease_owner", sa.String(64), nullable=True))
        jobs.add_column(sa.Column("lease_expires_at", sa.Float(), nullable=True))
        jobs.add_column(sa.Column("due_at", sa.Float(), nullable=False, server_default="0"))
        jobs.add_column(sa.Column("sent_at", sa.Float(), nullable=True))
        jobs.add_column(sa.Column("result", sa.JSON(), nullable=True))
    op.create_index("ix_jobs_created_at_id", "jobs", ["created_at", "id"])
    op.create_index("ix_jobs_due", "jobs", ["due_at"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_table(
        "periodic_tasks",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_periodic_tasks"),
    )
    op.create_table(
        "worker_heartbeats",
        sa.Column("id", sa.String(64), nullable=False),
        # RFC 3339 text on a database without such a type.
        sa.Column("started_at", sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_worker_heartbeats"),
    )


def downgrade() -> None:
    """Return to jobs without claims. Jobs that belong to no thread are deleted."""
    op.drop_table("worker_heartbeats")
    op.drop_table("periodic_tasks")
    op.drop_index("ix_jobs_due", "jobs")
    op.drop_index("ix_jobs_created_at_id", "jobs")
    op.execute(sa.text("DELETE FROM jobs WHERE thread_id IS NULL"))
    with op.batch_alter_table("jobs") as jobs:
        for column in ("result", "sent_at", "due_at", "lease_expires_at", "lease_owner", "fence", "payload"):
            jobs.drop_column(column)
        jobs.alter_column("thread_id", existing_type=sa.String(36), nullable=False)
