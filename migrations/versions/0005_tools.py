"""Tools that admins make; calls that wait for a person, and the decisions on them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WAITING = sa.text("status = 'waiting'")


def upgrade() -> None:
    """Migrate to this revision."""
    # RFC 3339 text on a database without such a type.
    timestamp = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
    op.create_table(
        "tools",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("type", sa.String(8), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("sealed_headers", sa.Text(), nullable=True),
        sa.Column("listing", sa.JSON(), nullable=True),
        sa.Column("approved", sa.JSON(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", timestamp, nullable=False),
        sa.Column("updated_at", timestamp, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_tools"),
    )
    op.add_column("tool_calls", sa.Column("approval", sa.JSON(), nullable=True))
    op.create_index("ix_runs_waiting", "runs", ["lease_expires_at"], sqlite_where=_WAITING, postgresql_where=_WAITING)


def downgrade() -> None:
    """Return to tools that only the process registers, and to runs without approvals."""
    op.drop_index("ix_runs_waiting", "runs")
    op.drop_column("tool_calls", "approval")
    op.drop_table("tools")
