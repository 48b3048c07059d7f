"""Runs: how a message was, or is being, answered."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field

from app.schemas.common import Cost, Id, Page, Read, Strict, Timestamp, Usage


class RunError(Read):
    """Why a run failed: a problem, without what belongs to one request."""

    model_config = {"extra": "allow"}

    code: str
    detail: str


class ContextLeftOut(Read):
    """The oldest turns that the memory chose did not fit the model, so they were not sent to it."""

    code: Literal["context_left_out"]
    messages: int | None = Field(description="How many; null where so many were left out that they were not counted.")
    through_seq: int | None = Field(description="The place of the newest of them.")
    reason: Literal["window", "provider"] = Field(
        description="Known before it was asked, or because the provider refused the request as too long."
    )


class ToolMissing(Read):
    """A tool that the agent names is not there (any more), or off until an admin approves it: the run did without."""

    code: Literal["tool_missing"]
    tool: str


RunNotice = Annotated[ContextLeftOut | ToolMissing, Discriminator("code")]


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
    cost: Cost | None = Field(description="Of all its model calls; null where there was none, or no price is known.")
    stop_reason: str | None
    notices: list[RunNotice] = Field(description="What happened on the way.")
    error: RunError | None
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None


class RunPage(Page[RunRead]):
    """Runs, newest first."""


class Approval(Strict):
    """What a person says of a tool call that waits."""

    tool_call_id: Annotated[str, Field(min_length=1, max_length=64)]
    approved: bool
    reason: Annotated[str, Field(max_length=2000)] | None = Field(None, description="Told to the model.")


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
