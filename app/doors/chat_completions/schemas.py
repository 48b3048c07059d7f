"""Requests and answers of Chat Completions.

Source: openai 3.57.0 `types/chat/*.py`, and recorded streams of OpenAI (2026-11).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field

from ai_agents.tools.schema import MAX_SCHEMA_BYTES
from app.doors.base import Lenient
from app.schemas.common import MAX_CONTENT, LongText, Metadata

MAX_MESSAGES = 10_000
MAX_PARTS = 1_000
MAX_TOOLS = 256
# A model's name is an agent's id or name.
_MAX_MODEL = 255
_MAX_CALL_ID = 255
_MAX_NAME = 128
# Bodies are smaller than this, so that it never counts.
_MAX_DATA = 100_000_000
_Data = Annotated[str, Field(max_length=_MAX_DATA)]
_FreeObject = Annotated[dict[str, Any], Field(json_schema_extra={"maxProperties": MAX_SCHEMA_BYTES})]


class ChatTextPart(Lenient):
    """Text."""

    type: Literal["text"]
    text: LongText


class ChatRefusalPart(Lenient):
    """What an assistant refused, as text."""

    type: Literal["refusal"]
    refusal: LongText


class ChatImageUrl(Lenient):
    """An image: a `data:` URI, or an address that this service may fetch."""

    url: _Data


class ChatImagePart(Lenient):
    """An image."""

    type: Literal["image_url"]
    image_url: ChatImageUrl


class ChatFile(Lenient):
    """A file: its content as a `data:` URI, or the id of one that was uploaded (`POST /files`)."""

    file_data: _Data | None = None
    filename: Annotated[str, Field(max_length=255)] | None = None
    file_id: Annotated[str, Field(max_length=255)] | None = None


class ChatFilePart(Lenient):
    """A file."""

    type: Literal["file"]
    file: ChatFile


class ChatAudioPart(Lenient):
    """Audio, which is refused."""

    type: Literal["input_audio"]


ChatPart = Annotated[
    ChatTextPart | ChatRefusalPart | ChatImagePart | ChatFilePart | ChatAudioPart, Discriminator("type")
]
ChatContent = LongText | Annotated[list[ChatPart], Field(max_length=MAX_PARTS)]


class ChatFunctionCall(Lenient):
    """Which function is called, with its arguments as JSON in a text."""

    name: Annotated[str, Field(max_length=_MAX_NAME)]
    arguments: Annotated[str, Field(json_schema_extra={"maxLength": MAX_CONTENT})] = ""


class ChatToolCall(Lenient):
    """A call that the assistant asked for."""

    id: Annotated[str, Field(min_length=1, max_length=_MAX_CALL_ID)]
    function: ChatFunctionCall | None = None


class ChatMessage(Lenient):
    """A message of the conversation."""

    role: Literal["developer", "system", "user", "assistant", "tool"]
    content: ChatContent | None = None
    tool_calls: Annotated[list[ChatToolCall], Field(max_length=MAX_TOOLS)] | None = None
    tool_call_id: Annotated[str, Field(max_length=_MAX_CALL_ID)] | None = None


class ChatFunction(Lenient):
    """A function of the client."""

    name: Annotated[str, Field(min_length=1, max_length=_MAX_NAME)]
    description: LongText | None = None
    parameters: _FreeObject | None = None


class ChatTool(Lenient):
    """A tool of the client."""

    type: Annotated[str, Field(max_length=_MAX_NAME)] = "function"
    function: ChatFunction | None = None


class ChatStreamOptions(Lenient):
    """What a stream has besides."""

    include_usage: bool | None = None


class ChatJsonSchema(Lenient):
    """The schema of the answer."""

    json_schema: _FreeObject | None = Field(None, alias="schema")


class ChatResponseFormat(Lenient):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: ChatJsonSchema | None = None


class CreateChatCompletion(Lenient):
    """A conversation that an agent goes on with. Fields that are not known here are ignored."""

    model: Annotated[str, Field(max_length=_MAX_MODEL, description="An agent: its id, or a name it alone has.")]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: ChatStreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = Field(None, description="Only 1.")
    tools: Annotated[list[ChatTool], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="Tools of the client, which runs them. Those of the agent run here, and are not shown."
    )
    tool_choice: Annotated[str, Field(max_length=20)] | _FreeObject | None = Field(
        None, description="Which tools of the client may be called; that one has to be is asked of the model in words."
    )
    response_format: ChatResponseFormat | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    stop: (
        Annotated[str, Field(max_length=200)]
        | Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=16)]
        | None
    ) = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    metadata: Metadata | None = Field(
        None, description="`thread_id`: the conversation, any text. The rest is kept with the message."
    )


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ChatCalledFunction(_Answer):
    """Which function is to be called."""

    name: str
    arguments: str = Field(description="JSON.")


class ChatCalledTool(_Answer):
    """A call that the client is asked to make."""

    id: str
    type: Literal["function"]
    function: ChatCalledFunction


class ChatAnswer(_Answer):
    """The assistant's message."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str | None = None
    tool_calls: list[ChatCalledTool] | None = Field(None, max_length=1000)


class ChatChoice(_Answer):
    """The answer, and why it ended."""

    index: Literal[0]
    message: ChatAnswer
    logprobs: None
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"]


class ChatPromptDetails(_Answer):
    """Of the request's tokens."""

    cached_tokens: int


class ChatCompletionDetails(_Answer):
    """Of the answer's tokens."""

    reasoning_tokens: int


class ChatUsage(_Answer):
    """Tokens of the run so far, over all its calls of the model."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: ChatPromptDetails
    completion_tokens_details: ChatCompletionDetails


class ChatCompletion(_Answer):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice] = Field(min_length=1, max_length=1)
    usage: ChatUsage
