"""Runs, and the events of a thread's log."""

from typing import Annotated, Any

from pydantic import Field

from ai_agents.core import rows
from ai_agents.core.events import LastingEventType
from app.schemas.agents import AgentSettings
from app.schemas.answers.models import MODELS, Read, model_of, page_of
from app.schemas.answers.notices import Notice
from app.schemas.answers.usage import Cost, TokenUsage
from app.schemas.common import DateTime, Id, JsonSchema


class RunErrorRead(Read, title="RunError", extra="allow"):
    """Why a run failed: a problem without the members that belong to one request."""

    type: str
    title: str
    status: int = Field(description="The status of the answer, where the request waited for it.")
    detail: str
    code: str = Field(description="A stable word for what went wrong.")


_RUN: dict[str, Any] = {
    "usage": TokenUsage | None,
    "cost": Annotated[
        Cost | None, Field(description="Cost of all its model calls; null if there was none, or no price is known.")
    ],
    "notices": Annotated[list[Notice], Field(description="What happened during the run that the user should know.")],
    "error": RunErrorRead | None,
}
MODELS[rows.RunOverrides] = Annotated[
    model_of(
        "RunOverrides",
        rows.RunOverrides,
        "What the run's message says otherwise than its agent.",
        settings=AgentSettings | None,
        output_schema=JsonSchema | None,
        provider="This and what follows is shown to those who may edit the agent.",
    ),
    Field(description="Missing where its message says nothing otherwise than its agent."),
]
RunRead = model_of("RunRead", rows.Run, "How one message of a thread is answered.", **_RUN)
Upstream = model_of(
    "Upstream",
    rows.Upstream,
    "What a provider said when it failed.",
    status="The HTTP status of its answer; null if there was none.",
    message="Its own words, without secrets, at most 2,000 characters.",
)
RunDetails = model_of(
    "RunDetails",
    rows.RunDetails,
    "How one message of a thread is answered.",
    upstream=Annotated[
        Upstream | None,
        Field(description="The last failure of a provider in this run. Missing for users who may not edit the agent."),
    ],
    **_RUN,
)
RunPage = page_of("RunPage", RunDetails, "Runs, newest first.")


class LogEvent(Read, extra="allow"):
    """One row of a thread's log. Its further members are those of the event of this type."""

    seq: int
    type: LastingEventType = Field(description="The types of events that are stored.")
    created_at: DateTime
    thread_id: Id
    run_id: Id | None = None


EventPage = page_of("EventPage", LogEvent, "Events, oldest first unless asked otherwise.")
