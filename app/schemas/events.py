"""The events of streams: the JSON in the `data:` of each server-sent event, by type."""

from typing import Annotated, Any, Literal, Union

from pydantic import Discriminator, Field, RootModel, create_model

from ai_agents.core.events import TERMINAL_EVENTS
from ai_agents.guardrails.base import Action, Stage
from app.schemas.answers.messages import MessageRead
from app.schemas.answers.models import Read
from app.schemas.answers.runs import RunErrorRead, RunRead
from app.schemas.answers.threads import ThreadActivityRead, ThreadFieldsRead
from app.schemas.common import DateTime, Id

_TOOL_CALL: dict[str, Any] = {"tool_call_id": str, "name": str, "arguments": dict[str, Any]}
_OFFSET = Field(description="Where in the message's text or reasoning this text begins, in code points.")
_DELTA: dict[str, Any] = {"message_id": Id, "text": str, "offset": (int, _OFFSET)}


def _event(event_type: str, doc: str, *, run_id: Any = Id, **members: Any) -> Any:
    """The model of the events of this type. `run_id` is None for events that belong to no run."""
    name = "".join(word.capitalize() for word in event_type.split(".")) + "Event"
    members |= {"thread_id": Id, "type": Literal[event_type]}
    if run_id is not None:
        members["run_id"] = run_id
    return create_model(name, __base__=Read, __doc__=doc, **members)


ToolCallRead = create_model("ToolCallRead", __base__=Read, __doc__="A tool call of the model.", **_TOOL_CALL)


AskedCallRead = create_model(
    "AskedCallRead",
    __base__=ToolCallRead,
    __doc__="A tool call that waits for a person. Older events do not say until when.",
    expires_at=(DateTime | None, Field(None, description="When it is refused without a decision; null: never.")),
)


class DeletedThread(Read, extra="allow"):
    """A thread that was deleted. A stream that was opened too late for the whole thread has only its id."""

    id: Id


_EVENTS = (
    _event(
        "run.queued",
        "The run waits for the runs before it.",
        position=(int, Field(description="Its place in the queue; 1 is the next run.")),
    ),
    _event(
        "run.started",
        "The run has started.",
        attempt=int,
        user_message=MessageRead,
        superseded=(
            list[Id] | None,
            Field(None, description="Of a retry: the messages whose place the answer takes; absent for other runs."),
        ),
    ),
    _event("message.started", "The model has begun a message. Not stored.", message_id=Id, role=Literal["assistant"]),
    _event("message.delta", "A piece of the message's text. Not stored.", **_DELTA),
    _event("reasoning.delta", "A piece of the message's reasoning. Not stored.", **_DELTA),
    _event(
        "message.completed",
        "A message is complete. Its `content` is what its deltas add up to.",
        run_id=(Id | None, Field(None, description="Absent for the initial messages of a thread.")),
        message=MessageRead,
    ),
    _event("tool.started", "A tool is called.", **_TOOL_CALL),
    _event(
        "tool.completed",
        "A tool call has a result.",
        tool_call_id=str,
        name=str,
        result=Any,
        is_error=bool,
        user_id=(str | None, Field(None, description="Whose client made the call; absent for other calls.")),
    ),
    _event(
        "run.waiting",
        "The run waits until these tool calls are decided or answered.",
        approvals=(list[AskedCallRead], Field(description="A person approves or refuses them.")),
        client_calls=(
            list[ToolCallRead],
            Field([], description="The client makes them and gives their results. Absent in older events."),
        ),
    ),
    _event(
        "run.retrying",
        "The run begins another attempt. The deltas of the discarded messages are void.",
        attempt=int,
        reason=str,
        discard=list[Id],
    ),
    _event(
        "guardrail.triggered",
        "A guardrail has found something.",
        run_id=(Id | None, Field(None, description="Absent where a thread was made or changed.")),
        guardrail=str,
        stage=Stage,
        action=Action,
    ),
    _event(
        "context.compacted",
        "A summary now stands for the messages up to this `seq`.",
        run_id=None,
        summary=str,
        covers_through_seq=int,
    ),
    _event("run.completed", "The run has ended with an answer.", run=RunRead),
    _event(
        "run.cancelled",
        "The run was cancelled. The deltas of the discarded messages are void.",
        run=RunRead,
        discard=list[Id],
    ),
    _event(
        "run.failed",
        "The run has failed. The deltas of the discarded messages are void.",
        run=RunRead,
        discard=list[Id],
        problem=RunErrorRead,
    ),
    _event("thread.updated", "The thread was changed.", run_id=None, thread=ThreadFieldsRead),
    _event("thread.deleted", "The thread was deleted. The stream ends.", run_id=None, thread=DeletedThread),
)


class StreamEvent(
    RootModel[Annotated[Union[_EVENTS], Discriminator("type")]],  # type: ignore[valid-type]  # noqa: UP007  # of a tuple
    title="Event",
    json_schema_extra={"x-terminal": [*sorted(TERMINAL_EVENTS)]},
):
    """The `data:` of a server-sent event. Its `event:` is `type`; its `id:` resumes the stream (`Last-Event-ID`)."""


class GoneThread(Read):
    """A thread that was deleted, or that the user sees no more."""

    id: Id


_HINTS = (
    _event("thread.activity", "Something happened in the thread.", run_id=None, thread=ThreadActivityRead),
    create_model(
        "ThreadGoneHint",
        __base__=Read,
        __doc__="The thread was deleted, or the user sees it no more.",
        thread=GoneThread,
        thread_id=Id,
        type=Literal["thread.deleted"],
    ),
)


class FeedEvent(
    RootModel[Annotated[Union[_HINTS], Discriminator("type")]],  # type: ignore[valid-type]  # noqa: UP007  # of a tuple
    title="Hint",
):
    """The `data:` of a server-sent event of `GET /events`. Its `event:` is `type`; it has no `id:`."""
