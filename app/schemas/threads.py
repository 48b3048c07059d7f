"""Threads, their messages, and decisions on tool calls."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ai_agents.store.feedback import MAX_COMMENT
from ai_agents.tools.client_tools import MAX_CLIENT_TOOLS, MAX_DESCRIPTION
from app.schemas.agents import AgentSettings, ModelNameIn, ProviderNameIn
from app.schemas.common import ContentIn, Id, JsonSchema, Line, LongText, Metadata, Strict
from app.schemas.tools import Name

# More than a model calls at once.
MAX_RESULTS = 1000


class InitialMessage(Strict):
    """A message that the thread starts with."""

    role: Literal["user", "assistant"]
    content: ContentIn
    metadata: Metadata = {}


class CreateThread(Strict):
    """A conversation with this agent, empty or with some history."""

    agent_id: Id
    title: Line | None = None
    summary: LongText | None = None
    metadata: Metadata = {}
    messages: Annotated[list[InitialMessage], Field(max_length=1000)] = []


class UpdateThread(Strict):
    """Fields that are left out stay."""

    title: Line | None = None
    summary: LongText | None = None
    metadata: Metadata = {}


class ForkThread(Strict):
    """The last message of the history that the new thread gets."""

    message_id: Id


class ClientTool(Strict):
    """A tool that the client runs: calls of it are given to the client, which gives their results."""

    name: Annotated[Name, Field(description="None of the names of the agent's own tools.")]
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] = ""
    parameters: Annotated[JsonSchema, Field(description="A JSON Schema of an object; at most 64 KiB.")] = {
        "type": "object",
        "properties": {},
    }


class Overrides(Strict):
    """What is otherwise than with the agent, for one message. What is left out or null stays as the agent has it."""

    settings: AgentSettings | None = Field(
        None,
        description="Laid over the agent's, whose `max_tokens`, `timeout_s` and `tool_rounds` are the most.",
    )
    output_schema: JsonSchema | None = Field(None, description="A JSON Schema of an object; at most 64 KiB.")
    provider: ProviderNameIn | None = Field(None, description="For editors of the agent.")
    model: ModelNameIn | None = Field(None, description="For editors of the agent.")
    instructions: LongText | None = Field(
        None, description="They come after the agent's system prompt. For editors of the agent."
    )


class CreateMessage(Strict):
    """A user's message; the agent answers it."""

    content: ContentIn
    attachments: Annotated[list[Id], Field(max_length=32)] = []
    stream: bool = Field(False, description="Answer with the run's events, as `Accept: text/event-stream` does.")
    on_busy: Literal["reject", "queue", "interrupt", "steer"] = Field(
        "reject", description="What to do if a run is active in the thread; `steer`: join it."
    )
    metadata: Metadata = {}
    tools: Annotated[list[ClientTool], Field(max_length=MAX_CLIENT_TOOLS)] = Field(
        [], description="Tools of the client, for this message; at most 256 KiB as JSON together."
    )
    overrides: Overrides | None = Field(None, description="What is otherwise than with the agent, for this message.")


class ToolResult(Strict):
    """What the client's call gave."""

    tool_call_id: Annotated[str, Field(min_length=1, max_length=64)]
    result: Any = Field(description="A text or other JSON. What is too long for the model is kept as a file.")
    is_error: bool = False


class ToolResults(Strict):
    """Results of calls that the client has made: of all that wait, or some of them."""

    results: Annotated[list[ToolResult], Field(min_length=1, max_length=MAX_RESULTS)]


class RetryRun(Strict):
    """How to answer the message of a run anew. The body may be left out."""

    stream: bool = Field(False, description="Answer with the run's events, as `Accept: text/event-stream` does.")


def _check_number(value: Any) -> Any:
    # True and 1.0 equal 1.
    if type(value) is not int:
        raise ValueError("must be 1 or -1")
    return value


class PutFeedback(Strict):
    """What the user thinks of an answer, in place of what was sent before. Without both it is taken back."""

    rating: Annotated[Literal[1, -1], BeforeValidator(_check_number)] | None = Field(
        None, description="1 for a good answer, -1 for a bad one."
    )
    comment: Annotated[str, Field(max_length=MAX_COMMENT)] | None = None


class Approval(Strict):
    """A person's decision on a tool call that waits for approval."""

    tool_call_id: Annotated[str, Field(min_length=1, max_length=64)]
    approved: bool
    reason: Annotated[str, Field(max_length=2000)] | None = Field(None, description="The model gets it, too.")
