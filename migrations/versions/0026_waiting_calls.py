"""Tool calls with the time since when they wait for a person, and until when."""

import sqlalchemy as sa
from alembic import op

from ai_agents.store.models import TimestampType

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_WAITS = "waits_since IS NOT NULL"
# Only the runs that wait now are read, along their index.
_FILL = """
    UPDATE tool_calls SET
        waits_since = created_at,
        expires_at = (SELECT r.lease_expires_at FROM runs r WHERE r.id = tool_calls.run_id)
    WHERE status = 'waiting' AND run_id IN (SELECT id FROM runs WHERE status = 'waiting')
"""


def upgrade() -> None:
    """Migrate to this revision."""
    op.add_column("tool_calls", sa.Column("waits_since", TimestampType, nullable=True))
    op.add_column("tool_calls", sa.Column("expires_at", sa.Float(), nullable=True))
    op.execute(_FILL)
    op.create_index(
        "ix_tool_calls_waiting",
        "tool_calls",
        ["waits_since", "run_id", "tool_call_id"],
        sqlite_where=sa.text(_WAITS),
        postgresql_where=sa.text(_WAITS),
    )


def downgrade() -> None:
    """Return to calls without it."""
    op.drop_index("ix_tool_calls_waiting", "tool_calls")
    op.drop_column("tool_calls", "expires_at")
    op.drop_column("tool_calls", "waits_since")
