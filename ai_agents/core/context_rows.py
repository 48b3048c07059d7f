"""What a model would get of a thread now, as clients see it."""

from typing import Literal, NotRequired, TypedDict

from ai_agents.core.notices import Notice
from ai_agents.core.rows import (
    PublicFilePart,
    PublicReasoningPart,
    PublicTextPart,
    PublicToolCallPart,
    PublicToolResultPart,
)
from ai_agents.core.types import CountingMethod, JsonObject, MessageRole


class ViewedFilePart(PublicFilePart):
    """A file, and how the model would get it: its bytes, its text, which is here, or its name alone."""

    sent_as: Literal["data", "text", "name"]
    text: NotRequired[str]


ViewedPart = PublicTextPart | ViewedFilePart | PublicReasoningPart | PublicToolCallPart | PublicToolResultPart


class ViewedMessage(TypedDict):
    """A message as the model would get it. `seq` is None for what is not in the thread, such as the summary."""

    seq: int | None
    role: MessageRole
    parts: list[ViewedPart]
    tokens: int


class ViewedTool(TypedDict):
    """A tool that the model would get. `parameters` is a JSON Schema."""

    name: str
    description: str
    parameters: JsonObject


class ViewedTokens(TypedDict):
    """The size of a request: `total` fits if it is at most `budget`; the rest of `window` is for the answer."""

    total: int
    method: CountingMethod
    budget: int
    window: int


class LeftOutMessage(TypedDict):
    """A message that would not be sent. Without a role it stands for all earlier messages that are not listed."""

    seq: int
    role: MessageRole | None
    tokens: int | None
    reason: Literal["strategy", "summarized", "token_budget", "not_sendable", "refused", "superseded"]


class LastCall(TypedDict):
    """What a provider told of a call. `cached_share` is how much of the input came from its cache, from 0 to 1."""

    input_tokens: int | None
    cached_input_tokens: int | None
    cached_share: float | None


class ContextView(TypedDict):
    """What the model would get now. `system` and `tools` are None for users who may not see the agent.

    `last_call` is the last completed call of this provider and model in the thread, None where there is none.
    """

    provider: str
    model: str
    strategy: str
    system: str | None
    summary: str | None
    messages: list[ViewedMessage]
    tools: list[ViewedTool] | None
    tokens: ViewedTokens
    left_out: list[LeftOutMessage]
    notices: list[Notice]
    last_call: LastCall | None
