"""How much each user has of what has a quota, and the users for which threads and versions of agents count.

Rows of the time before count for the first owner of their thread or agent; they are not rewritten.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_FILES = """
    SELECT user_id, count(*) AS files, sum(size_bytes) AS files_bytes, 0 AS threads, 0 AS agent_versions
    FROM files WHERE deleted_at IS NULL GROUP BY user_id
"""
_FIRST_OWNERS = """
    FROM roles
    WHERE roles.resource_type = '{kind}' AND roles.role = 'owner' AND NOT EXISTS (
        SELECT 1 FROM roles AS earlier
        WHERE earlier.resource_type = roles.resource_type AND earlier.resource_id = roles.resource_id
        AND earlier.role = 'owner' AND earlier.id < roles.id
    )
"""
_THREADS = f"""
    SELECT roles.user_id, 0 AS files, 0 AS files_bytes, count(*) AS threads, 0 AS agent_versions
    {_FIRST_OWNERS.format(kind="thread")}
    GROUP BY roles.user_id
"""
_VERSIONS = f"""
    SELECT owners.user_id, 0 AS files, 0 AS files_bytes, 0 AS threads, count(*) AS agent_versions
    FROM (SELECT roles.user_id, roles.resource_id {_FIRST_OWNERS.format(kind="agent")}) AS owners
    JOIN agents ON agents.id = owners.resource_id AND agents.deleted_at IS NULL
    JOIN agent_versions ON agent_versions.agent_id = agents.id
    GROUP BY owners.user_id
"""  # noqa: S608  # made of constants


def upgrade() -> None:
    """Migrate to this revision."""
    names = ("files", "files_bytes", "threads", "agent_versions")
    op.create_table(
        "user_totals",
        sa.Column("user_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in names),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_totals"),
    )
    op.add_column("threads", sa.Column("counted_for", sa.Text(), nullable=True))
    op.add_column("agent_versions", sa.Column("counted_for", sa.Text(), nullable=True))
    where = sa.text("counted_for IS NOT NULL")
    columns = ["counted_for", "id"]
    op.create_index("ix_threads_counted_for", "threads", columns, sqlite_where=where, postgresql_where=where)
    at_once = sa.text("status = 'running' OR status = 'queued' AND queue_position = 0")
    op.create_index("ix_runs_at_once", "runs", ["user_id"], sqlite_where=at_once, postgresql_where=at_once)
    sums = ", ".join(f"sum({name})" for name in names)
    counted = f"SELECT user_id, {sums} FROM ({_FILES} UNION ALL {_THREADS} UNION ALL {_VERSIONS}) AS counted"  # noqa: S608  # made of constants
    op.execute(f"INSERT INTO user_totals (user_id, {', '.join(names)}) {counted} GROUP BY user_id")


def downgrade() -> None:
    """Return to a service without quotas."""
    op.drop_index("ix_runs_at_once", "runs")
    op.drop_index("ix_threads_counted_for", "threads")
    op.drop_column("agent_versions", "counted_for")
    op.drop_column("threads", "counted_for")
    op.drop_table("user_totals")
