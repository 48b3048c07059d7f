"""Tokens and costs of model calls, costs of messages, and notices of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.create_table(
        "model_calls",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=True),
        sa.Column("thread_id", sa.String(36), nullable=True),
        sa.Column("agent_id", sa.String(36), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("cost_pico_usd", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(16), nullable=False),
        # RFC 3339 text on a database without such a type.
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_model_calls"),
    )
    op.create_index("ix_model_calls_created_at", "model_calls", ["created_at"])
    op.create_index("ix_model_calls_user_id_created_at", "model_calls", ["user_id", "created_at"])
    op.add_column("messages", sa.Column("cost", sa.JSON(), nullable=True))
    op.add_column("runs", sa.Column("notices", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Return to a schema without costs."""
    op.drop_column("runs", "notices")
    op.drop_column("messages", "cost")
    op.drop_table("model_calls")
