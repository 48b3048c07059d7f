"""`/context`: what a model would be sent of a thread now, message by message, and what is left out and why.

First the database is read; then, with no transaction open, the request is built and the texts of its files are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from sqlalchemy import Connection

from ai_agents.auth.roles import can, require_on_thread
from ai_agents.context.builder import BuiltContext, LeftOut, Reason, notices_of
from ai_agents.context.contexts import Contexts
from ai_agents.context.purposes import CallPurpose
from ai_agents.context.tokens import Calibration
from ai_agents.core.context_rows import ContextView, LastCall, LeftOutMessage, ViewedMessage, ViewedPart, ViewedTool
from ai_agents.core.notices import Notice
from ai_agents.core.parts import part_to_public
from ai_agents.core.rows import Agent
from ai_agents.core.scopes import AgentScope
from ai_agents.core.types import FileContent, FilePart, ModelMessage, ModelRequest, Part
from ai_agents.memory.base import MemoryStrategy, Window
from ai_agents.memory.registry import strategy_from_config
from ai_agents.store.history import History
from ai_agents.store.model_calls import last_of_thread
from ai_agents.tools.registry import ToolSet

# The newest messages that the memory leaves out are listed one by one; all older ones share one line.
LISTED = 200


@dataclass(frozen=True, slots=True)
class _Recent:
    """The newest messages of a thread, one that is older than what is listed, and those that no request has: a provider
    refused them, or a retry has superseded them.
    """

    newest: list[ModelMessage]
    older: list[ModelMessage]
    refused: list[ModelMessage]
    superseded: list[ModelMessage]


@dataclass(frozen=True, slots=True)
class FetchedContext:
    """What `plan_view` makes a view of, as the database has it."""

    agent: Agent
    provider: str
    model: str
    strategy: MemoryStrategy
    window: Window
    tools: ToolSet
    recent: _Recent
    last_call: LastCall | None
    may_see_agent: bool
    purpose: CallPurpose


@dataclass(frozen=True, slots=True)
class PlannedView:
    """What a model would be sent, without the contents of files. `view` and `request` have the same messages."""

    view: ContextView
    request: ModelRequest
    agent: Agent
    purpose: CallPurpose


StrategyAsked = str | Mapping[str, Any] | MemoryStrategy | None


def fetch_context(
    connection: Connection,
    contexts: Contexts,
    thread_id: str,
    user_id: str,
    *,
    provider: str | None,
    model: str | None,
    strategy: StrategyAsked,
    is_admin: bool,
    within: AgentScope | None,
) -> FetchedContext:
    """See `AgentRunner.context`; `plan_view` and `show_files` do the rest."""
    access = require_on_thread(connection, user_id, thread_id, is_admin=is_admin, within=within)
    agent = contexts.agents.get(connection, access.agent_id, access.agent_version)
    provider, model = contexts.models.resolve_names(agent, provider, model)
    requests = contexts.requests
    if isinstance(strategy, str):
        strategy = {"strategy": strategy}
    if isinstance(strategy, Mapping):
        strategy = strategy_from_config(strategy)
    chosen = strategy or requests.strategy(agent)
    history = History(connection, thread_id)
    window = requests.read_window(history, agent, provider, model, chosen)
    return FetchedContext(
        agent,
        provider,
        model,
        chosen,
        window,
        requests.resolve_tools(connection, agent, window.messages),
        _read_recent(history, window),
        last_of_thread(connection, thread_id, provider=provider, model=model),
        is_admin or can(access.agent_role, "viewer"),
        CallPurpose.of_agent(agent, thread_id, user_id=user_id, by_admin=is_admin),
    )


def _read_recent(history: History, window: Window) -> _Recent:
    newest = history.latest(LISTED)
    listed_from = _listed_from(newest, window)
    after_seq = listed_from if len(newest) == LISTED else 0
    older = history.latest(1, before_seq=listed_from)
    refused, superseded = (find(LISTED, after_seq=after_seq) for find in (history.refused, history.superseded))
    return _Recent(newest, older, refused, superseded)


def plan_view(contexts: Contexts, fetched: FetchedContext) -> PlannedView:
    """The view, but for the texts of files. It takes long for a window of many messages."""
    provider, model, window, tools = fetched.provider, fetched.model, fetched.window, fetched.tools
    built = contexts.requests.build(fetched.agent, window, provider, model, tools=tools, allow_overflow=True)
    left_out = _left_out(fetched.recent, window, built, contexts.tokens.for_model(provider, model))
    messages: list[ViewedMessage] = [
        {"seq": each.seq, "role": each.role, "parts": [*map(_shown, message.parts)], "tokens": each.tokens}
        for message, each in zip(built.request.messages, built.account.messages, strict=True)
    ]
    notices: list[Notice] = [{"code": "tool_missing", "tool": name} for name in tools.missing]
    notices += [*notices_of(built.account), *contexts.models.left_out(built.request, provider)]
    may_see_agent = fetched.may_see_agent
    view: ContextView = {
        "provider": provider,
        "model": model,
        "strategy": fetched.strategy.name,
        "system": built.request.system if may_see_agent else None,
        "summary": window.summary,
        "messages": messages,
        "tools": [cast("ViewedTool", asdict(tool)) for tool in built.request.tools] if may_see_agent else None,
        "tokens": {
            "total": built.account.total_tokens,
            "method": built.account.method,
            "budget": built.account.budget_tokens,
            "window": built.account.window_tokens,
        },
        "left_out": [cast("LeftOutMessage", asdict(each)) for each in left_out],
        "notices": notices,
        "last_call": fetched.last_call,
    }
    return PlannedView(view, built.request, fetched.agent, fetched.purpose)


async def show_files(contexts: Contexts, planned: PlannedView) -> ContextView:
    """The view with the texts of files as the model would get them. Raises `StorageUnavailable`, `InvalidRequest`."""
    loaded = await contexts.load_files(planned.request, planned.agent, planned.purpose, with_data=False)
    if loaded is not planned.request:
        for viewed, message in zip(planned.view["messages"], loaded.messages, strict=True):
            viewed["parts"] = [*map(_shown, message.parts)]
    return planned.view


def _shown(part: Part) -> ViewedPart:
    """The part as clients see it, with how a file is sent."""
    public: dict[str, Any] = {**part_to_public(part)}
    if isinstance(part, FilePart):
        content = part.content or FileContent("name")
        public["sent_as"] = content.form
        if content.form == "text":
            public["text"] = content.text
    return cast("ViewedPart", public)


def _listed_from(newest: Sequence[ModelMessage], window: Window) -> int:
    """The `seq` from which on messages that are left out are listed one by one."""
    after_gap = [each for each in window.messages if (each.seq or 0) >= (window.gap_before_seq or 0)]
    return min((each.seq or 0 for each in (*newest, *after_gap)), default=0)


def _left_out(recent: _Recent, window: Window, built: BuiltContext, tokens: Calibration) -> list[LeftOut]:
    """The messages that are not sent, ascending by `seq`: those that do not fit, that the memory skips, that a provider
    refused, or that a retry has superseded.

    The newest skipped messages are listed one by one. One line without role and tokens stands for all older ones.
    """
    chosen = {message.seq for message in window.messages}
    found = [each for each in built.account.left_out if each.reason != "not_read"]
    found += [
        LeftOut(each.seq, each.role, tokens.message(each), _reason(each, window))
        for each in recent.newest
        if each.seq not in chosen
    ]
    found += [LeftOut(each.seq, None, None, _reason(each, window)) for each in recent.older if each.seq not in chosen]
    found += [LeftOut(each.seq, each.role, tokens.message(each), "refused") for each in recent.refused]
    found += [LeftOut(each.seq, each.role, tokens.message(each), "superseded") for each in recent.superseded]
    return sorted(found, key=lambda each: each.seq or 0)


def _reason(message: ModelMessage, window: Window) -> Reason:
    seq = message.seq or 0
    if seq <= (window.covers_through_seq or 0):
        return "summarized"
    return "token_budget" if seq < (window.unread_before_seq or 0) else "strategy"
