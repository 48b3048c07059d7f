"""Agents: how one is set up."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails.registry import BUILT_IN_GUARDRAILS
from ai_agents.memory.registry import BUILT_IN_STRATEGIES, strategy_from_config
from app.schemas.common import Id, Line, LongText, Metadata, Page, Read, Strict, Timestamp

ProviderName = Annotated[str, Field(min_length=1, max_length=64)]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_*./-]{1,128}$")]
Count = Annotated[int, Field(ge=1, le=10_000)]
Tokens = Annotated[int, Field(ge=1, le=10_000_000)]


class AgentSettings(Strict):
    """How the model is asked. What is left out is for the provider to choose."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Tokens | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=16)] | None = None
    reasoning: Literal["none", "low", "medium", "high"] | None = None
    on_cut: Literal["retry", "keep"] | None = Field(None, description="What becomes of an answer cut in mid-stream.")
    api: Literal["chat", "responses"] | None = Field(None, description="Which of its APIs; the provider openai only.")
    timeout_s: Annotated[float, Field(gt=0, le=600)] | None = Field(None, description="Seconds without a byte.")
    tool_rounds: Annotated[int, Field(ge=1, le=100)] | None = None


class ToolChoice(Strict):
    """A tool, and whether a person has to agree to each call."""

    name: ToolName
    approval: Literal["never", "always"] = "never"


class LastN(Strict):
    """The last `n` messages."""

    strategy: Literal["last_n"]
    n: Count = 20


class FirstLast(Strict):
    """The first and the last messages."""

    strategy: Literal["first_last"]
    first: Annotated[int, Field(ge=0, le=10_000)] = 2
    last: Count = 10


class Summarize(Strict):
    """A summary, and every message after it."""

    strategy: Literal["summarize"]
    recent: Count = 10


class TokenWindow(Strict):
    """As many of the last messages as have this many tokens."""

    strategy: Literal["token_window"]
    max_tokens: Tokens = 100_000


class OtherMemory(BaseModel):
    """A strategy that was registered under this name, with its own options."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    strategy: Annotated[str, Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        try:
            strategy_from_config(self.model_dump())
        except (InvalidRequest, TypeError) as error:
            raise ValueError(str(error)) from error
        return self


def _by(field: str, built_in: Collection[str]) -> Discriminator:
    """Chooses by a field: the type that is built in, else what stands for everybody's own."""

    def tag_of(value: Any) -> str:
        name = value.get(field) if isinstance(value, Mapping) else getattr(value, field, None)
        return name if isinstance(name, str) and name in built_in else "other"

    return Discriminator(tag_of)


Memory = Annotated[
    Annotated[LastN, Tag("last_n")]
    | Annotated[FirstLast, Tag("first_last")]
    | Annotated[Summarize, Tag("summarize")]
    | Annotated[TokenWindow, Tag("token_window")]
    | Annotated[OtherMemory, Tag("other")],
    _by("strategy", BUILT_IN_STRATEGIES),
]


class _Guardrail(Strict):
    stage: Literal["input", "output", "both"] = "both"
    action: Literal["block", "redact"] = "block"


class Blocklist(_Guardrail):
    """Texts that must not occur; `/…/` is a regular expression."""

    type: Literal["blocklist"]
    patterns: Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(min_length=1, max_length=500)]


class Pii(_Guardrail):
    """Data that belongs to a person."""

    type: Literal["pii"]
    kinds: Annotated[list[Literal["email", "phone", "card", "iban", "ip"]], Field(min_length=1)] = [
        "email", "phone", "card", "iban", "ip",
    ]  # fmt: skip


class Secrets(_Guardrail):
    """Keys and tokens."""

    type: Literal["secrets"]


class MaxLength(_Guardrail):
    """Texts that are too long."""

    type: Literal["max_length"]
    characters: Annotated[int, Field(ge=1, le=1_000_000)]


class Judge(_Guardrail):
    """A model that judges by a policy."""

    type: Literal["judge"]
    provider: ProviderName
    model: ModelName
    policy: Annotated[str, Field(min_length=1, max_length=10_000)]


class OtherGuardrail(BaseModel):
    """A guardrail that was registered under this type, with its own options."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    type: Annotated[str, Field(min_length=1, max_length=64)]
    stage: Literal["input", "output", "both"] = "both"
    action: Literal["block", "redact"] = "block"


Guardrail = Annotated[
    Annotated[Blocklist, Tag("blocklist")]
    | Annotated[Pii, Tag("pii")]
    | Annotated[Secrets, Tag("secrets")]
    | Annotated[MaxLength, Tag("max_length")]
    | Annotated[Judge, Tag("judge")]
    | Annotated[OtherGuardrail, Tag("other")],
    _by("type", BUILT_IN_GUARDRAILS),
]


class Fallback(Strict):
    """Who is asked when those before cannot answer."""

    provider: ProviderName
    model: ModelName


def _once_each(tools: list[str | ToolChoice]) -> list[str | ToolChoice]:
    names = [tool if isinstance(tool, str) else tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise ValueError("must name each tool once")
    return tools


Tools = Annotated[list[ToolName | ToolChoice], Field(max_length=128), AfterValidator(_once_each)]
Guardrails = Annotated[list[Guardrail], Field(max_length=32)]
Fallbacks = Annotated[list[Fallback], Field(max_length=8)]
Description = Annotated[str, Field(max_length=2000)]


class CreateAgent(Strict):
    """Only `name` is needed; provider and model are the service's default unless they are named."""

    name: Line
    description: Description | None = None
    system_prompt: LongText | None = None
    provider: ProviderName | None = None
    model: ModelName | None = None
    settings: AgentSettings = AgentSettings()
    tools: Tools = []
    memory: Memory | None = None
    guardrails: Guardrails = []
    fallbacks: Fallbacks = []
    output_schema: dict[str, Any] | None = None
    metadata: Metadata = {}


class UpdateAgent(Strict):
    """What is left out stays; what is given replaces the whole field. A change makes a new version."""

    name: Line = ""
    description: Description | None = None
    system_prompt: LongText | None = None
    provider: ProviderName | None = None
    model: ModelName | None = None
    settings: AgentSettings = AgentSettings()
    tools: Tools = []
    memory: Memory | None = None
    guardrails: Guardrails = []
    fallbacks: Fallbacks = []
    output_schema: dict[str, Any] | None = None
    metadata: Metadata = {}


AnyAgent = CreateAgent | UpdateAgent


class AgentRead(Read):
    """An agent as it is, or as it was in one version."""

    id: Id
    name: str
    description: str | None
    system_prompt: str | None
    provider: str | None
    model: str | None
    settings: AgentSettings
    tools: list[str | ToolChoice]
    memory: Memory | None
    guardrails: list[Guardrail]
    fallbacks: list[Fallback]
    output_schema: dict[str, Any] | None
    metadata: dict[str, Any]
    version: int
    created_at: Timestamp
    updated_at: Timestamp


class AgentPage(Page[AgentRead]):
    """Agents, newest first; of one agent, its versions, newest first."""
