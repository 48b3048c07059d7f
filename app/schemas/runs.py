"""Runs: how messages are answered, and the events of threads as a list."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, Field

from ai_agents.core.events import LastingEventType
from ai_agents.core.types import RunStatus, StopReason
from app.schemas.common import Cost, DateTime, Id, Read, ReadPage, Strict, TokenUsage


class RunErrorRead(Read):
    """Why a run failed: a problem without the members that belong to one request."""

    model_config = ConfigDict(title="RunError", extra="allow")

    code: str
    detail: str


class ContextLeftOutRead(Read):
    """The oldest turns that the memory chose did not fit the model, so they were not sent."""

    model_config = ConfigDict(title="ContextLeftOut")

    code: Literal["context_left_out"]
    messages: int | None = Field(description="How many; null if there were too many to count.")
    through_seq: int | None = Field(description="The `seq` of the newest of them.")
    reason: Literal["window", "provider"] = Field(
        description="The service knew it before the call, or the provider refused the request as too long."
    )


class ToolMissingRead(Read):
    """A tool that the agent names does not exist, or is off until an admin approves it. The run went on without it."""

    model_config = ConfigDict(title="ToolMissing")

    code: Literal["tool_missing"]
    tool: str


RunNotice = Annotated[ContextLeftOutRead | ToolMissingRead, Discriminator("code")]


class RunRead(Read):
    """How one message of a thread is answered."""

    id: Id
    thread_id: Id
    agent_id: Id
    agent_version: int
    user_id: str
    status: RunStatus
    attempt: int
    usage: TokenUsage | None
    cost: Cost | None = Field(description="Cost of all its model calls; null if there was none, or no price is known.")
    stop_reason: StopReason | None
    notices: list[RunNotice] = Field(description="What happened during the run that the user should know.")
    error: RunErrorRead | None
    created_at: DateTime
    started_at: DateTime | None
    finished_at: DateTime | None


class RunPage(ReadPage[RunRead]):
    """Runs, newest first."""


class Approval(Strict):
    """A person's decision on a tool call that waits for approval."""

    tool_call_id: Annotated[str, Field(min_length=1, max_length=64)]
    approved: bool
    reason: Annotated[str, Field(max_length=2000)] | None = Field(None, description="The model gets it, too.")


class LogEvent(Read):
    """One row of a thread's log. Its further members are those of the event of this type."""

    model_config = {"extra": "allow"}

    seq: int
    type: LastingEventType = Field(description="The types of events that are stored.")
    created_at: DateTime
    thread_id: Id
    run_id: Id | None = None


class EventPage(ReadPage[LogEvent]):
    """Events, oldest first unless asked otherwise."""
