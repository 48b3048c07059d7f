"""What models are sent in threads: one way for runs, and for whoever asks what a run would send."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from sqlalchemy import Connection

from ai_agents.attachments.formatting import Loc, check_files, load_files, plan_files
from ai_agents.attachments.storage import BlobStore
from ai_agents.context.builder import BuiltContext, build_request, model_settings
from ai_agents.context.catalogue import ModelCatalogue
from ai_agents.context.tokens import ModelTokens, TokenEstimator, load_ratios, save_ratios
from ai_agents.context.windows import input_budget
from ai_agents.core.exceptions import InvalidRequest, ProviderNotConfigured, UnsupportedAttachment
from ai_agents.core.rows import Agent, ModelName
from ai_agents.core.types import FilePart, ModelRequest, Usage
from ai_agents.guardrails.guards import Guards
from ai_agents.guardrails.judge import Ask
from ai_agents.guardrails.registry import build_guardrails, guards_key
from ai_agents.memory.base import MemoryStrategy, Window
from ai_agents.memory.registry import get_memory_strategy, strategy_from_config
from ai_agents.providers.base import Provider
from ai_agents.providers.files import FileRules
from ai_agents.providers.registry import ProviderPool, built_in_capabilities, list_providers
from ai_agents.store.agents import get_version
from ai_agents.store.database import Database
from ai_agents.store.history import History
from ai_agents.tools.toolset import ToolSet, ToolSource

# Versions never change, so they are kept for as long as there is room; a service rarely has more agents in use than
# this.
_KEPT_AGENTS = 1000
_DEFAULT_MEMORY = "token_window"
_DEFAULT_WINDOW_TOKENS = 100_000


class Contexts:
    """Agents, their memory, their models and what those are sent; `provider` and `memory` are defaults.

    `blobs` is where the bytes of attached files are; `judges_fail_open` lets through what a judge gave no verdict on.
    """

    def __init__(
        self,
        database: Database,
        *,
        provider: Provider | None,
        memory: MemoryStrategy | None,
        providers: ProviderPool | None,
        tools: ToolSource,
        models: ModelCatalogue,
        blobs: BlobStore | None = None,
        judges_fail_open: bool = False,
    ) -> None:
        self.models = models
        self._judges_fail_open = judges_fail_open
        self._blobs = blobs
        self._database = database
        self._provider = provider
        self._memory = memory
        self._providers = providers or ProviderPool()
        self._has_default = provider is not None or providers is not None
        self._tools = tools
        self._agents: OrderedDict[tuple[str, int], Agent] = OrderedDict()
        self._estimator = TokenEstimator()
        self._calibrated = False

    # Agents, and what they are set to.

    def agent(self, connection: Connection, agent_id: str, version: int) -> Agent:
        """The agent at this version."""
        key = (agent_id, version)
        agent = self._agents.get(key)
        if agent is None:
            agent = self._agents[key] = get_version(connection, agent_id, version)
            if len(self._agents) > _KEPT_AGENTS:
                self._agents.popitem(last=False)
        else:
            self._agents.move_to_end(key)
        return agent

    def find_agent(self, agent_id: str, version: int) -> Agent | None:
        """The agent at this version, if it was read before."""
        return self._agents.get((agent_id, version))

    def strategy(self, agent: Agent) -> MemoryStrategy:
        """The agent's memory, else the runner's. Raises `InvalidRequest`."""
        if agent["memory"]:
            return strategy_from_config(agent["memory"])
        return self._memory or get_memory_strategy(_DEFAULT_MEMORY, max_tokens=_DEFAULT_WINDOW_TOKENS)

    def choose(self, agent: Agent | ModelName) -> tuple[Provider, str]:
        """The agent's own provider and model, else the runner's, else those of the pool.

        Raises `ProviderNotConfigured`.
        """
        name = agent["provider"] or self._default_provider()
        provider = self._provider
        if provider is None or provider.name != name:
            provider = self._providers.get(name)
        model = agent["model"] or provider.model or self._default_model(name)
        if model is None:
            raise ProviderNotConfigured("The agent names no model, and there is no default one.", provider=name)
        return provider, model

    def name_model(self, agent: Agent, provider: str | None, model: str | None) -> tuple[str, str]:
        """The names of whom the agent's run would ask, or of these in their place. None of them needs a key here.

        Raises `InvalidRequest` for a provider that is not known, and where there is no model to be had.
        """
        usual = agent["provider"] or self._default_provider()
        name = provider or usual
        known = {*list_providers(), *(status.name for status in self._providers.configured())}
        if self._provider is not None:
            known.add(self._provider.name)
        if name not in known:
            sentence = f"There is no provider of this name; there are {', '.join(sorted(known))}."
            raise InvalidRequest(sentence, loc=("provider",))
        chosen = model or (agent["model"] if name == usual else None) or self._default_model(name)
        if chosen is None:
            raise InvalidRequest(f"{name} has no default model here: name one.", loc=("model",))
        return name, chosen

    def guards(
        self, configs: Sequence[Mapping[str, Any]], stage: Literal["input", "output"], *, ask: Ask | None = None
    ) -> Guards:
        """An agent's guardrails at a stage. Raises `InvalidRequest` for one that is not there any more."""
        return Guards(configs, stage, ask=ask, fails_open=self._judges_fail_open)

    async def ready_guards(
        self, configs: Sequence[Mapping[str, Any]], stage: Literal["input", "output"], *, ask: Ask | None = None
    ) -> Guards:
        """The same, compiled beside the event loop where that has not been done before."""
        if configs:
            await asyncio.to_thread(build_guardrails, configs)
        return self.guards(configs, stage, ask=ask)

    def has_input_guards(self, connection: Connection, agent_id: str, version: int) -> bool:
        """Whether this version of an agent judges what comes in."""
        return guards_key(self.agent(connection, agent_id, version)["guardrails"], "input") is not None

    # What is sent.

    def window(self, history: History, agent: Agent, provider: str, model: str, strategy: MemoryStrategy) -> Window:
        """What the strategy chooses of a history for this model."""
        size = input_budget(self.models.window(provider, model), model_settings(agent))
        return strategy.fitted(max_tokens=size, estimate=self.tokens(provider, model).message).window(history)

    def tools(self, connection: Connection, agent: Agent) -> ToolSet:
        """The tools that the agent has now."""
        return self._tools.resolve(connection, agent["tools"]) if agent["tools"] else ToolSet()

    def build(
        self,
        agent: Agent,
        window: Window,
        provider: str,
        model: str,
        *,
        tools: ToolSet,
        allow_overflow: bool = False,
    ) -> BuiltContext:
        """The request for this model, and its account; of files it holds how they are sent, and not yet their bytes.

        Raises `ContextOverflow`, and `UnsupportedAttachment` for a file of the newest turn that the model cannot be
        given, unless `allow_overflow`.
        """
        planned = plan_files(
            window.messages,
            self.file_rules(provider, model),
            strict=not allow_overflow,
            guarded_by=guards_key(agent["guardrails"], "input"),
        )
        return build_request(
            agent=agent,
            window=replace(window, messages=planned),
            provider=provider,
            model=model,
            tools=tools.definitions,
            estimator=self._estimator,
            window_tokens=self.models.window(provider, model),
            allow_overflow=allow_overflow,
        )

    async def fill(self, request: ModelRequest) -> ModelRequest:
        """The request with the bytes and texts of the files in it. Raises `StorageUnavailable`."""
        messages = await load_files(request.messages, self._blobs)
        return request if messages is request.messages else replace(request, messages=messages)

    # Files.

    @property
    def blobs(self) -> BlobStore | None:
        """Where the bytes of files are."""
        return self._blobs

    def file_rules(self, provider: str, model: str) -> FileRules:
        """Which files a model takes as they are."""
        own = self._provider
        try:
            asked = own if own is not None and own.name == provider else self._providers.get(provider)
        except ProviderNotConfigured:
            return built_in_capabilities(provider, model).files
        return asked.capabilities(model).files

    def check_files(
        self, connection: Connection, agent_id: str, version: int, files: Sequence[tuple[FilePart, Loc]]
    ) -> None:
        """Raises `UnsupportedAttachment` for a file that the agent's model can be given in no form."""
        if self._blobs is None:
            raise UnsupportedAttachment("Files are not kept here: the runner has no storage.", loc=files[0][1])
        try:
            provider, model = self.choose(self.agent(connection, agent_id, version))
        except ProviderNotConfigured:
            return  # the run will say so
        check_files(files, provider.capabilities(model).files)

    # Tokens.

    def tokens(self, provider: str, model: str) -> ModelTokens:
        """Counts for this model as it is known now."""
        return self._estimator.for_model(provider, model)

    def observe(self, provider: str, model: str, estimated: int, usage: Usage) -> None:
        """Learn from what a model reported of a request that was estimated so."""
        if not usage.estimated:
            self._estimator.observe(provider, model, estimated, usage.input_tokens)

    async def calibrate(self) -> None:
        """Take up what earlier processes learned of the models' tokens, and save what this one did when it is news."""
        await self.models.load()
        if not self._calibrated:
            self._calibrated = True
            self._estimator = TokenEstimator(await self._database.read(load_ratios))
        if unsaved := self._estimator.take_unsaved():
            await self._database.write(lambda c: save_ratios(c, unsaved))

    # Providers.

    def _default_provider(self) -> str:
        if not self._has_default:
            raise ProviderNotConfigured("The agent names no provider, and the runner has none.")
        return self._provider.name if self._provider is not None else self._providers.default[0]

    def _default_model(self, provider: str) -> str | None:
        if self._provider is not None and self._provider.name == provider and self._provider.model:
            return self._provider.model
        return self._providers.default_model(provider)
