"""`/context`: what a model would be sent of a thread now, message by message, and what is left out and why."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import Connection

from ai_agents.auth.roles import can, require_on_thread
from ai_agents.context.builder import BuiltContext, LeftOut, Reason
from ai_agents.context.contexts import Contexts
from ai_agents.context.tokens import Calibration
from ai_agents.core.parts import part_to_public
from ai_agents.core.rows import ContextView, LeftOutMessage, ViewedMessage, ViewedTool
from ai_agents.core.types import ModelMessage
from ai_agents.memory.base import MemoryStrategy, Window
from ai_agents.memory.registry import strategy_from_config
from ai_agents.store.messages import History

# The newest messages that the memory leaves out are listed one by one; all older ones share one line.
LISTED = 200

StrategyAsked = str | Mapping[str, Any] | MemoryStrategy | None


def read_context(
    connection: Connection,
    contexts: Contexts,
    thread_id: str,
    user_id: str,
    *,
    provider: str | None,
    model: str | None,
    strategy: StrategyAsked,
    is_admin: bool,
) -> ContextView:
    """See `AgentRunner.context`."""
    access = require_on_thread(connection, user_id, thread_id, is_admin=is_admin)
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
    tools = requests.resolve_tools(connection, agent)
    built = requests.build(agent, window, provider, model, tools=tools, allow_overflow=True)
    left_out = _left_out(history, window, built, contexts.tokens.for_model(provider, model))
    messages: list[ViewedMessage] = [
        {"seq": each.seq, "role": each.role, "parts": [*map(part_to_public, message.parts)], "tokens": each.tokens}
        for message, each in zip(built.request.messages, built.account.messages, strict=True)
    ]
    may_see_agent = is_admin or can(access.agent_role, "viewer")
    return {
        "provider": provider,
        "model": model,
        "strategy": chosen.name,
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
    }


def _left_out(history: History, window: Window, built: BuiltContext, tokens: Calibration) -> list[LeftOut]:
    """The messages that are not sent, ascending by `seq`: those that do not fit, and those that the memory skips.

    The newest skipped messages are listed one by one. One line without role and tokens stands for all older ones.
    """
    chosen = {message.seq for message in window.messages}
    newest = history.latest(LISTED)
    after_gap = [each for each in window.messages if (each.seq or 0) >= (window.gap_before_seq or 0)]
    listed_from = min((each.seq or 0 for each in (*newest, *after_gap)), default=0)
    found = [each for each in built.account.left_out if each.reason != "not_read"]
    found += [
        LeftOut(each.seq, each.role, tokens.message(each), _reason(each, window))
        for each in newest
        if each.seq not in chosen
    ]
    found += [
        LeftOut(each.seq, None, None, _reason(each, window))
        for each in history.latest(1, before_seq=listed_from)
        if each.seq not in chosen
    ]
    return sorted(found, key=lambda each: each.seq or 0)


def _reason(message: ModelMessage, window: Window) -> Reason:
    seq = message.seq or 0
    if seq <= (window.covers_through_seq or 0):
        return "summarized"
    return "token_budget" if seq < (window.unread_before_seq or 0) else "strategy"
