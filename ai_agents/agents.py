"""`AgentStore`: agents that are checked when they are written, for programs that use the framework."""

import asyncio
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection

from ai_agents.context.agent_checks import check_agent, check_costly
from ai_agents.core.limits import NO_LIMITS, UserLimits
from ai_agents.core.rows import Agent, AgentChanges
from ai_agents.core.types import JsonObject
from ai_agents.providers.registry import list_providers
from ai_agents.runner.handle import DatabaseHandle
from ai_agents.store.agents import DEFAULTS, UncheckedAgents
from ai_agents.store.database import HasDatabase
from ai_agents.tools.base import Tool
from ai_agents.tools.registry import ToolSource, default_registry

# A tool of an agent: its name, `{"name", "approval", "expires_in_s"}`, or the tool or function itself.
AgentTool = str | Mapping[str, Any] | Tool | Callable[..., Any]


class NotRegistered(UserWarning):
    """An agent names a tool or a provider that this process does not know, or not yet."""


class AgentStore(UncheckedAgents):
    """Agents as clients read and write them. It does not check rights.

    What is written is checked as the service checks it. A tool or a provider that is not known here may be registered
    later, or in another process, so that the warning `NotRegistered` tells of it.
    """

    def __init__(self, conn: HasDatabase) -> None:
        super().__init__(conn)
        self._handle = conn if isinstance(conn, DatabaseHandle) else None

    async def create(
        self,
        name: str,
        *,
        description: str | None = None,
        system_prompt: str | None = None,
        provider: str | None = None,
        model: str | None = None,
        settings: Mapping[str, Any] | None = None,
        tools: Sequence[AgentTool] = (),
        memory: Mapping[str, Any] | None = None,
        guardrails: Sequence[Mapping[str, Any]] = (),
        fallbacks: Sequence[Mapping[str, Any]] = (),
        output_schema: Mapping[str, Any] | None = None,
        budget: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        owner_id: str | None = None,
        limits: UserLimits = NO_LIMITS,
    ) -> Agent:
        """A new agent at version 1, owned by `owner_id`; without an owner every user (`*`) may talk to it.

        `settings` are the model's: `temperature`, `top_p`, `max_tokens`, `stop`, `reasoning`, `timeout_s`, `on_cut`,
        `api`, and `tool_rounds`. `tools` are names, or tools and typed functions, which are registered as
        `register_tool` does. `memory` is a strategy with its options, such as `{"strategy": "last_n", "n": 20}`.
        Raises `InvalidRequest`, and `QuotaExceeded` where the owner has these `limits`.
        """
        fields: JsonObject = {
            "name": name,
            "description": description,
            "system_prompt": system_prompt,
            "provider": provider,
            "model": model,
            "settings": settings or {},
            "tools": tools,
            "memory": memory,
            "guardrails": guardrails,
            "fallbacks": fallbacks,
            "output_schema": output_schema,
            "budget": budget,
            "metadata": metadata or {},
        }
        checked = await _checked(fields)
        for warning in await self._unknown(checked):
            warnings.warn(warning, NotRegistered, stacklevel=2)
        return await super().create(**checked, owner_id=owner_id, limits=limits)

    async def update(
        self,
        agent_id: str,
        changes: Mapping[str, Any] | AgentChanges,
        *,
        expected_version: int | None = None,
        user_id: str | None = None,
        limits: UserLimits = NO_LIMITS,
    ) -> Agent:
        """Replace these fields of the agent, those of `create`; it gets its next version if that changes anything.

        The version counts for the user who writes it, whose `limits` are these.
        Raises `AgentNotFound`, `PreconditionFailed` if the agent is at another version, `InvalidRequest`,
        `QuotaExceeded`.
        """
        checked = await _checked(changes)
        for warning in await self._unknown(checked):
            warnings.warn(warning, NotRegistered, stacklevel=2)
        return await super().update(
            agent_id,
            cast("AgentChanges", checked),
            expected_version=expected_version,
            user_id=user_id,
            limits=limits,
        )

    async def _unknown(self, fields: Mapping[str, Any]) -> list[str]:
        """A sentence about each provider and tool that this process does not know."""
        named = [fields.get("provider"), *(each.get("provider") for each in fields.get("fallbacks") or ())]
        named += [each.get("provider") for each in fields.get("guardrails") or ()]
        known = {*list_providers(), *(() if self._handle is None else self._handle.provider_names())}
        sentences = [
            f"The agent's provider {name!r} is not known in this process, or not yet: without it, its runs fail. "
            f"There are: {', '.join(sorted(known))}. Others come by register_provider, or are given to AgentRunner."
            for name in dict.fromkeys(filter(None, named))
            if name not in known
        ]
        tools = [each if isinstance(each, str) else each["name"] for each in fields.get("tools") or ()]
        if missing := await self._missing_tools(tools):
            there = ", ".join(tool.get_definition().name for tool in default_registry.list_tools())
            sentences += [
                f"The agent's tool {name!r} is not registered in this process, or not yet: runs go on without it. "
                f"There are: {there}. Others come by register_tool."
                for name in missing
            ]
        return sentences

    async def _missing_tools(self, names: Sequence[str]) -> Sequence[str]:
        missing = [name for name in names if default_registry.find(name) is None]
        for source in () if self._handle is None else self._handle.tool_sources():
            if missing:
                references = tuple(missing)
                missing = list(await self._db.read(partial(_missing_in, source, references)))
        return missing


def _missing_in(source: ToolSource, names: Sequence[str], connection: Connection) -> Sequence[str]:
    return source.resolve(connection, names).missing


async def _checked(fields: Mapping[str, Any]) -> JsonObject:
    """The fields as they are written. Tools among them are registered. Raises `InvalidRequest`."""
    given = dict(fields)
    tools = given.get("tools")
    if isinstance(tools, Sequence) and not isinstance(tools, str):
        given["tools"] = [_name_of(each) for each in tools]
    check_agent(given, tuple(DEFAULTS))
    if given.get("guardrails") or given.get("output_schema") is not None:
        await asyncio.to_thread(check_costly, given)
    return given


def _name_of(given: AgentTool) -> str | Mapping[str, Any]:
    """A tool's name; a tool or function is registered, unless it is."""
    if isinstance(given, str | Mapping) or not (callable(given) or isinstance(given, Tool)):
        return given
    return default_registry.register(given).get_definition().name
