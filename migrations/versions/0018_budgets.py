"""Budgets: what was used of them on a day, and what model calls under way may use."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Migrate to this revision."""
    op.create_table(
        "budget_days",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_pico_usd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", "day", name="pk_budget_days"),
    )
    op.create_index("ix_budget_days_day", "budget_days", ["day"])
    op.create_table(
        "budget_claims",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_pico_usd", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", "kind", name="pk_budget_claims"),
    )
    op.create_index("ix_budget_claims_kind_subject_id_day", "budget_claims", ["kind", "subject_id", "day"])
    op.create_index("ix_budget_claims_expires_at", "budget_claims", ["expires_at"])


def downgrade() -> None:
    """Return to model calls without budgets."""
    op.drop_table("budget_claims")
    op.drop_table("budget_days")
