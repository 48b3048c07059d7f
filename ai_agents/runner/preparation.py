"""Making a turn ready: the agent, the part of its history that its memory asks for, its provider and its tools.

One short read. Its cost depends on the memory's window, never on the length of the thread.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from ai_agents.context.builder import build_request, model_settings
from ai_agents.context.tokens import TokenEstimator, load_ratios, save_ratios
from ai_agents.context.windows import context_window, input_budget
from ai_agents.core.exceptions import ProviderNotConfigured
from ai_agents.core.types import JsonObject, ModelMessage, ToolCallPart, ToolResultPart, Usage
from ai_agents.memory.base import BRIEF, MemoryStrategy, Window
from ai_agents.memory.registry import get_memory_strategy, strategy_from_config
from ai_agents.providers.base import Provider
from ai_agents.providers.registry import ProviderPool
from ai_agents.runner.loop import LoopLimits
from ai_agents.runner.turn import Prepared
from ai_agents.store.agents import get_version
from ai_agents.store.database import Database
from ai_agents.store.history import History
from ai_agents.store.runs import OwnedRun
from ai_agents.tools.base import ToolContext
from ai_agents.tools.executor import ToolExecutor
from ai_agents.tools.registry import ToolRegistry, default_registry

# Versions never change, so they are kept for as long as there is room; a service rarely has more agents in use than
# this.
_KEPT_AGENTS = 1000
_DEFAULT_MEMORY = "token_window"
_DEFAULT_WINDOW_TOKENS = 100_000


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one run may take: rounds with tools, seconds, bytes of a tool's result, repetitions of one call.

    `context_windows` adds to what is known of models' windows, in tokens: `{"openai:my-model": 32768}`.
    """

    tool_rounds: int = 10
    tool_time_s: float = 30.0
    tool_result_bytes: int = 64 * 1024
    identical_calls: int = 3
    run_time_s: float = 600.0
    context_windows: Mapping[str, int] = field(default_factory=dict)


class Preparation:
    """Prepares turns for one runner: its defaults, its providers, its tools."""

    def __init__(
        self,
        database: Database,
        *,
        provider: Provider | None,
        memory: MemoryStrategy | None,
        providers: ProviderPool | None,
        tools: ToolRegistry | None,
        limits: RunLimits,
    ) -> None:
        self._database = database
        self._provider = provider
        self._memory = memory
        self._providers = providers
        self._tools = default_registry if tools is None else tools
        self._limits = limits
        self._executor = ToolExecutor(
            self._tools, timeout_s=limits.tool_time_s, max_result_bytes=limits.tool_result_bytes
        )
        self._agents: OrderedDict[tuple[str, int], JsonObject] = OrderedDict()
        self._estimator = TokenEstimator()
        self._calibrated = False

    async def __call__(self, run: OwnedRun) -> Prepared:
        """Everything that the turn needs. Raises `ProviderNotConfigured`, `ContextOverflow`, `InvalidRequest`."""
        await self._keep_calibrations()
        agent, window, earlier, provider, model = await self._database.read(
            lambda c: self._read(c, run), brief=self._is_brief(run)
        )
        names = [tool if isinstance(tool, str) else tool["name"] for tool in agent["tools"]]
        built = build_request(
            agent=agent,
            window=window,
            provider=provider.name,
            model=model,
            tools=self._tools.definitions(names),
            estimator=self._estimator,
            context_windows=self._limits.context_windows,
        )
        settings = agent["settings"] or {}
        context = ToolContext(run.id, run.thread_id, run.user_id)
        tokens = self._estimator.for_model(provider.name, model)

        async def run_tool(call: ToolCallPart) -> ToolResultPart:
            return await self._executor.run(call, context, allowed=names)

        unheard = [built.account.uncalibrated_tokens]

        def observe(usage: Usage) -> None:
            # Only the turn's first request is the one that was estimated: later ones hold its tool calls as well.
            if unheard and not usage.estimated:
                self._estimator.observe(provider.name, model, unheard.pop(), usage.input_tokens)

        return Prepared(
            provider=provider,
            request=built.request,
            run_tool=run_tool,
            is_retry_safe=self._is_retry_safe,
            limits=LoopLimits(
                tool_rounds=settings.get("tool_rounds") or self._limits.tool_rounds,
                identical_calls=self._limits.identical_calls,
            ),
            run_time_s=self._limits.run_time_s,
            show_reasoning=(settings.get("reasoning") or "none") != "none",
            earlier=earlier,
            input_tokens=built.account.total_tokens,
            estimate=tokens.text,
            observe=observe,
        )

    def _is_retry_safe(self, name: str) -> bool:
        found = self._tools.find(name)
        return found is not None and found.tool.retry_safe

    async def _keep_calibrations(self) -> None:
        """Take up what earlier processes learned of the models' tokens, and save what this one did when it is news."""
        if not self._calibrated:
            self._calibrated = True
            self._estimator = TokenEstimator(await self._database.read(load_ratios))
        if unsaved := self._estimator.take_unsaved():
            await self._database.write(lambda c: save_ratios(c, unsaved))

    def _read(
        self, connection: Connection, run: OwnedRun
    ) -> tuple[JsonObject, Window, tuple[ModelMessage, ...], Provider, str]:
        agent = self._agent(connection, run.agent_id, run.agent_version)
        provider, model = self._choose(agent)
        size = input_budget(context_window(provider.name, model, self._limits.context_windows), model_settings(agent))
        tokens = self._estimator.for_model(provider.name, model)
        history = History(connection, run.thread_id)
        window = self._strategy(agent).fitted(max_tokens=size, estimate=tokens.message).window(history)
        # A first attempt has recorded nothing but the question.
        earlier = tuple(history.run_messages(run.id)) if run.attempt > 1 else ()
        return agent, window, earlier, provider, model

    def _is_brief(self, run: OwnedRun) -> bool:
        """Whether little is read for this turn: the log's numbers count the messages, too."""
        if run.reset_seq <= BRIEF:
            return True
        agent = self._agents.get((run.agent_id, run.agent_version))
        return agent is not None and self._strategy(agent).is_brief

    def _agent(self, connection: Connection, agent_id: str, version: int) -> JsonObject:
        key = (agent_id, version)
        agent = self._agents.get(key)
        if agent is None:
            agent = self._agents[key] = get_version(connection, agent_id, version)
            if len(self._agents) > _KEPT_AGENTS:
                self._agents.popitem(last=False)
        else:
            self._agents.move_to_end(key)
        return agent

    def _strategy(self, agent: Mapping[str, Any]) -> MemoryStrategy:
        if agent["memory"]:
            return strategy_from_config(agent["memory"])
        return self._memory or get_memory_strategy(_DEFAULT_MEMORY, max_tokens=_DEFAULT_WINDOW_TOKENS)

    def _choose(self, agent: Mapping[str, Any]) -> tuple[Provider, str]:
        """The agent's own provider and model, else the runner's, else those of the pool."""
        name, model = agent["provider"], agent["model"]
        provider = self._provider
        if provider is None or (name is not None and name != provider.name):
            provider = self._from_pool(name)
        chosen = model or provider.model
        if chosen is None and self._providers is not None:
            chosen = self._providers.default_model(provider.name)
        if chosen is None:
            raise ProviderNotConfigured(
                "The agent names no model, and there is no default one.", provider=provider.name
            )
        return provider, chosen

    def _from_pool(self, name: str | None) -> Provider:
        if self._providers is None:
            self._providers = ProviderPool()
            if name is None:
                raise ProviderNotConfigured("The agent names no provider, and the runner has none.")
        return self._providers.get(name or self._providers.default[0])
