"""What AG-UI's clients send: `RunAgentInput`. Names are theirs, in camelCase."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from app.doors.base import Lenient
from app.strict_json import MAX_VALUES

# Of one request. Its body has a bound of its own, which is smaller than this one of a text.
_MOST = 10_000
_Text = Annotated[str, Field(max_length=100_000_000)]
# Ids and names are the client's own.
_Name = Annotated[str, Field(min_length=1, max_length=32_768)]
_FreeObject = Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": MAX_VALUES})]


class AgUiModel(Lenient):
    """An object of the protocol."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class Source(AgUiModel):
    """Where the content of a part is: in `value` as Base64 (`data`), at that address (`url`), or in a file of ours."""

    type: Literal["data", "url", "file"]
    value: _Text
    mime_type: _Text | None = None


class TextContent(AgUiModel):
    """A text."""

    type: Literal["text"]
    text: _Text


class FileContent(AgUiModel):
    """An image or another file."""

    type: Literal["image", "document", "audio", "video"]
    source: Source


Content = Annotated[TextContent | FileContent, Field(discriminator="type")]


class FunctionCall(AgUiModel):
    """What is called, with its arguments as JSON text."""

    name: _Name
    arguments: _Text


class ToolCall(AgUiModel):
    """A call that the model has made."""

    id: _Name
    type: Literal["function"] = "function"
    function: FunctionCall


class ClientMessage(AgUiModel):
    """A message of the client's copy of the conversation."""

    id: _Name
    role: Literal["developer", "system", "assistant", "user", "tool", "activity", "reasoning"]
    content: _Text | Annotated[list[Content], Field(max_length=_MOST)] | _FreeObject | None = None
    name: _Name | None = None
    tool_calls: list[ToolCall] | None = Field(None, max_length=_MOST)
    tool_call_id: _Name | None = None
    error: _Text | None = None
    activity_type: _Name | None = None


class ClientTool(AgUiModel):
    """A tool of the client. Without `parameters` it has none."""

    name: _Name
    description: _Text
    parameters: _FreeObject | None = None


class ContextItem(AgUiModel):
    """Something that the agent should know for this run."""

    description: _Text
    value: _Text


class ResumeEntry(AgUiModel):
    """The answer to an interrupt. `cancelled` refuses the call."""

    interrupt_id: _Name
    status: Literal["resolved", "cancelled"]
    payload: Any = Field(None, description='`{"approved": true or false, "reason"}`.')


class RunAgentInput(AgUiModel):
    """One run. The service has the history: what counts of `messages` is what comes after the last answer.

    Without messages (and without `resume`) the client gets the history, and follows the run that is under way.
    """

    thread_id: _Name = Field(description="A thread's id, or any text of the client's own.")
    run_id: _Name = Field(description="Of the client's own. The same one again is the same run.")
    parent_run_id: _Name | None = None
    messages: list[ClientMessage] = Field(max_length=_MOST)
    tools: list[ClientTool] | None = Field(None, max_length=_MOST)
    context: list[ContextItem] | None = Field(None, max_length=_MOST)
    resume: list[ResumeEntry] | None = Field(None, max_length=_MOST)
