"""Background jobs."""

from typing import Any

from pydantic import Field

from ai_agents.core.types import JobStatus
from app.schemas.common import Id, Page, Read, Timestamp


class JobRead(Read):
    """A job: something done in the background, once for its thread, kind and range."""

    id: Id
    thread_id: Id | None = Field(description="Null for what is of no thread.")
    kind: str = Field(description="`title`, `summarize`, `retention` or `erase_user`.")
    range_key: str = Field(description="Which part of the thread, or who: a job is there once for each.")
    status: JobStatus
    attempts: int = Field(description="After five it is given up: `failed`.")
    error: str | None = Field(description="Why the last attempt failed.")
    result: dict[str, Any] | None = Field(description="What it has done; for `erase_user` the receipt.")
    created_at: Timestamp
    finished_at: Timestamp | None


class JobPage(Page[JobRead]):
    """Jobs, newest first."""
