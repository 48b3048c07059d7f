"""When something last happened in a thread, and the hour of it, by which threads are found."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_LONG_AGO = "1970-01-01T00:00:00.000000Z"
# How many threads are filled by one statement.
_THREADS = 2_000
_HOUR = {
    "postgresql": "floor(extract(epoch from {time}) / 3600)::integer",
    "sqlite": "cast(strftime('%s', {time}) as integer) / 3600",
}
_FILL = """
    UPDATE threads SET last_activity_at = {time}, activity_hour = {hour}
    WHERE id > :after AND id <= :last
"""
_TIME = """coalesce((
    SELECT e.created_at FROM thread_events e WHERE e.thread_id = threads.id AND e.run_id IS NOT NULL
    ORDER BY e.seq DESC LIMIT 1
), threads.created_at)"""


def upgrade() -> None:
    """Migrate to this revision."""
    connection = op.get_bind()
    time = sa.DateTime(timezone=True) if connection.dialect.name == "postgresql" else sa.String(32)
    op.add_column("threads", sa.Column("last_activity_at", time, nullable=False, server_default=_LONG_AGO))
    op.add_column("threads", sa.Column("activity_hour", sa.Integer(), nullable=False, server_default="0"))
    hour = _HOUR[connection.dialect.name].format(time=_TIME)
    fill = sa.text(_FILL.format(time=_TIME, hour=hour))
    nth = sa.text("SELECT max(id) FROM (SELECT id FROM threads WHERE id > :after ORDER BY id LIMIT :count) AS batch")
    after = ""
    while (last := connection.execute(nth, {"after": after, "count": _THREADS}).scalar()) is not None:
        connection.execute(fill, {"after": after, "last": last})
        after = last
    op.create_index("ix_threads_activity_hour", "threads", ["activity_hour"])


def downgrade() -> None:
    """Return to threads without it."""
    op.drop_index("ix_threads_activity_hour", "threads")
    op.drop_column("threads", "activity_hour")
    op.drop_column("threads", "last_activity_at")
