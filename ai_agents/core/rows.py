"""What stores return: plain dicts with known keys. A misspelt key or status fails the type checker.

These are what clients see, those of one subject in files of their own (`key_rows`, `context_rows`, …);
`core.table_rows` has whole rows of tables. Times are RFC 3339 in UTC. A value is `JsonObject` only where its keys are
free.
"""

from collections.abc import Mapping
from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar, cast, final

from ai_agents.core.notices import Notice
from ai_agents.core.types import (
    BudgetLimit,
    BudgetOf,
    JobKind,
    JobStatus,
    JsonObject,
    MessageRole,
    MessageStatus,
    ResourceType,
    RoleName,
    RunStatus,
    StopReason,
    TokenCounts,
)

ItemT = TypeVar("ItemT")
RowT = TypeVar("RowT")


def only(kind: type[RowT], row: Mapping[Any, Any]) -> RowT:
    """What the TypedDict has of a row, which may have more columns."""
    return cast("RowT", {name: row[name] for name in kind.__annotations__})


class Page(TypedDict, Generic[ItemT]):
    """One page of a list. `next` is the cursor of the next page, None on the last one."""

    data: list[ItemT]
    next: str | None


class Money(TypedDict):
    """An exact amount, as a decimal number in text. `estimated`: its tokens were counted here."""

    currency: Literal["USD"]
    amount: str
    estimated: NotRequired[bool]


class ModelName(TypedDict):
    """A model by its provider's name and its own."""

    provider: str
    model: str


class Budget(TypedDict):
    """What model calls may use in one day of UTC: tokens, and US dollars. None is no limit."""

    tokens_per_day: int | None
    cost_per_day: float | None


class Agent(TypedDict):
    """An agent as it is now, or as it was in one version."""

    id: str
    name: str
    description: str | None
    system_prompt: str | None
    provider: str | None
    model: str | None
    settings: JsonObject
    tools: list[str | JsonObject]
    memory: JsonObject | None
    guardrails: list[JsonObject]
    fallbacks: list[ModelName]
    output_schema: JsonObject | None
    budget: Budget | None
    metadata: JsonObject
    version: int
    created_at: str
    updated_at: str


class AgentSummary(TypedDict):
    """An agent in a list. Users who may only talk to it see the first three."""

    id: str
    name: str
    description: str | None
    provider: NotRequired[str | None]
    model: NotRequired[str | None]
    metadata: NotRequired[JsonObject]
    version: NotRequired[int]
    created_at: NotRequired[str]
    updated_at: NotRequired[str]


@final
class AgentCard(TypedDict):
    """What users see of an agent that they may only talk to."""

    id: str
    name: str
    description: str | None


class SeenAgent(Agent):
    """An agent with the role that a user has on it; None for an admin without one."""

    role: RoleName | None


class SeenAgentSummary(AgentSummary):
    """An agent in a user's list, with the user's role on it; None for an admin without one."""

    role: RoleName | None


@final
class SeenAgentCard(TypedDict):
    """What users see of an agent that they may only talk to, with their role."""

    id: str
    name: str
    description: str | None
    role: RoleName | None


class AgentChanges(TypedDict, total=False):
    """Fields of an agent that are replaced."""

    name: str
    description: str | None
    system_prompt: str | None
    provider: str | None
    model: str | None
    settings: JsonObject
    tools: list[str | JsonObject]
    memory: JsonObject | None
    guardrails: list[JsonObject]
    fallbacks: list[ModelName]
    output_schema: JsonObject | None
    budget: Budget | None
    metadata: JsonObject


class ThreadFields(TypedDict):
    """What a thread is, as its log tells of it. `summary` is the one that counts now."""

    id: str
    agent_id: str
    title: str | None
    summary: str | None
    metadata: JsonObject
    created_at: str
    updated_at: str


class Thread(ThreadFields):
    """A thread with what happens in it.

    `last_activity_at` moves with messages and runs. `preview` is the beginning of the newest text of a user or the
    assistant, None where there is no text; `message_count` is the length of the history. `running`: a run of it is.
    """

    last_activity_at: str
    preview: str | None
    message_count: int
    running: bool


class SeenThread(Thread):
    """A thread with the roles that a user has on it and on its agent; None for none.

    Only admins see threads without a role on them. There is no role on an agent that is deleted.
    """

    role: RoleName | None
    agent_role: RoleName | None


class ThreadChanges(TypedDict, total=False):
    """Fields of a thread that are replaced."""

    title: str | None
    summary: str | None
    metadata: JsonObject


class PublicTextPart(TypedDict):
    """Text."""

    type: Literal["text"]
    text: str


class PublicFilePart(TypedDict):
    """A reference to a file. `deleted` is present, and True, where its uploader deleted it."""

    type: Literal["file"]
    file_id: str
    filename: str
    media_type: str
    size_bytes: int
    deleted: NotRequired[Literal[True]]


class PublicReasoningPart(TypedDict):
    """The model's reasoning."""

    type: Literal["reasoning"]
    text: str


class PublicToolCallPart(TypedDict):
    """A tool call that the model asks for."""

    type: Literal["tool_call"]
    tool_call_id: str
    name: str
    arguments: JsonObject


class PublicToolResultPart(TypedDict):
    """A tool's result, as JSON."""

    type: Literal["tool_result"]
    tool_call_id: str
    name: str
    result: Any
    is_error: bool


PublicPart = PublicTextPart | PublicFilePart | PublicReasoningPart | PublicToolCallPart | PublicToolResultPart


class Message(TypedDict):
    """A message. `content` is the text of its parts; `seq` is None while it is queued.

    `refused` is present, and True, where models are not sent it (any more): a provider refused it for good, or its
    author lost the right to send it before it could join a run. `superseded` is present, and True, for an answer in
    whose place a retry has put another.
    """

    id: str
    thread_id: str
    run_id: str | None
    seq: int | None
    role: MessageRole
    content: str
    parts: list[PublicPart]
    status: MessageStatus
    user_id: str | None
    usage: TokenCounts | None
    cost: Money | None
    metadata: JsonObject
    created_at: str
    refused: NotRequired[bool]
    superseded: NotRequired[bool]


class Problem(TypedDict):
    """Why a run failed (RFC 9457). `guardrail` and `stage` are present where a guardrail blocked it.

    `budget`, `limit` and `resets_at` are present where a model call would have passed a budget.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    guardrail: NotRequired[str]
    stage: NotRequired[str]
    budget: NotRequired[BudgetOf]
    limit: NotRequired[BudgetLimit]
    resets_at: NotRequired[str]


Rating = Literal[1, -1]


class Feedback(TypedDict):
    """What a user thinks of an answer. Without a rating and a comment it is taken back, and kept nowhere."""

    message_id: str
    thread_id: str
    agent_id: str
    user_id: str
    rating: Rating | None
    comment: str | None
    created_at: str
    updated_at: str


class OwnFeedback(TypedDict):
    """What the user who reads a message thinks of it."""

    rating: Rating | None
    comment: str | None


class SeenMessage(Message):
    """A message as a user reads it. `feedback` is present where this user has given some."""

    feedback: NotRequired[OwnFeedback]


class Upstream(TypedDict):
    """What a provider said when it failed: its HTTP status, None where there was none, and its own words.

    Secrets are masked in the words, and they are cut at 2,000 characters.
    """

    status: int | None
    message: str


class RunOverrides(TypedDict, total=False):
    """What one message says otherwise than its agent. What is missing stays as the agent has it.

    `settings` are laid over those of the agent; `instructions` come after its system prompt.
    """

    settings: JsonObject
    output_schema: JsonObject
    provider: str
    model: str
    instructions: str


class Run(TypedDict):
    """A run: how a message is being answered, or was. `overrides` is there where its message has some."""

    id: str
    thread_id: str
    agent_id: str
    agent_version: int
    user_id: str
    status: RunStatus
    attempt: int
    usage: TokenCounts | None
    cost: Money | None
    stop_reason: StopReason | None
    notices: list[Notice]
    error: Problem | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    overrides: NotRequired[RunOverrides]


class RunDetails(Run):
    """A run as those see it who may change its agent. `upstream` is what a provider said when it last failed in it."""

    upstream: NotRequired[Upstream | None]


class Job(TypedDict):
    """A background job. `thread_id` is None for a job that belongs to no thread."""

    id: str
    thread_id: str | None
    kind: JobKind
    range_key: str
    status: JobStatus
    attempts: int
    error: str | None
    result: JsonObject | None
    created_at: str
    finished_at: str | None


class JobCounts(TypedDict):
    """How many jobs there are; `oldest_created_at` is of the oldest that is queued or running."""

    queued: int
    running: int
    failed: int
    oldest_created_at: str | None


class File(TypedDict):
    """A file as clients see it. One that is `deleted` has no content, and its `sha256` is empty."""

    id: str
    filename: str
    media_type: str
    size_bytes: int
    sha256: str
    deleted: NotRequired[Literal[True]]


class Role(TypedDict):
    """A user's role on an agent, a thread, a tool or a provider."""

    id: str
    user_id: str
    role: RoleName
    resource_type: ResourceType
    resource_id: str
    created_at: str


class UserSummary(TypedDict):
    """A user, and how much they have.

    `agents` are those that they own, `runs` those that are under way. What else is counted is what they made.
    """

    id: str
    keys: int
    agents: int
    agent_versions: int
    threads: int
    files: int
    files_bytes: int
    runs: int


class UsageSum(TypedDict):
    """The sums of some model calls, with the keys by which they are grouped.

    `cached_share`, from 0 to 1, is how much of the input came from caches of providers, in the calls of which that is
    known; it is missing where there are none. `cost` covers the calls whose price is known, None where that is none;
    `unpriced_calls` counts the others.
    """

    agent_id: NotRequired[str | None]
    provider: NotRequired[str | None]
    model: NotRequired[str | None]
    user_id: NotRequired[str | None]
    day: NotRequired[str | None]
    calls: int
    usage: TokenCounts
    cached_share: NotRequired[float]
    cost: Money | None
    unpriced_calls: int
