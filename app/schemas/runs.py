"""Runs: how a message was, or is being, answered."""

from typing import Any, Literal

from pydantic import Field

from app.schemas.common import Id, Page, Read, Timestamp, Usage


class RunError(Read):
    """Why a run failed: a problem, without what belongs to one request."""

    model_config = {"extra": "allow"}

    code: str
    detail: str


class RunRead(Read):
    """One turn of a thread."""

    id: Id
    thread_id: Id
    agent_id: Id
    agent_version: int
    user_id: str
    status: Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
    attempt: int
    usage: Usage | None
    cost: dict[str, Any] | None
    stop_reason: str | None
    error: RunError | None
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None


class RunPage(Page[RunRead]):
    """Runs, newest first."""


class LogEvent(Read):
    """One row of a thread's log; further members are the event's own."""

    model_config = {"extra": "allow"}

    seq: int
    type: str = Field(description="One of the event types that streams have, those that last.")
    created_at: Timestamp
    thread_id: Id
    run_id: Id | None = None


class EventPage(Page[LogEvent]):
    """Events, oldest first unless asked otherwise."""
