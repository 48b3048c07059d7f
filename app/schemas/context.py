"""What a model would get of a thread."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from ai_agents.core.types import MessageRole
from app.schemas.common import Read
from app.schemas.messages import PartRead


class ContextMessage(Read):
    """A message as the model would get it."""

    seq: int | None = Field(
        description="Its number in the thread's log; null for what is not in the thread: the summary, the note that "
        "messages were left out, and the result that stands in for a missing one."
    )
    role: MessageRole
    parts: list[PartRead]
    tokens: int


class ContextTool(Read):
    """A tool that the model would get."""

    name: str
    description: str
    parameters: dict[str, Any] = Field(description="A JSON Schema.")


class ContextTokens(Read):
    """The size of the request. It fits if `total` is at most `budget`; the rest of `window` is for the answer."""

    total: int = Field(description="System prompt, tools, summary and messages.")
    method: Literal["estimate", "calibrated estimate"] = Field(description="How the tokens were counted.")
    budget: int = Field(description="How many the request may have, so that there is room for the answer.")
    window: int = Field(description="How many request and answer may have together.")


class LeftOutMessageRead(Read):
    """A message that would not be sent. Without a role it stands for all earlier messages that are not listed."""

    model_config = ConfigDict(title="LeftOutMessage")

    seq: int
    role: MessageRole | None
    tokens: int | None
    reason: Literal["strategy", "summarized", "token_budget", "not_sendable"] = Field(
        description="The memory does not choose it; the summary covers it; it does not fit; it has nothing to send."
    )


class ContextRead(Read):
    """What the model would get now, before the next message."""

    provider: str
    model: str
    strategy: str
    system: str | None = Field(description="Null also for users who do not see the agent.")
    summary: str | None = Field(description="Sent as the first message.")
    messages: list[ContextMessage]
    tools: list[ContextTool] | None = Field(description="Null for users who do not see the agent.")
    tokens: ContextTokens
    left_out: list[LeftOutMessageRead]
