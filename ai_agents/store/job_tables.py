"""The tables of what is done in the background: jobs, periodic tasks, and the workers that are alive."""

from typing import Any

from sqlalchemy import JSON, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ai_agents.store.models import Base, TimestampType, id_column, partial_index


class JobTable(Base):
    """The outbox: background jobs, each written in the transaction that makes it necessary.

    There is one per thread, kind and range. `fence` rises with each claim, and every write of a claim checks it. Times
    in seconds of the database's clock since 1970: `lease_expires_at` is how long the claim holds, `due_at` when the job
    may begin, `sent_at` when it was last sent to a queue. `trace` is the `traceparent` of what made it necessary.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("thread_id", "kind", "range_key"),
        Index("ix_jobs_status_created_at", "status", "created_at"),
        Index("ix_jobs_created_at_id", "created_at", "id"),
        partial_index("ix_jobs_due", "due_at", where="status IN ('queued', 'running')"),
    )

    id: Mapped[str] = id_column()
    thread_id: Mapped[str | None] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))
    range_key: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[str] = mapped_column(TimestampType)
    finished_at: Mapped[str | None] = mapped_column(TimestampType)
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    fence: Mapped[int] = mapped_column(Integer, server_default="0")
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[float | None] = mapped_column(Float)
    due_at: Mapped[float] = mapped_column(Float, server_default="0")
    sent_at: Mapped[float | None] = mapped_column(Float)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    trace: Mapped[str | None] = mapped_column(String(55))


class PeriodicTaskTable(Base):
    """When a periodic task is next due, by the database's clock. The process that moves `due_at` on does the task."""

    __tablename__ = "periodic_tasks"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    due_at: Mapped[float] = mapped_column(Float)


class WorkerHeartbeatTable(Base):
    """A worker process that is alive. `seen_at` is in seconds of the database's clock since 1970."""

    __tablename__ = "worker_heartbeats"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    started_at: Mapped[str] = mapped_column(TimestampType)
    seen_at: Mapped[float] = mapped_column(Float)
