"""Background jobs."""

from typing import Any

from pydantic import Field

from ai_agents.core.types import JobKind, JobStatus
from app.schemas.common import DateTime, Id, Read, ReadPage


class JobRead(Read):
    """Work in the background. There is one job for each thread, kind and range."""

    id: Id
    thread_id: Id | None = Field(description="Null for a job that belongs to no thread.")
    kind: JobKind
    range_key: str = Field(description="Which part of the thread, or which user.")
    status: JobStatus
    attempts: int = Field(description="After the fifth the job is `failed`.")
    error: str | None = Field(description="Why the last attempt failed.")
    result: dict[str, Any] | None = Field(description="What the job did; for `erase_user` the receipt.")
    created_at: DateTime
    finished_at: DateTime | None


class JobPage(ReadPage[JobRead]):
    """Jobs, newest first."""
