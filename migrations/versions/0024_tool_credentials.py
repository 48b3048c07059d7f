"""Users' own headers for tools that are called with them."""

import sqlalchemy as sa
from alembic import op

from ai_agents.store.models import TimestampType

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.create_table(
        "tool_credentials",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("tool", sa.String(64), nullable=False),
        sa.Column("sealed_headers", sa.Text(), nullable=False),
        sa.Column("created_at", TimestampType, nullable=False),
        sa.Column("updated_at", TimestampType, nullable=False),
        sa.ForeignKeyConstraint(["tool"], ["tools.name"], name="fk_tool_credentials_tool", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "tool", name="pk_tool_credentials"),
    )
    op.create_index("ix_tool_credentials_tool", "tool_credentials", ["tool"])


def downgrade() -> None:
    """Return to tools with headers of their own alone."""
    op.drop_table("tool_credentials")
