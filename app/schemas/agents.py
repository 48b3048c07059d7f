"""Agents: their settings, tools, memory, guardrails and fallbacks."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)
from pydantic.config import JsonDict

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.guardrails.registry import BUILT_IN_GUARDRAILS
from ai_agents.memory.registry import BUILT_IN_STRATEGIES, strategy_from_config
from app.schemas.common import JsonSchema, Line, LongText, Metadata, Strict

MAX_TOOLS = 128
# A call that waits for more than a year waits for ever.
MAX_APPROVAL_S = 366 * 86_400
# Of what was registered, its name among them.
MAX_OPTIONS = 50
ProviderNameIn = Annotated[str, Field(min_length=1, max_length=64)]
ModelNameIn = Annotated[str, Field(min_length=1, max_length=200)]
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_*./-]{1,128}$", max_length=128)]
MessageCount = Annotated[int, Field(ge=1, le=10_000)]
WindowStep = Annotated[
    int,
    Field(ge=1, le=1_000, description="By how many messages the window's edge moves. Caches of providers need a few."),
]
Tokens = Annotated[int, Field(ge=1, le=10_000_000)]


class AgentSettings(Strict):
    """The model's settings. The provider chooses what is left out."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Tokens | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=16)] | None = None
    reasoning: Literal["none", "low", "medium", "high"] | None = None
    on_cut: Literal["retry", "keep"] | None = Field(
        None, description="What happens to an answer that is cut in mid-stream."
    )
    api: Literal["chat", "responses"] | None = Field(None, description="Which API of the provider openai.")
    timeout_s: Annotated[float, Field(gt=0, le=600)] | None = Field(None, description="Seconds without a byte.")
    tool_rounds: Annotated[int, Field(ge=1, le=100)] | None = None


class ToolChoice(Strict):
    """A tool, and whether a person must approve each call."""

    name: ToolName
    approval: Literal["never", "always"] = "never"
    expires_in_s: Annotated[int, Field(ge=1, le=MAX_APPROVAL_S)] | None = Field(
        None,
        description="How many seconds a call waits for a person; null: for ever. By default the service says it.",
    )

    @model_validator(mode="after")
    def _expires_only_where_it_waits(self) -> Self:
        if self.approval != "always" and "expires_in_s" in self.model_fields_set:
            raise ValueError("only calls that wait for an approval have `expires_in_s`")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Null is another answer than none.
        given: dict[str, Any] = serialize(self)
        return {name: value for name, value in given.items() if name != "expires_in_s" or name in self.model_fields_set}


class LastNConfig(Strict, title="LastN"):
    """The last `n` messages, and up to two steps more."""

    strategy: Literal["last_n"]
    n: MessageCount = 20
    step: WindowStep = 1


class FirstLastConfig(Strict, title="FirstLast"):
    """The first and the last messages."""

    strategy: Literal["first_last"]
    first: Annotated[int, Field(ge=0, le=10_000)] = 2
    last: MessageCount = 10
    step: WindowStep = 1


class SummarizeConfig(Strict, title="Summarize"):
    """A summary, and every message after it."""

    strategy: Literal["summarize"]
    recent: MessageCount = 10


class TokenWindowConfig(Strict, title="TokenWindow"):
    """The last messages: in a long thread between three quarters of this many tokens and all of them."""

    strategy: Literal["token_window"]
    max_tokens: Tokens = 100_000


def _none_of(built_in: Collection[str]) -> JsonDict:
    """Without this in the schema, a built-in type would match two branches of its `oneOf`."""
    return {"not": {"enum": [*sorted(built_in)]}}


class _Registered(BaseModel):
    """What was registered under a name, with options of its own."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, json_schema_extra={"maxProperties": MAX_OPTIONS})

    @model_validator(mode="before")
    @classmethod
    def _has_few_options(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > MAX_OPTIONS:
            raise ValueError(f"must not have more than {MAX_OPTIONS} options")
        return value


class OtherMemory(_Registered):
    """A strategy that was registered under this name, with options of its own."""

    strategy: Annotated[str, Field(min_length=1, max_length=64, json_schema_extra=_none_of(BUILT_IN_STRATEGIES))]

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        try:
            strategy_from_config(self.model_dump())
        except (InvalidRequest, TypeError) as error:
            raise ValueError(str(error)) from error
        return self


def _by(field: str, built_in: Collection[str]) -> Discriminator:
    """Choose the model by this field: the built-in one, or the model that stands for every registered one."""

    def tag_of(value: Any) -> str:
        name = value.get(field) if isinstance(value, Mapping) else getattr(value, field, None)
        return name if isinstance(name, str) and name in built_in else "other"

    return Discriminator(tag_of)


MemoryConfig = Annotated[
    Annotated[LastNConfig, Tag("last_n")]
    | Annotated[FirstLastConfig, Tag("first_last")]
    | Annotated[SummarizeConfig, Tag("summarize")]
    | Annotated[TokenWindowConfig, Tag("token_window")]
    | Annotated[OtherMemory, Tag("other")],
    _by("strategy", BUILT_IN_STRATEGIES),
]


class _Guardrail(Strict):
    stage: Literal["input", "output", "both"] = "both"
    action: Literal["block", "redact"] = "block"


class BlocklistConfig(_Guardrail, title="Blocklist"):
    """Texts that must not occur; `/…/` is a regular expression."""

    type: Literal["blocklist"]
    patterns: Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(min_length=1, max_length=500)]


class PiiConfig(_Guardrail, title="Pii"):
    """Personal data."""

    type: Literal["pii"]
    kinds: Annotated[list[Literal["email", "phone", "card", "iban", "ip"]], Field(min_length=1, max_length=5)] = [
        "email", "phone", "card", "iban", "ip",
    ]  # fmt: skip


class SecretsConfig(_Guardrail, title="Secrets"):
    """Keys and tokens."""

    type: Literal["secrets"]


class MaxLengthConfig(_Guardrail, title="MaxLength"):
    """Texts that are too long."""

    type: Literal["max_length"]
    characters: Annotated[int, Field(ge=1, le=1_000_000)]


class JudgeConfig(_Guardrail, title="Judge"):
    """A model that judges by a policy."""

    type: Literal["judge"]
    provider: ProviderNameIn
    model: ModelNameIn
    policy: Annotated[str, Field(min_length=1, max_length=10_000)]


class OtherGuardrail(_Registered):
    """A guardrail that was registered under this type, with options of its own."""

    type: Annotated[str, Field(min_length=1, max_length=64, json_schema_extra=_none_of(BUILT_IN_GUARDRAILS))]
    stage: Literal["input", "output", "both"] = "both"
    action: Literal["block", "redact"] = "block"


GuardrailConfig = Annotated[
    Annotated[BlocklistConfig, Tag("blocklist")]
    | Annotated[PiiConfig, Tag("pii")]
    | Annotated[SecretsConfig, Tag("secrets")]
    | Annotated[MaxLengthConfig, Tag("max_length")]
    | Annotated[JudgeConfig, Tag("judge")]
    | Annotated[OtherGuardrail, Tag("other")],
    _by("type", BUILT_IN_GUARDRAILS),
]


class Fallback(Strict):
    """A model that is asked when the ones before it cannot answer."""

    provider: ProviderNameIn
    model: ModelNameIn


class BudgetIn(Strict, title="Budget"):
    """What the agent's model calls may use in one day of UTC, all users together. Null is no limit."""

    tokens_per_day: Annotated[int, Field(ge=0, le=10**15)] | None = Field(None, description="Input and output.")
    cost_per_day: Annotated[float, Field(ge=0, le=10**6)] | None = Field(None, description="US dollars.")


def _once_each(tools: list[str | ToolChoice]) -> list[str | ToolChoice]:
    names = [tool if isinstance(tool, str) else tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise ValueError("must name each tool once")
    return tools


Tools = Annotated[list[ToolName | ToolChoice], Field(max_length=MAX_TOOLS), AfterValidator(_once_each)]
Guardrails = Annotated[list[GuardrailConfig], Field(max_length=32)]
Fallbacks = Annotated[list[Fallback], Field(max_length=8)]
Description = Annotated[str, Field(max_length=2000)]


class AgentFields(Strict):
    """What a client can set of an agent."""

    name: Line = ""
    description: Description | None = None
    system_prompt: LongText | None = None
    provider: ProviderNameIn | None = None
    model: ModelNameIn | None = None
    settings: AgentSettings = AgentSettings()
    tools: Tools = []
    memory: MemoryConfig | None = None
    guardrails: Guardrails = []
    fallbacks: Fallbacks = []
    output_schema: JsonSchema | None = Field(None, description="A JSON Schema of an object; at most 64 KiB.")
    budget: BudgetIn | None = None
    metadata: Metadata = {}


class CreateAgent(AgentFields):
    """Only `name` is needed. Without a provider and a model the agent uses the service's default."""

    name: Line


class UpdateAgent(AgentFields):
    """Fields that are left out stay; a field that is given is replaced as a whole. A change makes a new version."""
