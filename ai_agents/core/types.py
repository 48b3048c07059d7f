"""Messages, parts, usage, and what the runner and a provider exchange. All values are frozen.

Parts are one union, told apart by `type`: TextPart | FilePart | ReasoningPart | ToolCallPart | ToolResultPart.
Order of model events: per part PartStart, any number of PartDelta, PartEnd; after the last part one ResponseEnd.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

JsonObject = dict[str, Any]
# A location in a request: names and indexes, from the outside in.
Loc = tuple[str | int, ...]
MessageRole = Literal["user", "assistant", "tool"]
MessageStatus = Literal["completed", "incomplete", "queued"]
ThreadOrder = Literal["created", "activity"]
RunStatus = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
# `waiting` is for a person, `client` for the client, which makes the call and gives its result.
ToolCallStatus = Literal["waiting", "client", "approved", "refused", "started", "finished", "unknown"]
# What a budget of a day is for, and what it limits.
BudgetOf = Literal["agent", "user"]
BudgetLimit = Literal["tokens_per_day", "cost_per_day"]
JobKind = Literal["title", "summarize", "retention", "erase_user", "webhook", "index_messages"]
JobStatus = Literal["queued", "running", "completed", "failed"]
RoleName = Literal["owner", "editor", "viewer", "user"]
ResourceType = Literal["agent", "thread", "tool", "provider"]
# What agents name, and users have the role `user` on.
UsedType = Literal["tool", "provider"]
PartKind = Literal["text", "reasoning", "tool_call"]
StopReason = Literal[
    "end",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "refusal",
    "pause",
    "context_exceeded",
    "cut",
    "cancelled",
    "other",
]
ReasoningEffort = Literal["none", "low", "medium", "high"]
CountingMethod = Literal["estimate", "calibrated estimate"]
TERMINAL_RUN_STATUSES: frozenset[str] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text. A message's content is its text parts, joined without a separator."""

    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a request contains of a file: its `data`, the `text` extracted from it, or only its name.

    It exists while a request is built and sent, and is never stored. Bytes and text are read last, when it is known
    which files are sent.
    """

    form: Literal["data", "text", "name"]
    data: bytes = field(default=b"", repr=False)
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A reference to a stored file.

    `facts` is what is known about its content (`sha256`; `width`, `height`; `pages`; `text_tokens`), and what
    guardrails said about its text (`clean_for`: those that found nothing; `hidden`: one found something). It is stored
    with the part and not shown to clients. `content` is what a request contains of it, None until that is decided.
    Of a `deleted` file nothing but its name, type and size is left.
    """

    file_id: str
    filename: str
    media_type: str
    size_bytes: int
    type: Literal["file"] = "file"
    facts: Mapping[str, Any] | None = None
    content: FileContent | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """A model's reasoning.

    `origin` is what the provider wants back with it (`provider`, `model`, `signature` …). It is stored and never shown
    to clients.
    """

    text: str
    origin: Mapping[str, Any] | None = None
    type: Literal["reasoning"] = "reasoning"


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A tool call that the model asks for. `tool_call_id` is made here: some providers repeat theirs or have none.

    `malformed` holds the raw arguments where they are not a JSON object. Such a call is answered with an error and
    never made.
    """

    tool_call_id: str
    name: str
    arguments: JsonObject
    malformed: str | None = None
    origin: Mapping[str, Any] | None = None
    type: Literal["tool_call"] = "tool_call"


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """A tool's result, as JSON; a string for most tools.

    `kept_as` is the file with the whole of a result that is too long to be shown. In the message it is a part of its
    own.
    """

    tool_call_id: str
    name: str
    result: Any
    is_error: bool = False
    type: Literal["tool_result"] = "tool_result"
    kept_as: FilePart | None = field(default=None, compare=False)


Part = TextPart | FilePart | ReasoningPart | ToolCallPart | ToolResultPart


class TokenCounts(TypedDict):
    """Tokens of one or more model calls. None where the provider did not say.

    `estimated` is present, and True, where the tokens were counted here.
    """

    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    reasoning_tokens: int | None
    estimated: NotRequired[bool]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more model calls. None: the provider did not say. `estimated`: they were counted here.

    Cached and cache-written tokens are part of the input, reasoning tokens part of the output. Tokens written to a
    cache are here for their price, and are not shown.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False
    cache_write_tokens: int | None = None

    def fields(self) -> dict[str, Any]:
        """All of its fields. `asdict` of dataclasses copies each value deeply, at several times the cost."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __add__(self, other: "Usage") -> "Usage":
        """The sum. A figure is None only if it is None on both sides."""

        def add(a: int | None, b: int | None) -> int | None:
            return b if a is None else a if b is None else a + b

        return Usage(
            input_tokens=add(self.input_tokens, other.input_tokens),
            output_tokens=add(self.output_tokens, other.output_tokens),
            cached_input_tokens=add(self.cached_input_tokens, other.cached_input_tokens),
            reasoning_tokens=add(self.reasoning_tokens, other.reasoning_tokens),
            estimated=self.estimated or other.estimated,
            cache_write_tokens=add(self.cache_write_tokens, other.cache_write_tokens),
        )

    def to_dict(self) -> TokenCounts:
        """As clients see it: the four counts, and `estimated` only where it is true."""
        counts: TokenCounts = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_input_tokens": self.cached_input_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }
        if self.estimated:
            counts["estimated"] = True
        return counts


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """What a model is told about a tool. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: JsonObject = field(default_factory=lambda: {"type": "object", "properties": {}})


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """A message of a request, in no provider's form. `seq` is its place in the thread, None before it is recorded."""

    role: MessageRole
    parts: tuple[Part, ...]
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Settings of a model call. None leaves the choice to the provider; `timeout_s` is seconds without a byte.

    `api` names one of the provider's APIs, where it has several.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    reasoning: ReasoningEffort | None = None
    timeout_s: float | None = None
    api: Literal["chat", "responses"] | None = None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Everything that one model call needs, in no provider's form.

    `messages` begin with a user's message; the result of each tool call is in the tool messages right after it.
    `output_schema` is a JSON Schema for the answer's text, which is JSON then, as far as the provider can enforce it.
    `start_within_s` is how long all tries together may take until the answer begins; None leaves it to the provider.
    """

    model: str
    messages: tuple[ModelMessage, ...]
    system: str | None = None
    tools: tuple[ToolDefinition, ...] = ()
    settings: ModelSettings = ModelSettings()
    output_schema: JsonObject | None = None
    start_within_s: float | None = None


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins. `index` counts from 0 within the response."""

    index: int
    kind: PartKind


@dataclass(frozen=True, slots=True)
class PartDelta:
    """More of a part: text, or raw JSON of a tool call's arguments."""

    index: int
    kind: PartKind
    text: str


@dataclass(frozen=True, slots=True)
class PartEnd:
    """A part is complete."""

    index: int
    part: TextPart | ReasoningPart | ToolCallPart


@dataclass(frozen=True, slots=True)
class ResponseEnd:
    """The provider's own terminal event arrived. There is exactly one, and it comes last."""

    stop_reason: StopReason
    usage: Usage
    model: str


ModelEvent = PartStart | PartDelta | PartEnd | ResponseEnd


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """A whole answer, made of a stream of model events."""

    parts: tuple[TextPart | ReasoningPart | ToolCallPart, ...]
    stop_reason: StopReason
    usage: Usage
    model: str

    @property
    def text(self) -> str:
        """The text parts joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The tool calls, in the model's order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """A summary and the `seq` of the last message that it covers; 0 where it is about what came before them all."""

    text: str
    covers_through_seq: int


# The type of what is published like a row of a log and is none: `data` names what was taken away.
REVOKED = "rights.revoked"
# The same of a thread that has become visible to users, or whose list entry has changed without a row of its log.
CHANGED = "thread.changed"


@dataclass(frozen=True, slots=True)
class LogRow:
    """A row of a thread's log. `data` is the event's JSON in one line, as clients get it.

    `resets`: after this row, the position in the message in progress starts at 0 again.
    """

    thread_id: str
    seq: int
    type: str
    run_id: str | None
    data: str
    resets: bool
    created_at: str
