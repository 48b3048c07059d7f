"""Messages and their parts."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field

from app.schemas.common import Content, Cost, Id, Metadata, Page, Read, Strict, Timestamp, Usage


class CreateMessage(Strict):
    """A user's message; the agent answers it."""

    content: Content
    attachments: Annotated[list[Id], Field(max_length=32)] = []
    stream: bool = Field(False, description="Answer with the run's events, as `Accept: text/event-stream` does.")
    on_busy: Literal["reject", "queue", "interrupt"] = Field("reject", description="If a run is under way here.")
    metadata: Metadata = {}


class TextPart(Read):
    """Text."""

    type: Literal["text"]
    text: str


class FilePart(Read):
    """A file."""

    type: Literal["file"]
    file_id: Id
    filename: str
    media_type: str
    size_bytes: int


class ReasoningPart(Read):
    """What the model thought aloud."""

    type: Literal["reasoning"]
    text: str


class ToolCallPart(Read):
    """The model's wish to call a tool."""

    type: Literal["tool_call"]
    tool_call_id: str
    name: str
    arguments: dict[str, Any]


class ToolResultPart(Read):
    """What a tool answered."""

    type: Literal["tool_result"]
    tool_call_id: str
    name: str
    result: Any
    is_error: bool


Part = Annotated[TextPart | FilePart | ReasoningPart | ToolCallPart | ToolResultPart, Discriminator("type")]


class MessageRead(Read):
    """One message of a thread's history; `content` is its text."""

    id: Id
    thread_id: Id
    run_id: Id | None
    seq: int | None = Field(description="Its place in the thread's log; null while it waits for its turn.")
    role: Literal["user", "assistant", "tool"]
    content: str
    parts: list[Part]
    status: Literal["completed", "incomplete", "queued"]
    user_id: str | None
    usage: Usage | None
    cost: Cost | None = Field(description="Of the model call that it comes from; null where no price is known.")
    metadata: dict[str, Any]
    created_at: Timestamp


class MessagePage(Page[MessageRead]):
    """Messages, oldest first unless asked otherwise."""
