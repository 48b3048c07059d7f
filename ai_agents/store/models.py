"""The tables of agents and threads, and what all tables are made of. Other subjects have files of their own.

Statements are written against these classes; rows leave the store as typed dicts.

JSON columns are PostgreSQL's `json`, not `jsonb`: it keeps the order of keys, so that a history renders to the same
bytes each time. Times are RFC 3339 texts with six decimals in Python. PostgreSQL stores them as timestamptz, SQLite as
that text, which sorts as the times do.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from ai_agents.core.ids import format_time

# The newest migration, with which `create_all` stamps a new database. A test compares it with migrations/.
SCHEMA_REVISION = "0039"
# The time of what has not happened yet.
LONG_AGO = "1970-01-01T00:00:00.000000Z"


class _PostgresTime(TypeDecorator[str]):
    """RFC 3339 text in Python, `timestamptz` in the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """The text as the driver takes it."""
        return None if value is None else datetime.fromisoformat(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """What the driver returns, as text."""
        return None if value is None else format_time(value)


# RFC 3339 text, in SQLite as it is.
TimestampType = String(32).with_variant(_PostgresTime(), "postgresql")


class Base(DeclarativeBase):
    """Constraints have the same names everywhere, so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012  # read by the declarative base, not state


def id_column() -> Mapped[str]:
    """The primary key of a table whose rows have ids."""
    return mapped_column(String(36), primary_key=True)


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of only those rows that fit the condition, on both databases."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


class AgentTable(Base):
    """An agent as it is now. A deleted agent keeps its row, so that its threads can be read."""

    __tablename__ = "agents"
    __table_args__ = (Index("ix_agents_created_at_id", "created_at", "id"),)

    id: Mapped[str] = id_column()
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[str] = mapped_column(TimestampType)
    updated_at: Mapped[str] = mapped_column(TimestampType)
    deleted_at: Mapped[str | None] = mapped_column(TimestampType)


class AgentVersionTable(Base):
    """One immutable version of an agent. `spec` holds every field except id, version and times.

    `counted_for`: see `store.totals`.
    """

    __tablename__ = "agent_versions"

    agent_id: Mapped[str] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[str] = mapped_column(TimestampType)
    counted_for: Mapped[str | None] = mapped_column(Text)


class ThreadTable(Base):
    """A thread. `last_seq` is the number of its log's newest row; raising it puts writers in order.

    `title_by` says who wrote the title, `user` or `job`; `version` becomes the ETag. `counted_for`: see `store.totals`.
    `summary_misses`: see `store.summaries`.
    `last_activity_at` has no index, since each turn changes it and the updates must stay HOT in PostgreSQL;
    `activity_hour`, in hours since 1970, changes once an hour at most.
    `trimmed_seq` is the number of the last row that retention has removed from the log (0: none), and `log_since_hour`
    from when on retention has to look at the log again: see `store.log_trimming`.
    A thread with `expires_at` is temporary: it is removed then, and until then it is in no list and counts for no user.
    """

    __tablename__ = "threads"
    __table_args__ = (
        Index("ix_threads_activity_hour", "activity_hour"),
        Index("ix_threads_created_at_id", "created_at", "id"),
        Index("ix_threads_log_since_hour", "log_since_hour"),
        Index("ix_threads_agent_id_created_at_id", "agent_id", "created_at", "id"),
        partial_index("ix_threads_counted_for", "counted_for", "id", where="counted_for IS NOT NULL"),
        partial_index("ix_threads_expires_at", "expires_at", where="expires_at IS NOT NULL"),
    )

    id: Mapped[str] = id_column()
    agent_id: Mapped[str] = mapped_column(ForeignKey("agents.id"))
    title: Mapped[str | None] = mapped_column(Text)
    title_by: Mapped[str | None] = mapped_column(String(8))
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    last_seq: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[str] = mapped_column(TimestampType)
    updated_at: Mapped[str] = mapped_column(TimestampType)
    counted_for: Mapped[str | None] = mapped_column(Text)
    summary_misses: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True))
    last_activity_at: Mapped[str] = mapped_column(TimestampType, server_default=LONG_AGO)
    activity_hour: Mapped[int] = mapped_column(Integer, server_default="0")
    expires_at: Mapped[str | None] = mapped_column(TimestampType)
    trimmed_seq: Mapped[int] = mapped_column(Integer, server_default="0")
    log_since_hour: Mapped[int] = mapped_column(Integer, server_default="0")


class SummaryTable(Base):
    """A summary of a thread's messages up to `covers_through_seq`. The one that covers most counts."""

    __tablename__ = "summaries"

    thread_id: Mapped[str] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"), primary_key=True)
    covers_through_seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[str] = mapped_column(TimestampType)


class RunTable(Base):
    """A run. A partial unique index allows a thread only one active run.

    `fence` rises with each owner, and every write of an owner checks it. `message_id` is the id of the message in
    progress, stored before its first delta is sent. `lease_expires_at` is in seconds of the database's clock since
    1970; for a run that waits for a person it is the first deadline of its calls. Of queued runs, the one with the
    lowest `queue_position` is next; 0 says that the run waits for a process, not for its thread. `notices` tell the
    client what happened on the way. `upstream` is what the provider said of its failure, for those who may change the
    agent. `key_id` is the key with which the message was sent, `by_admin` whether an admin sent it: a run that has
    waited asks for both again when it begins. `client_tools` and `overrides` came with the message, null where there
    are none. `steered` are messages that wait to join the run, or waited when it ended (null: none); see
    `core.table_rows.SteeredMessage`. `sender_id` is the author of the last one that joined, whose run it is now;
    `key_id`, `by_admin`, `client_tools` and `overrides` are then how that one was sent. `retry_of` is the run whose
    message this one answers anew. `trace` is the `traceparent` of what sent the message, null where there are no spans.
    """

    __tablename__ = "runs"
    __table_args__ = (
        partial_index(
            "uq_runs_one_active_per_thread", "thread_id", where="status IN ('running', 'waiting')", unique=True
        ),
        Index("ix_runs_thread_id_created_at_id", "thread_id", "created_at", "id"),
        partial_index("ix_runs_lease", "lease_expires_at", where="status = 'running'"),
        partial_index("ix_runs_waiting", "lease_expires_at", where="status = 'waiting'"),
        partial_index("ix_runs_queue", "thread_id", "queue_position", where="status = 'queued'"),
        partial_index("ix_runs_held", "id", where="status = 'queued' AND queue_position = 0"),
        partial_index(
            "ix_runs_at_once", "user_id", where="status = 'running' OR status = 'queued' AND queue_position = 0"
        ),
    )

    id: Mapped[str] = id_column()
    thread_id: Mapped[str] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"))
    agent_id: Mapped[str] = mapped_column(String(36))
    agent_version: Mapped[int] = mapped_column(Integer)
    user_id: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    user_message_id: Mapped[str] = mapped_column(String(36))
    message_id: Mapped[str | None] = mapped_column(String(36))
    queue_position: Mapped[int | None] = mapped_column(Integer)
    fence: Mapped[int] = mapped_column(Integer)
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[float | None] = mapped_column(Float)
    cancel_requested: Mapped[bool] = mapped_column(Boolean)
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    cost: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    stop_reason: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[str] = mapped_column(TimestampType)
    started_at: Mapped[str | None] = mapped_column(TimestampType)
    finished_at: Mapped[str | None] = mapped_column(TimestampType)
    notices: Mapped[list[Any] | None] = mapped_column(JSON)
    upstream: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    key_id: Mapped[str | None] = mapped_column(String(36))
    by_admin: Mapped[bool] = mapped_column(Boolean, server_default=false())
    client_tools: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    steered: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    sender_id: Mapped[str | None] = mapped_column(Text)
    overrides: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    retry_of: Mapped[str | None] = mapped_column(String(36))
    trace: Mapped[str | None] = mapped_column(String(55))


class MessageTable(Base):
    """A message. `seq` is that of its log row, null while the message is queued. Memory strategies never change it.

    `refused`: later requests leave it out, since the provider refuses every request with it, or since its author lost
    the right to send it before it could join a run. `superseded`: another run answers the same message; later requests
    and searches leave this answer out. `search`: its words, see `store.search_index`.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("thread_id", "seq"),
        partial_index("ix_messages_without_words", "id", where="search IS NULL"),
        partial_index("ix_messages_turn_starts", "thread_id", "seq", where="role = 'user'"),
        Index("ix_messages_run_id_seq", "run_id", "seq"),
    )

    id: Mapped[str] = id_column()
    thread_id: Mapped[str] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"))
    run_id: Mapped[str | None] = mapped_column(String(36))
    seq: Mapped[int | None] = mapped_column(Integer)
    role: Mapped[str] = mapped_column(String(16))
    parts: Mapped[list[Any]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[str | None] = mapped_column(Text)
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    created_at: Mapped[str] = mapped_column(TimestampType)
    cost: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    refused: Mapped[bool] = mapped_column(Boolean, server_default=false())
    search: Mapped[str | None] = mapped_column(Text)
    superseded: Mapped[bool] = mapped_column(Boolean, server_default=false())


class FileTable(Base):
    """An uploaded file. Files with the same content share one blob, which is stored under `sha256`.

    `facts` is what is known about the content without reading it: see `attachments.files`. A row with `deleted_at` is
    what is left of a deleted file that messages refer to. Its `sha256` is empty. `token_id` is the token that names
    agents with which it was uploaded, if it was one. A file with `expires_at` came with a message for a temporary
    thread: it counts for no user, and is removed once no message refers to it after that.
    """

    __tablename__ = "files"
    __table_args__ = (
        Index("ix_files_sha256", "sha256"),
        Index("ix_files_user_id", "user_id"),
        partial_index("ix_files_expires_at", "expires_at", where="expires_at IS NOT NULL"),
    )

    id: Mapped[str] = id_column()
    user_id: Mapped[str] = mapped_column(Text)
    filename: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[str] = mapped_column(TimestampType)
    deleted_at: Mapped[str | None] = mapped_column(TimestampType)
    token_id: Mapped[str | None] = mapped_column(String(36))
    expires_at: Mapped[str | None] = mapped_column(TimestampType)


class MessageFileTable(Base):
    """A message's reference to a file. It lets the readers of the message's thread read the file.

    `thread_id` is that of the message, repeated here so that one index answers who may read a file.
    """

    __tablename__ = "message_files"
    __table_args__ = (Index("ix_message_files_file_id_thread_id", "file_id", "thread_id"),)

    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id"), primary_key=True)
    thread_id: Mapped[str] = mapped_column(String(36))


class ThreadEventTable(Base):
    """A row of a thread's log, which grows at its end, and is trimmed at its beginning by retention.

    `data` is the event's JSON in one line, as clients get it.
    `resets`: after this row, the position in the message in progress starts at 0 again.
    """

    __tablename__ = "thread_events"
    __table_args__ = (Index("ix_thread_events_run_id_seq", "run_id", "seq"),)

    thread_id: Mapped[str] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    type: Mapped[str] = mapped_column(String(32))
    run_id: Mapped[str | None] = mapped_column(String(36))
    data: Mapped[str] = mapped_column(Text)
    resets: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[str] = mapped_column(TimestampType)


class ToolCallTable(Base):
    """The state of a tool call.

    `status` is `waiting` (for a person), `client` (for a result of the client, which makes the call), `approved`,
    `refused`, `started`, `finished`, or `unknown` where nothing tells how it ended. `approval` is a person's decision:
    `{"approved", "reason"}`. While a person is asked, `waits_since` is since when; `expires_at` is until when a call
    waits, for a person or the client, in seconds of the database's clock since 1970 (null: for ever). The index is on
    `waits_since`, not on `status`: calls that wait for no person keep HOT updates.
    """

    __tablename__ = "tool_calls"
    __table_args__ = (
        partial_index(
            "ix_tool_calls_waiting", "waits_since", "run_id", "tool_call_id", where="waits_since IS NOT NULL"
        ),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    tool_call_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    part: Mapped[dict[str, Any]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[str] = mapped_column(TimestampType)
    started_at: Mapped[str | None] = mapped_column(TimestampType)
    finished_at: Mapped[str | None] = mapped_column(TimestampType)
    approval: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    waits_since: Mapped[str | None] = mapped_column(TimestampType)
    expires_at: Mapped[float | None] = mapped_column(Float)


class AdminToolTable(Base):
    """A tool that an admin made: an HTTP call, or an MCP server with all of its tools.

    `spec` is the part that may be shown, `sealed_headers` the encrypted rest. For a server, `listing` is what it
    offered when it was last asked, and `approved` what an admin has approved, by name: see `core.table_rows.ToolRow`.
    `version` rises with each change.
    """

    __tablename__ = "tools"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    type: Mapped[str] = mapped_column(String(8))
    spec: Mapped[dict[str, Any]] = mapped_column(JSON)
    sealed_headers: Mapped[str | None] = mapped_column(Text)
    listing: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    approved: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[str] = mapped_column(TimestampType)
    updated_at: Mapped[str] = mapped_column(TimestampType)


class IdempotencyKeyTable(Base):
    """The answer to a request with this key: the run that answers it, or the whole answer.

    `message_id` is the message that it sent.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[str | None] = mapped_column(String(36))
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[str] = mapped_column(TimestampType)
    message_id: Mapped[str | None] = mapped_column(String(36))
