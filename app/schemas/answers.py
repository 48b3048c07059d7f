"""The models of answers, made of the rows that stores return. They describe answers; no answer is made from them."""

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Discriminator, Field, create_model

from ai_agents.core import (
    activity_rows,
    approval_rows,
    audit_rows,
    context_rows,
    key_rows,
    notices,
    rows,
    search_rows,
    webhook_rows,
)
from ai_agents.core.events import LastingEventType
from ai_agents.core.limits import LimitName, LimitsOfUser, LimitUse
from ai_agents.core.types import TokenCounts
from app.errors import MAX_ERRORS, MAX_LOC_PARTS
from app.schemas.agents import MAX_TOOLS, AgentSettings, BudgetIn, Fallbacks, Guardrails, MemoryConfig, ToolChoice
from app.schemas.common import DateTime, Id, JsonSchema

_MAX_PAGE = 100
# Keys that end like ids, and whose values are no ids of this service.
_NO_IDS = {"user_id", "tool_call_id"}
# The models of rows, by the rows, or unions of them, that they stand for inside other rows.
_MODELS: dict[Any, Any] = {}


class Read(BaseModel):
    """An object of an answer. It has the members that are described and no others."""

    model_config = ConfigDict(extra="forbid")


def _read(name: str, row: Any, doc: str = "", /, **more: Any) -> type[Read]:
    """The model of a row. `more` has descriptions of its keys, and types of keys that are free in the row."""
    fields: dict[str, Any] = {}
    for key, hint in get_type_hints(row).items():
        given = more.get(key)
        default = None if key in row.__optional_keys__ else ...
        is_id = key == "id" or (key.endswith("_id") and key not in _NO_IDS)
        shown = _shown(hint, Id if is_id else DateTime if key.endswith("_at") else str)
        if given is not None and not isinstance(given, str):
            fields[key] = (given, default)
        else:
            described = default if given is None else Field(default, description=given)
            fields[key] = (shown if default is ... else shown | None, described)
    model: type[Read] = create_model(name, __base__=Read, __doc__=doc or row.__doc__, **fields)
    _MODELS[row] = model
    return model


def _shown(hint: Any, text: Any) -> Any:
    """The type with models in place of rows, and `text` in place of `str`."""
    if hint in _MODELS:
        return _MODELS[hint]
    if hint is str:
        return text
    arguments = tuple(_shown(each, text) for each in get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return Union[arguments]  # noqa: UP007  # `|` takes no tuple
    return list[arguments] if get_origin(hint) is list else hint  # type: ignore[valid-type]  # made at run time


def _page(name: str, entry: Any, doc: str, *, most: int | None = _MAX_PAGE) -> type[Read]:
    """The model of a page of a list."""
    following = Field(description="The cursor for `?after=` of the next page; null on the last one.")
    data = (list[entry], Field(max_length=most))
    return create_model(name, __base__=Read, __doc__=doc, data=data, next=(str | None, following))


TokenUsage = _read(
    "Usage",
    TokenCounts,
    "Tokens. Null where the provider does not say; `estimated` is true where the service counted them itself.",
)
Cost = _read(
    "Cost",
    rows.Money,
    "What model calls cost. `estimated` is true where the service counted their tokens itself.",
    amount=Annotated[str, Field(description="Exact, as a decimal number.", examples=["0.00123"])],
)
_ROLE = "The role of the user who asks, or of every user where that is more; null for an admin without one."
_AGENT: dict[str, Any] = {
    "settings": AgentSettings,
    "tools": Annotated[list[str | ToolChoice], Field(max_length=MAX_TOOLS)],
    "memory": MemoryConfig | None,
    "guardrails": Guardrails,
    "fallbacks": Fallbacks,
    "budget": BudgetIn | None,
}
AgentRead = _read("AgentRead", rows.SeenAgent, "An agent as it is.", role=_ROLE, **_AGENT)
AgentVersion = _read("AgentVersion", rows.Agent, "An agent as it was in one version.", **_AGENT)
AgentVersionPage = _page("AgentVersionPage", AgentVersion, "An agent in each of its versions, newest first.")
AgentCard = _read("AgentCard", rows.SeenAgentCard, role=_ROLE)
AgentSummary = _read("AgentSummary", rows.SeenAgentSummary, role=_ROLE)
AgentPage = _page("AgentPage", AgentSummary, "Agents, newest first.")
ThreadFieldsRead = _read("ThreadFields", rows.ThreadFields, "A conversation, without what happens in it.")
ThreadRead = _read(
    "ThreadRead",
    rows.SeenThread,
    "A conversation.",
    last_activity_at="Moves with messages and runs, not with changes of the thread itself.",
    preview="The beginning of the newest text of a user or the assistant; null where there is no text.",
    message_count="How many messages the history has.",
    running="Whether a run is running.",
    role=_ROLE,
    agent_role="The same for the thread's agent, without which a message cannot be sent; null also where the agent is "
    "deleted.",
)
ThreadPage = _page("ThreadPage", ThreadRead, "Threads, newest first.")
_DELETED = "True where the file was deleted, so that its content is gone; otherwise missing."
_MODELS[rows.PublicPart] = Annotated[
    _read("TextPart", rows.PublicTextPart)
    | _read("FilePart", rows.PublicFilePart, "A file.", deleted=_DELETED)
    | _read("ReasoningPart", rows.PublicReasoningPart)
    | _read("ToolCallPart", rows.PublicToolCallPart)
    | _read("ToolResultPart", rows.PublicToolResultPart, "The result of a tool call."),
    Discriminator("type"),
]
_read("OwnFeedback", rows.OwnFeedback)
MessageRead = _read(
    "MessageRead",
    rows.SeenMessage,
    "One message of a thread's history; `content` is its text.",
    seq="Its number in the thread's log; null while it is queued.",
    cost="Cost of the model call that made it; null if its price is not known.",
    refused="True where models are not sent it: the provider refused what is said in it, or its author lost the right "
    "to send it before it could join a run; otherwise missing.",
    superseded="True for an answer in whose place a retry has put another, so that models are no longer sent it; "
    "otherwise missing.",
    feedback="What the user who reads the history thinks of the answer; missing where they have not said, and in "
    "events.",
)
_MODELS[rows.Message] = MessageRead
MessagePage = _page("MessagePage", MessageRead, "Messages, oldest first unless asked otherwise.")
_read(
    "Snippet",
    search_rows.Snippet,
    "A piece of the message's text.",
    marks=Annotated[
        list[Annotated[list[int], Field(min_length=2, max_length=2)]],
        Field(description="Where it has what was asked for: `[start, end]`, in Unicode code points."),
    ],
)
_read("ThreadName", search_rows.ThreadName)
SearchHitRead = _read("SearchHit", search_rows.SearchHit)
SearchPageRead = create_model(
    "SearchPage",
    __base__=_page("SearchPage", SearchHitRead, "Messages that were found, best first."),
    __doc__="Messages that were found, best first.",
    incomplete=(
        bool | None,
        Field(
            None,
            description="True where older messages were not searched: after an update, or of very many.",
        ),
    ),
)
FeedbackRead = _read("FeedbackRead", rows.Feedback, "What a user thinks of an answer.")
FeedbackPage = _page("FeedbackPage", FeedbackRead, "Feedback, newest first.")
_MODELS[notices.Notice] = Annotated[
    _read(
        "ContextLeftOut",
        notices.ContextLeftOut,
        "The oldest turns that the memory chose did not fit the model, so they were not sent.",
        messages="How many; null if there were too many to count.",
        through_seq="The `seq` of the newest of them.",
        reason="The service knew it before the call, or the provider refused the request as too long.",
    )
    | _read(
        "ToolMissing",
        notices.ToolMissing,
        "A tool that the agent names does not exist, or is off until an admin approves it. The run went on without it.",
    )
    | _read(
        "SettingLeftOut",
        notices.SettingLeftOut,
        "A setting of the agent that its model does not take. The model was asked without it.",
        reason="Why, and which quirk of the provider says otherwise.",
    )
    | _read(
        "ToolLeftOut",
        notices.ToolLeftOut,
        "A tool whose parameters have no form that the provider takes. The run went on without it.",
    )
    | _read(
        "CredentialsMissing",
        notices.CredentialsMissing,
        "A tool is called with the user's own credentials, and the user had given none: the call is an error result.",
        tool="The name of the tool or server in `PUT /me/credentials/{tool}`.",
    )
    | _read("EmptyAnswer", notices.EmptyAnswer, "The model said nothing after a tool's result, twice.")
    | _read(
        "BudgetLow",
        notices.BudgetLow,
        "At least 80 % of a budget is used, with what the run's last call may have used.",
        budget="Whose: the agent's, or that of the user who sent the message.",
    )
    | _read(
        "CostUnknown",
        notices.CostUnknown,
        "There is a budget of money, and the price of a model is not known: its calls count no money.",
    )
    | _read(
        "SummaryUnusable",
        notices.SummaryUnusable,
        "The model gave no usable summary of the thread, several times in a row. It is asked again ever more seldom.",
        times="How many in a row.",
    ),
    Discriminator("code"),
]


class RunErrorRead(Read, title="RunError", extra="allow"):
    """Why a run failed: a problem without the members that belong to one request."""

    type: str
    title: str
    status: int = Field(description="The status of the answer, where the request waited for it.")
    detail: str
    code: str = Field(description="A stable word for what went wrong.")


_RUN: dict[str, Any] = {
    "cost": "Cost of all its model calls; null if there was none, or no price is known.",
    "notices": "What happened during the run that the user should know.",
    "error": RunErrorRead | None,
}
_MODELS[rows.RunOverrides] = Annotated[
    _read(
        "RunOverrides",
        rows.RunOverrides,
        "What the run's message says otherwise than its agent.",
        settings=AgentSettings | None,
        output_schema=JsonSchema | None,
        provider="This and what follows is shown to those who may edit the agent.",
    ),
    Field(description="Missing where its message says nothing otherwise than its agent."),
]
RunRead = _read("RunRead", rows.Run, "How one message of a thread is answered.", **_RUN)
_read(
    "Upstream",
    rows.Upstream,
    "What a provider said when it failed.",
    status="The HTTP status of its answer; null if there was none.",
    message="Its own words, without secrets, at most 2,000 characters.",
)
RunDetails = _read(
    "RunDetails",
    rows.RunDetails,
    "How one message of a thread is answered.",
    upstream=Annotated[
        _MODELS[rows.Upstream] | None,
        Field(description="The last failure of a provider in this run. Missing for users who may not edit the agent."),
    ],
    **_RUN,
)
RunPage = _page("RunPage", RunDetails, "Runs, newest first.")


class LogEvent(Read, extra="allow"):
    """One row of a thread's log. Its further members are those of the event of this type."""

    seq: int
    type: LastingEventType = Field(description="The types of events that are stored.")
    created_at: DateTime
    thread_id: Id
    run_id: Id | None = None


EventPage = _page("EventPage", LogEvent, "Events, oldest first unless asked otherwise.")
JobRead = _read(
    "JobRead",
    rows.Job,
    "Work in the background. There is one job for each thread, kind and range.",
    thread_id=Annotated[Id | None, Field(description="Null for a job that belongs to no thread.")],
    range_key="Which part of the thread, or which user.",
    attempts="After the fifth the job is `failed`.",
    error="Why the last attempt failed.",
    result="What the job did; for `erase_user` the receipt.",
)
JobPage = _page("JobPage", JobRead, "Jobs, newest first.")
FileRead = _read(
    "FileRead",
    rows.File,
    "A file. The service finds its type from its content.",
    sha256="Of its content; empty where it was deleted.",
    deleted=_DELETED,
)
_PREFIX = "How the key begins, to tell keys apart."
KeyRead = _read("KeyRead", key_rows.Key, prefix=_PREFIX)
NewKey = _read("NewKey", key_rows.NewKey, "An API key with its secret, which is shown this once.", prefix=_PREFIX)
NewToken = _read(
    "NewToken",
    key_rows.NewToken,
    "A token. `token` is shown in this answer alone.",
    agents="The only agents that it is for; null: it is for all that its user sees.",
)
KeyPage = _page("KeyPage", KeyRead, "API keys, newest first.")
RoleRead = _read("RoleRead", rows.Role)
RolePage = _page("RolePage", RoleRead, "Roles, newest first.")
ThreadActivityRead = _read("ThreadActivity", activity_rows.ThreadActivity)
_read("ThreadTitle", approval_rows.ThreadTitle)
_read("AgentName", approval_rows.AgentName, name="Null where you do not see the agent.")
ApprovalRead = _read(
    "ApprovalRead",
    approval_rows.WaitingApproval,
    "A tool call that waits for a person.",
    expires_at="When it is refused if no person has decided on it; null: never.",
)
ApprovalPage = _page("ApprovalPage", ApprovalRead, "Tool calls that wait for a person, newest first.")
WebhookRead = _read("WebhookRead", webhook_rows.Webhook, agent_id="Null: of all agents.")
NewWebhook = _read(
    "NewWebhook",
    webhook_rows.NewWebhook,
    "A webhook. `secret` is shown in this answer alone.",
    agent_id="Null: of all agents.",
)
WebhookPage = _page("WebhookPage", WebhookRead, "Webhooks, newest first.")
DeliveryRead = _read(
    "DeliveryRead",
    webhook_rows.Delivery,
    "One event that a webhook is told of. `id` is the `webhook-id` of every attempt.",
    last_status="The HTTP status of the last answer; null where there was none.",
)
DeliveryPage = _page("DeliveryPage", DeliveryRead, "Deliveries, newest first.")
_PERSON = "A user by pseudonym. `user_id` is null when the user was erased."
_MODELS[audit_rows.Person] = _read("Person", audit_rows.Person, _PERSON, id="The pseudonym.")
AuditRead = _read(
    "AuditRead",
    audit_rows.AuditEntry,
    "What was done, by which user, to what.",
    actor="Null for what the service or an operator at the command line did, and where the user is not known.",
    key_id="The API key of the request.",
    operation="The operation of this document.",
    resource_id=Annotated[str | None, Field(description="Null where it is everything of this kind.")],
    subject="Who is concerned: who gets a role or a key, or is erased.",
    count="How many requests this entry counts. Its other facts are those of the first.",
    request_id=Annotated[str | None, Field(description="`X-Request-Id`, or its hash where a program did not make it.")],
    details=Annotated[dict[str, str | int | float | bool | None], Field(description="More, by name.")],
    batch="The batch of the chain that covers it; null for the newest entries.",
)
AuditPage = _page("AuditPage", AuditRead, "Entries of the audit log, newest first.")
TicketRead = _read("TicketRead", key_rows.Ticket, "A ticket. It is shown only in this answer.")
UsageRead = _read(
    "UsageRead",
    rows.UsageSum,
    "The sums of a group of model calls. The fields of `group_by` say which group.",
    user_id="The user whose message caused the calls; null where there is none.",
    day=Annotated[str | None, Field(description="In UTC.", json_schema_extra={"format": "date"})],
    calls="How many calls, including failed and cancelled ones.",
    cached_share="How much of the input came from caches of providers, from 0 to 1, in the calls of which that is "
    "known; missing if there are none.",
    cost="Cost of the calls whose price is known; null if there is none.",
    unpriced_calls="How many calls have no known price. They are not in the cost.",
)
UsagePage = _page("UsagePage", UsageRead, "Sums, ordered by the fields of `group_by`.")
_MODELS[context_rows.ViewedPart] = Annotated[
    _MODELS[rows.PublicTextPart]
    | _read(
        "ContextFilePart",
        context_rows.ViewedFilePart,
        "A file as the model would get it.",
        sent_as="With its bytes, as its text, or by its name alone.",
        text="The text that the model would get, without what guardrails hide; only where `sent_as` is `text`.",
        deleted=_DELETED,
    )
    | _MODELS[rows.PublicReasoningPart]
    | _MODELS[rows.PublicToolCallPart]
    | _MODELS[rows.PublicToolResultPart],
    Discriminator("type"),
]
_read(
    "ContextMessage",
    context_rows.ViewedMessage,
    "A message as the model would get it.",
    seq="Its number in the thread's log; null for what is not in the thread: the summary, the note that messages were "
    "left out, and the result that stands in for a missing one.",
)
_read("ContextTool", context_rows.ViewedTool, "A tool that the model would get.", parameters="A JSON Schema.")
_read(
    "ContextTokens",
    context_rows.ViewedTokens,
    "The size of the request. It fits if `total` is at most `budget`; the rest of `window` is for the answer.",
    total="System prompt, tools, summary and messages.",
    method="How the tokens were counted.",
    budget="How many the request may have, so that there is room for the answer.",
    window="How many request and answer may have together.",
)
_read(
    "LeftOutMessage",
    context_rows.LeftOutMessage,
    reason="The memory does not choose it; the summary covers it; it does not fit; it has nothing to send; a provider "
    "refused it, or a retry has superseded it, so that no model is sent it again.",
)
_read(
    "LastCall",
    context_rows.LastCall,
    "The last completed call of this provider and model in a run of the thread, as the provider told of it.",
    cached_input_tokens="How many tokens of the input came from the provider's cache; null where it does not say.",
    cached_share="Their share of the input, from 0 to 1.",
)
ContextRead = _read(
    "ContextRead",
    context_rows.ContextView,
    "What the model would get now, before the next message.",
    system="Null also for users who do not see the agent.",
    summary="Sent as the first message.",
    tools="Null for users who do not see the agent.",
    notices="What a run would tell now: of what the agent asks for, what its model would not be sent.",
    last_call="Null where the thread has no such call.",
)


LimitsRead = _read(
    "UserLimits",
    LimitsOfUser,
    "The limits of a user; null is none.",
    own="The names of those that an admin set for this user.",
    runs="Under way at once.",
    files_bytes="All files of the user together.",
    thread_rows="Rows of the log of one thread.",
    agent_versions="Versions of all agents of the user together.",
    cost_per_day="In US dollars.",
)


LimitUseRead = _read(
    "LimitUse",
    LimitUse,
    "One limit of a user.",
    limit="Null is none.",
    used="Null where it is not counted.",
    resets_at="When all of it is free again, for what ends by itself.",
)
UserSummary = _read("UserSummary", rows.UserSummary, id=Annotated[str, Field(description="Any text.")])
UserPage = _page("UserPage", UserSummary, "Users, by their ids.")


class Me(Read):
    """The user whose key the request carries."""

    user_id: str
    admin: bool
    limits: dict[LimitName, LimitUseRead] = Field(  # type: ignore[valid-type]  # made at run time
        description="The user's limits and what is used of them. Empty for a token that is for some agents.",
    )


class Health(Read):
    """The state of the service."""

    status: Literal["ok"]


class OfferedToolRead(Read, title="OfferedTool"):
    """A tool as its server offers it now."""

    name: str
    description: str
    parameters: dict[str, Any]
    digest: str


class ToolRead(Read):
    """A tool that agents may name. Only admins see `url`, `digest`, `offered`, `reason`, `method` and `version`."""

    name: str
    type: Literal["python", "http", "mcp"]
    description: str
    parameters: dict[str, Any] = Field(description="A JSON Schema.")
    retry_safe: bool = Field(description="Whether a call is made again if its process dies meanwhile.")
    status: Literal["on", "changed", "unapproved", "gone", "left_out"] = Field(
        description="`changed`, `unapproved`, `gone`: the MCP server changed the tool, added it, or offers it no more. "
        "`left_out`: the server describes it in a way that no model can be told; `reason` says why."
    )
    url: str | None = Field(None, description="The address of a tool or server that an admin made.")
    digest: str | None = Field(None, description="A hash of all that the server says about the tool.")
    offered: OfferedToolRead | None = Field(
        None, description="The tool as the server offers it now, if that has changed."
    )
    reason: str | None = Field(None, description="Why what the server says of it is left out, or a part of that.")
    credentials: Literal["user"] | None = Field(
        None,
        description="`user`: it is called with headers of each user's own, which `PUT /me/credentials/{tool}` takes "
        "(for a server's tool by the name of the server); otherwise missing.",
    )
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] | None = Field(None, description="Of an HTTP tool.")
    version: int | None = Field(None, description="Of an HTTP tool: counts its changes; in `ETag` and `If-Match`.")


class CredentialsRead(Read):
    """A tool for which you have given headers. They are not shown."""

    tool: str = Field(description="The name of the tool or server.")


CredentialsPage = _page("CredentialsPage", CredentialsRead, "All of them, by name.", most=None)
ToolPage = _page("ToolPage", ToolRead, "All tools, by name.", most=None)


class FieldError(Read):
    """One mistake in a request."""

    loc: Annotated[list[str | int], Field(max_length=MAX_LOC_PARTS)] = Field(
        description="Where: `body`, `query` or `header`, then the path to the field."
    )
    msg: str


class ProblemRead(Read, title="Problem", extra="allow"):
    """What went wrong (RFC 9457). Some problems have further members, such as `run_id`."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="A stable word for what went wrong.")
    request_id: str
    errors: Annotated[list[FieldError], Field(max_length=MAX_ERRORS)] | None = Field(
        None, description="For `invalid_request`: what is wrong, without the value."
    )
