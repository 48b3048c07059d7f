"""What a model would be sent of a thread."""

from typing import Any, Literal

from pydantic import Field

from app.schemas.common import Read
from app.schemas.messages import Part


class ContextMessage(Read):
    """A message as the model would get it."""

    seq: int | None = Field(
        description="Its place in the thread; null for what is in no thread: the summary, the note where messages "
        "between two others are left out, a result for a tool call that has none."
    )
    role: Literal["user", "assistant", "tool"]
    parts: list[Part]
    tokens: int


class ContextTool(Read):
    """A tool that the model would be told of."""

    name: str
    description: str
    parameters: dict[str, Any] = Field(description="A JSON Schema.")


class ContextTokens(Read):
    """What the request costs. It fits where `total` is at most `budget`; the rest of `window` is for the answer."""

    total: int = Field(description="System prompt, tools, summary and messages.")
    method: str = Field(description="How they were counted: `estimate`, or `calibrated estimate`.")
    budget: int = Field(description="How many the request may have, so that the answer still has its room.")
    window: int = Field(description="How many the model takes, request and answer together.")


class LeftOutMessage(Read):
    """A message that would not be sent. Without a role it stands for all before it that are not told of otherwise."""

    seq: int
    role: Literal["user", "assistant", "tool"] | None
    tokens: int | None
    reason: Literal["strategy", "summarized", "token_budget", "not_sendable"] = Field(
        description="The memory does not choose it; the summary stands for it; it does not fit; it has nothing that "
        "can be sent."
    )


class ContextRead(Read):
    """What the model would be sent now, before the next message."""

    provider: str
    model: str
    strategy: str
    system: str | None = Field(description="Null for those who may not see the agent, too.")
    summary: str | None = Field(description="It is sent as the first message.")
    messages: list[ContextMessage]
    tools: list[ContextTool] | None = Field(description="Null for those who may not see the agent.")
    tokens: ContextTokens
    left_out: list[LeftOutMessage]
