"""What `useChat` sends: the chat's id, the client's copy of the messages, and what set the request off."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from ai_agents.tools.client_tools import MAX_CLIENT_TOOLS
from app.doors.base import Lenient
from app.schemas.threads import ClientTool

_MOST = 10_000
# Bodies are smaller than this, so that it never counts.
_Text = Annotated[str, Field(max_length=100_000_000)]
_Name = Annotated[str, Field(min_length=1, max_length=32_768)]


class UiModel(Lenient):
    """An object of the SDK's."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class UiApproval(UiModel):
    """What a person decided on a call."""

    id: _Name
    approved: bool | None = None
    reason: _Text | None = None


class UiPart(UiModel):
    """A part of a message: `text`, `file`, `reasoning`, `tool-<name>`, `dynamic-tool`, `step-start`, …

    Of a tool's part, `state` says how far it has come: `approval-responded` has an `approval`, `output-available` and
    `output-error` end it.
    """

    type: _Name
    text: _Text | None = None
    media_type: _Text | None = None
    url: _Text | None = None
    filename: _Text | None = None
    tool_name: _Name | None = None
    tool_call_id: _Name | None = None
    state: _Name | None = None
    output: Any = None
    error_text: _Text | None = None
    approval: UiApproval | None = None
    provider_executed: bool | None = None


class UiMessage(UiModel):
    """A message of the client's copy."""

    id: _Name
    role: Literal["system", "user", "assistant"]
    parts: list[UiPart] = Field(max_length=_MOST)
    metadata: Any = None


class ChatBody(UiModel):
    """What is sent to a chat that there is. Of the messages the last one counts: the service has the others.

    The last one is a user's message, or an assistant's with answers to calls that wait. `tools` are those of the page,
    whose calls `onToolCall` gets.
    """

    messages: list[UiMessage] = Field(min_length=1, max_length=_MOST)
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: _Name | None = None
    tools: list[ClientTool] | None = Field(None, max_length=MAX_CLIENT_TOOLS)
    agent_id: _Name | None = Field(None, alias="agent_id", description="The agent of a new chat.")


class NewChatBody(ChatBody):
    """What the default transport sends: the same, with the chat's id."""

    id: _Name
