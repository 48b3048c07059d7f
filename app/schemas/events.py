"""The events of streams: the JSON in the `data:` of each server-sent event, by type."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, RootModel

from ai_agents.core.events import TERMINAL_EVENTS
from ai_agents.guardrails.base import Action, Stage
from app.schemas.common import Id, Read
from app.schemas.messages import MessageRead
from app.schemas.runs import RunErrorRead, RunRead
from app.schemas.threads import ThreadRead


class ThreadEvent(Read):
    """What every event has."""

    thread_id: Id


class RunEvent(ThreadEvent):
    """What every event of a run has."""

    run_id: Id


class RunQueuedEvent(RunEvent):
    """The run waits for the runs before it."""

    type: Literal["run.queued"]
    position: int = Field(description="Its place in the queue; 1 is the next run.")


class RunStartedEvent(RunEvent):
    """The run has started."""

    type: Literal["run.started"]
    attempt: int
    user_message: MessageRead


class MessageStartedEvent(RunEvent):
    """The model has begun a message. Not stored."""

    type: Literal["message.started"]
    message_id: Id
    role: Literal["assistant"]


class _DeltaEvent(RunEvent):
    message_id: Id
    text: str
    offset: int = Field(description="Where in the message's text or reasoning this text begins, in code points.")


class MessageDeltaEvent(_DeltaEvent):
    """A piece of the message's text. Not stored."""

    type: Literal["message.delta"]


class ReasoningDeltaEvent(_DeltaEvent):
    """A piece of the message's reasoning. Not stored."""

    type: Literal["reasoning.delta"]


class MessageCompletedEvent(ThreadEvent):
    """A message is complete. Its `content` is what its deltas add up to."""

    type: Literal["message.completed"]
    run_id: Id | None = Field(None, description="Absent for the initial messages of a thread.")
    message: MessageRead


class ToolCallRead(Read):
    """A tool call of the model."""

    tool_call_id: str
    name: str
    arguments: dict[str, Any]


class ToolStartedEvent(RunEvent, ToolCallRead):
    """A tool is called."""

    type: Literal["tool.started"]


class ToolCompletedEvent(RunEvent):
    """A tool call has a result."""

    type: Literal["tool.completed"]
    tool_call_id: str
    name: str
    result: Any
    is_error: bool


class RunWaitingEvent(RunEvent):
    """The run waits until a person has decided on these tool calls."""

    type: Literal["run.waiting"]
    approvals: list[ToolCallRead]


class RunRetryingEvent(RunEvent):
    """The run begins another attempt. The deltas of the discarded messages are void."""

    type: Literal["run.retrying"]
    attempt: int
    reason: str
    discard: list[Id]


class GuardrailTriggeredEvent(ThreadEvent):
    """A guardrail has found something."""

    type: Literal["guardrail.triggered"]
    run_id: Id | None = Field(None, description="Absent where a thread was made or changed.")
    guardrail: str
    stage: Stage
    action: Action


class ContextCompactedEvent(ThreadEvent):
    """A summary now stands for the messages up to this `seq`."""

    type: Literal["context.compacted"]
    summary: str
    covers_through_seq: int


class RunCompletedEvent(RunEvent):
    """The run has ended with an answer."""

    type: Literal["run.completed"]
    run: RunRead


class RunCancelledEvent(RunEvent):
    """The run was cancelled. The deltas of the discarded messages are void."""

    type: Literal["run.cancelled"]
    run: RunRead
    discard: list[Id]


class RunFailedEvent(RunEvent):
    """The run has failed. The deltas of the discarded messages are void."""

    type: Literal["run.failed"]
    run: RunRead
    discard: list[Id]
    problem: RunErrorRead


class ThreadUpdatedEvent(ThreadEvent):
    """The thread was changed."""

    type: Literal["thread.updated"]
    thread: ThreadRead


class DeletedThread(Read):
    """A thread that was deleted. A stream that was opened too late for the whole thread has only its id."""

    model_config = ConfigDict(extra="allow")

    id: Id


class ThreadDeletedEvent(ThreadEvent):
    """The thread was deleted. The stream ends."""

    type: Literal["thread.deleted"]
    thread: DeletedThread


class StreamEvent(
    RootModel[
        Annotated[
            RunQueuedEvent
            | RunStartedEvent
            | MessageStartedEvent
            | MessageDeltaEvent
            | ReasoningDeltaEvent
            | MessageCompletedEvent
            | ToolStartedEvent
            | ToolCompletedEvent
            | RunWaitingEvent
            | RunRetryingEvent
            | GuardrailTriggeredEvent
            | ContextCompactedEvent
            | RunCompletedEvent
            | RunCancelledEvent
            | RunFailedEvent
            | ThreadUpdatedEvent
            | ThreadDeletedEvent,
            Discriminator("type"),
        ]
    ]
):
    """The `data:` of a server-sent event. Its `event:` is `type`; its `id:` resumes the stream (`Last-Event-ID`)."""

    model_config = ConfigDict(title="Event", json_schema_extra={"x-terminal": [*sorted(TERMINAL_EVENTS)]})
