"""Requests of this door, as far as they are read. Fields that are not named here are ignored.

Source: OpenAI's `responses.create` and `conversations` (PyPI `openai` 3.57.0, of `types/responses/`:
`response_create_params.py`, `response_input_item_param.py`), read 2026-11-29.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from app.doors.base import Lenient
from app.schemas.common import MAX_CONTENT, MAX_PARTS, JsonSchema

MAX_ITEMS = 1000
MAX_TOOLS = 128
# The ids of these clients: a prefix and 64 characters at most. Other doors' names of conversations may be longer.
MAX_ID = 512
# A file of the largest size, as base64, and the words before it.
MAX_DATA = 30 * 1024 * 1024
ItemId = Annotated[str, Field(max_length=MAX_ID)]
Text = Annotated[str, Field(max_length=MAX_CONTENT)]
Data = Annotated[str, Field(max_length=MAX_DATA)]
Word = Annotated[str, Field(max_length=64)]
Numbered = Annotated[float, Field(ge=-2, le=2)]


class TextIn(Lenient):
    """Text, said by either side."""

    type: Literal["input_text", "output_text", "text", "summary_text"]
    text: Text


class RefusalIn(Lenient):
    """What an assistant said in place of an answer."""

    type: Literal["refusal"]
    refusal: Text


class ImageIn(Lenient):
    """An image: a `data:` or `http` address, or a file that was uploaded before."""

    type: Literal["input_image"]
    image_url: Data | None = None
    file_id: ItemId | None = None


class FileIn(Lenient):
    """A file: its content as base64 or a `data:` address, an `http` address, or one that was uploaded before."""

    type: Literal["input_file"]
    file_data: Data | None = None
    file_url: Data | None = None
    file_id: ItemId | None = None
    filename: Annotated[str, Field(max_length=255)] | None = None


ContentPart = Annotated[TextIn | RefusalIn | ImageIn | FileIn, Discriminator("type")]
Content = Text | Annotated[list[ContentPart], Field(max_length=MAX_PARTS)]


class MessageIn(Lenient):
    """A message of either side."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Content


class FunctionCallIn(Lenient):
    """A call that the client has made, from an earlier response."""

    type: Literal["function_call"]
    call_id: ItemId
    name: Word
    namespace: Word | None = None
    arguments: Text


class FunctionOutputIn(Lenient):
    """What the client answers to a call."""

    type: Literal["function_call_output"]
    call_id: ItemId
    output: Text | Annotated[list[ContentPart], Field(max_length=MAX_PARTS)]


class ApprovalIn(Lenient):
    """What a person decided on a call."""

    type: Literal["mcp_approval_response"]
    approval_request_id: ItemId
    approve: bool
    reason: Annotated[str, Field(max_length=2000)] | None = None


class McpCallIn(Lenient):
    """A call that was made here, from an earlier response."""

    type: Literal["mcp_call"]
    id: ItemId
    server_label: Annotated[str, Field(max_length=200)]
    name: Annotated[str, Field(max_length=200)]
    arguments: Text
    output: Text | None = None


class SkippedIn(Lenient):
    """What an earlier response held and no model needs again."""

    type: Literal["reasoning", "mcp_approval_request", "mcp_list_tools"]


class ReferenceIn(Lenient):
    """An item that is stored here, by its id."""

    type: Literal["item_reference"]
    id: ItemId


_KINDS = {
    "message", "function_call", "function_call_output", "mcp_approval_response", "mcp_call", "item_reference",
}  # fmt: skip
_SKIPPED = {"reasoning", "mcp_approval_request", "mcp_list_tools"}


def _with_type(value: Any) -> Any:
    """An item whose type is left out is a message, or a reference: both are usual."""
    if isinstance(value, dict) and value.get("type") is None:
        return {**value, "type": "message" if "role" in value else "item_reference"}
    return value


def _kind(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "skipped" if kind in _SKIPPED else kind if kind in _KINDS else None


InputItem = Annotated[
    Annotated[MessageIn, Tag("message")]
    | Annotated[FunctionCallIn, Tag("function_call")]
    | Annotated[FunctionOutputIn, Tag("function_call_output")]
    | Annotated[ApprovalIn, Tag("mcp_approval_response")]
    | Annotated[McpCallIn, Tag("mcp_call")]
    | Annotated[ReferenceIn, Tag("item_reference")]
    | Annotated[SkippedIn, Tag("skipped")],
    Discriminator(_kind),
    BeforeValidator(_with_type),
]
InputItems = Annotated[list[InputItem], Field(max_length=MAX_ITEMS)]
MetadataIn = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]


class FunctionToolIn(Lenient):
    """A tool in a namespace."""

    type: Word
    name: Word | None = None
    description: Text | None = None
    parameters: JsonSchema | None = None
    strict: bool | None = None


class ToolIn(FunctionToolIn):
    """A tool: a `function`, or a `namespace` of functions. Others are not offered here."""

    tools: Annotated[list[FunctionToolIn], Field(max_length=MAX_TOOLS)] | None = None


class TextFormatIn(Lenient):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    name: Word | None = None
    description: Text | None = None
    json_schema: JsonSchema | None = Field(None, alias="schema")
    strict: bool | None = None


class TextOptionsIn(Lenient):
    """How the answer is written."""

    format: TextFormatIn | None = None


class ReasoningIn(Lenient):
    """How long the model thinks."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Word | None = None


class ConversationRef(Lenient):
    """A conversation by its id."""

    id: ItemId


class CreateResponse(Lenient):
    """A request for a response. `model` is an agent: its id, or its name where it is the only one that has it."""

    model: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    input: Text | InputItems = ""
    instructions: Text | None = None
    stream: bool | None = None
    store: bool | None = None
    background: bool | None = None
    conversation: ItemId | ConversationRef | None = None
    previous_response_id: ItemId | None = None
    tools: Annotated[list[ToolIn], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Word | Annotated[dict[str, Any], Field(max_length=100)] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    text: TextOptionsIn | None = None
    reasoning: ReasoningIn | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Numbered | None = None
    frequency_penalty: Numbered | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    prompt: Annotated[dict[str, Any], Field(max_length=100)] | None = None
    safety_identifier: ItemId | None = None
    prompt_cache_key: ItemId | None = None
    metadata: MetadataIn | None = None


class CreateConversation(Lenient):
    """A conversation, empty or with some history."""

    items: Annotated[list[InputItem], Field(max_length=20)] | None = None
    metadata: MetadataIn | None = None


class UpdateConversation(Lenient):
    """The metadata that takes the place of what was there."""

    metadata: MetadataIn | None = None


class CreateItems(Lenient):
    """What is said besides, without an answer."""

    items: Annotated[list[InputItem], Field(min_length=1, max_length=20)]
