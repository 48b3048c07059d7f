"""Messages and their parts."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field

from ai_agents.core.types import MessageRole, MessageStatus
from app.schemas.common import ContentIn, Cost, DateTime, Id, Metadata, Read, ReadPage, Strict, TokenUsage


class CreateMessage(Strict):
    """A user's message; the agent answers it."""

    content: ContentIn
    attachments: Annotated[list[Id], Field(max_length=32)] = []
    stream: bool = Field(False, description="Answer with the run's events, as `Accept: text/event-stream` does.")
    on_busy: Literal["reject", "queue", "interrupt"] = Field(
        "reject", description="What to do if a run is active in the thread."
    )
    metadata: Metadata = {}


class TextPartRead(Read):
    """Text."""

    model_config = ConfigDict(title="TextPart")

    type: Literal["text"]
    text: str


class FilePartRead(Read):
    """A file."""

    model_config = ConfigDict(title="FilePart")

    type: Literal["file"]
    file_id: Id
    filename: str
    media_type: str
    size_bytes: int


class ReasoningPartRead(Read):
    """The model's reasoning."""

    model_config = ConfigDict(title="ReasoningPart")

    type: Literal["reasoning"]
    text: str


class ToolCallPartRead(Read):
    """A tool call that the model asks for."""

    model_config = ConfigDict(title="ToolCallPart")

    type: Literal["tool_call"]
    tool_call_id: str
    name: str
    arguments: dict[str, Any]


class ToolResultPartRead(Read):
    """The result of a tool call."""

    model_config = ConfigDict(title="ToolResultPart")

    type: Literal["tool_result"]
    tool_call_id: str
    name: str
    result: Any
    is_error: bool


PartRead = Annotated[
    TextPartRead | FilePartRead | ReasoningPartRead | ToolCallPartRead | ToolResultPartRead, Discriminator("type")
]


class MessageRead(Read):
    """One message of a thread's history; `content` is its text."""

    id: Id
    thread_id: Id
    run_id: Id | None
    seq: int | None = Field(description="Its number in the thread's log; null while it is queued.")
    role: MessageRole
    content: str
    parts: list[PartRead]
    status: MessageStatus
    user_id: str | None
    usage: TokenUsage | None
    cost: Cost | None = Field(description="Cost of the model call that made it; null if its price is not known.")
    metadata: dict[str, Any]
    created_at: DateTime


class MessagePage(ReadPage[MessageRead]):
    """Messages, oldest first unless asked otherwise."""
