"""The first schema: agents, threads with their logs, runs, roles and keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Each table refers only to those before it.
_TABLES = (
    "agents",
    "agent_versions",
    "threads",
    "summaries",
    "runs",
    "messages",
    "thread_events",
    "tool_calls",
    "jobs",
    "roles",
    "api_keys",
    "tickets",
    "idempotency_keys",
    "token_ratios",
)


def upgrade() -> None:
    """Migrate to this revision."""
    _create_agents()
    _create_threads()
    _create_runs()
    _create_history()
    _create_tool_calls_and_jobs()
    _create_access()
    _create_token_ratios()


def downgrade() -> None:
    """Return to an empty database."""
    for table in reversed(_TABLES):
        op.drop_table(table)


def _id(name: str = "id", *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(36), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    # RFC 3339 text on a database without such a type.
    return sa.Column(name, sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"), nullable=nullable)


def _of_thread(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], f"fk_{table}_thread_id", ondelete="CASCADE")


def _create_partial_index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _create_agents() -> None:
    op.create_table(
        "agents",
        _id(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        _time("deleted_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
    )
    op.create_index("ix_agents_created_at_id", "agents", ["created_at", "id"])
    op.create_table(
        "agent_versions",
        _id("agent_id"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        _time("created_at"),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], "fk_agent_versions_agent_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent_id", "version", name="pk_agent_versions"),
    )


def _create_threads() -> None:
    op.create_table(
        "threads",
        _id(),
        _id("agent_id"),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("title_by", sa.String(8), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], "fk_threads_agent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_threads"),
    )
    op.create_index("ix_threads_created_at_id", "threads", ["created_at", "id"])
    op.create_index("ix_threads_agent_id_created_at_id", "threads", ["agent_id", "created_at", "id"])
    op.create_table(
        "summaries",
        _id("thread_id"),
        sa.Column("covers_through_seq", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        _time("created_at"),
        _of_thread("summaries"),
        sa.PrimaryKeyConstraint("thread_id", "covers_through_seq", "number", name="pk_summaries"),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        _id(),
        _id("thread_id"),
        _id("agent_id"),
        sa.Column("agent_version", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        _id("user_message_id"),
        _id("message_id", nullable=True),
        sa.Column("queue_position", sa.Integer(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(64), nullable=True),
        sa.Column("lease_expires_at", sa.Float(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("usage", sa.JSON(), nullable=True),
        sa.Column("cost", sa.JSON(), nullable=True),
        sa.Column("stop_reason", sa.String(32), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        _time("created_at"),
        _time("started_at", nullable=True),
        _time("finished_at", nullable=True),
        _of_thread("runs"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_thread_id_created_at_id", "runs", ["thread_id", "created_at", "id"])
    one_active = "status IN ('running', 'waiting')"
    _create_partial_index("uq_runs_one_active_per_thread", "runs", ["thread_id"], one_active, unique=True)
    _create_partial_index("ix_runs_lease", "runs", ["lease_expires_at"], "status = 'running'")
    _create_partial_index("ix_runs_queue", "runs", ["thread_id", "queue_position"], "status = 'queued'")


def _create_history() -> None:
    op.create_table(
        "messages",
        _id(),
        _id("thread_id"),
        _id("run_id", nullable=True),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("usage", sa.JSON(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        _time("created_at"),
        _of_thread("messages"),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("thread_id", "seq", name="uq_messages_thread_id_seq"),
    )
    op.create_index("ix_messages_run_id_seq", "messages", ["run_id", "seq"])
    _create_partial_index("ix_messages_turn_starts", "messages", ["thread_id", "seq"], "role = 'user'")
    op.create_table(
        "thread_events",
        _id("thread_id"),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        _id("run_id", nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("resets", sa.Boolean(), nullable=False),
        _time("created_at"),
        _of_thread("thread_events"),
        sa.PrimaryKeyConstraint("thread_id", "seq", name="pk_thread_events"),
    )
    op.create_index("ix_thread_events_run_id_seq", "thread_events", ["run_id", "seq"])


def _create_tool_calls_and_jobs() -> None:
    op.create_table(
        "tool_calls",
        _id("run_id"),
        sa.Column("tool_call_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("part", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        _time("created_at"),
        _time("started_at", nullable=True),
        _time("finished_at", nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], "fk_tool_calls_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "tool_call_id", name="pk_tool_calls"),
    )
    op.create_table(
        "jobs",
        _id(),
        _id("thread_id"),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("range_key", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        _time("created_at"),
        _time("finished_at", nullable=True),
        _of_thread("jobs"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("thread_id", "kind", "range_key", name="uq_jobs_thread_id_kind_range_key"),
    )
    op.create_index("ix_jobs_status_created_at", "jobs", ["status", "created_at"])


def _create_access() -> None:
    op.create_table(
        "roles",
        _id(),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("resource_type", sa.String(16), nullable=False),
        _id("resource_id"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_roles"),
        sa.UniqueConstraint(
            "resource_type", "resource_id", "user_id", name="uq_roles_resource_type_resource_id_user_id"
        ),
    )
    columns = ["user_id", "resource_type", "resource_id"]
    op.create_index("ix_roles_user_id_resource_type_resource_id", "roles", columns)
    op.create_table(
        "api_keys",
        _id(),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.String(32), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        _time("created_at"),
        _time("expires_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
    op.create_table(
        "tickets",
        _id(),
        _id("thread_id"),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        _id("key_id", nullable=True),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        _time("created_at"),
        _time("expires_at"),
        sa.PrimaryKeyConstraint("id", name="pk_tickets"),
        _of_thread("tickets"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], "fk_tickets_key_id", ondelete="CASCADE"),
    )
    op.create_index("ix_tickets_expires_at", "tickets", ["expires_at"])
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        _id("run_id", nullable=True),
        sa.Column("answer", sa.JSON(), nullable=True),
        _time("created_at"),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _create_token_ratios() -> None:
    op.create_table(
        "token_ratios",
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("ratio", sa.Float(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("provider", "model", name="pk_token_ratios"),
    )
