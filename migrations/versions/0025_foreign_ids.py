"""What clients of other protocols call threads."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    time = sa.DateTime(timezone=True) if op.get_bind().dialect.name == "postgresql" else sa.String(32)
    op.create_table(
        "foreign_ids",
        sa.Column("user_id", sa.Text(), primary_key=True),
        sa.Column("door", sa.String(32), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("agent_id", sa.String(36)),
        sa.Column(
            "thread_id",
            sa.String(36),
            sa.ForeignKey("threads.id", name="fk_foreign_ids_thread_id", ondelete="CASCADE"),
        ),
        sa.Column("created_at", time, nullable=False),
    )
    op.create_index("ix_foreign_ids_thread_id", "foreign_ids", ["thread_id"])


def downgrade() -> None:
    """Return to threads that only this service names."""
    op.drop_table("foreign_ids")
