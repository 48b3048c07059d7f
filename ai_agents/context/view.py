"""What a model would be sent of a thread now, told message by message, with what is left out of it and why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from ai_agents.auth.roles import can, require_on_thread
from ai_agents.context.builder import BuiltContext, LeftOut, Reason
from ai_agents.context.contexts import Contexts
from ai_agents.context.tokens import ModelTokens
from ai_agents.core.parts import part_to_public
from ai_agents.core.rows import Agent
from ai_agents.core.types import JsonObject, ModelMessage
from ai_agents.memory.base import MemoryStrategy, Window
from ai_agents.memory.registry import strategy_from_config
from ai_agents.store.history import History

# Of what the memory leaves out, so many messages are told of one by one; what is older is told of in one line.
LISTED = 200

StrategyAsked = str | Mapping[str, Any] | MemoryStrategy | None


@dataclass(frozen=True, slots=True)
class ContextAsked:
    """Whose view, and with what in the place of the agent's own."""

    thread_id: str
    user_id: str
    provider: str | None = None
    model: str | None = None
    strategy: StrategyAsked = None
    is_admin: bool = False


def read_context(connection: Connection, contexts: Contexts, asked: ContextAsked) -> JsonObject:
    """See `AgentRunner.context`."""
    access = require_on_thread(connection, asked.user_id, "read", asked.thread_id, is_admin=asked.is_admin)
    agent = contexts.agent(connection, access.agent_id, access.agent_version)
    provider, model = contexts.name_model(agent, asked.provider, asked.model)
    strategy = _strategy(contexts, agent, asked.strategy)
    history = History(connection, asked.thread_id)
    window = contexts.window(history, agent, provider, model, strategy)
    tools = contexts.tools(connection, agent)
    built = contexts.build(agent, window, provider, model, tools=tools, allow_overflow=True)
    left_out = _left_out(history, window, built, contexts.tokens(provider, model))
    may_see_agent = asked.is_admin or can(access.agent_role, "viewer")
    return {
        "provider": provider,
        "model": model,
        "strategy": strategy.name,
        "system": built.request.system if may_see_agent else None,
        "summary": window.summary,
        "messages": _messages(built),
        "tools": _tools(built) if may_see_agent else None,
        "tokens": {
            "total": built.account.total_tokens,
            "method": built.account.method,
            "budget": built.account.budget_tokens,
            "window": built.account.window_tokens,
        },
        "left_out": [asdict(each) for each in left_out],
    }


def _strategy(contexts: Contexts, agent: Agent, asked: StrategyAsked) -> MemoryStrategy:
    match asked:
        case None:
            return contexts.strategy(agent)
        case MemoryStrategy():
            return asked
        case str():
            return strategy_from_config({"strategy": asked})
        case _:
            return strategy_from_config(asked)


def _messages(built: BuiltContext) -> list[JsonObject]:
    return [
        {
            "seq": message.seq,
            "role": message.role,
            "parts": [part_to_public(part) for part in message.parts],
            "tokens": counted.tokens,
        }
        for message, counted in zip(built.request.messages, built.account.messages, strict=True)
    ]


def _tools(built: BuiltContext) -> list[JsonObject]:
    return [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in built.request.tools
    ]


def _left_out(history: History, window: Window, built: BuiltContext, tokens: ModelTokens) -> list[LeftOut]:
    """What is not sent, ascending by `seq`: what of the window does not fit, and what the memory passed over.

    Of the latter the thread's newest are told of one by one. What is older is one line with neither role nor tokens,
    which stands for its message and all before it that are not told of otherwise.
    """
    chosen = {message.seq for message in window.messages}
    newest = history.latest(LISTED)
    in_one_piece = [each for each in window.messages if (each.seq or 0) >= (window.gap_before_seq or 0)]
    told_from = min((each.seq or 0 for each in (*newest, *in_one_piece)), default=0)
    found = [each for each in built.account.left_out if each.reason != "not_read"]
    found += [
        LeftOut(each.seq, each.role, tokens.message(each), _reason(each, window))
        for each in newest
        if each.seq not in chosen
    ]
    found += [
        LeftOut(each.seq, None, None, _reason(each, window))
        for each in history.latest(1, before_seq=told_from)
        if each.seq not in chosen
    ]
    return sorted(found, key=lambda each: each.seq or 0)


def _reason(message: ModelMessage, window: Window) -> Reason:
    seq = message.seq or 0
    if seq <= (window.covers_through_seq or 0):
        return "summarized"
    return "token_budget" if seq < (window.unread_before_seq or 0) else "strategy"
