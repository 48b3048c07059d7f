"""Requests for models: the agent and its model, what its memory chooses of a thread, its tools and files."""

import asyncio
import logging
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from time import monotonic

from sqlalchemy import Connection

from ai_agents.attachments.formatting import check_files, load_files, plan_files
from ai_agents.attachments.storage import BlobStore
from ai_agents.auth.use import UseRights
from ai_agents.context.builder import BuiltContext, build_request, model_settings
from ai_agents.context.catalogue import ModelCatalogue, input_budget
from ai_agents.context.read_result import has_cut_result
from ai_agents.context.tokens import TokenEstimator
from ai_agents.core.byte_cache import ByteCache, size_of_json
from ai_agents.core.exceptions import AIAgentsError, InvalidRequest, ProviderNotConfigured, UnsupportedAttachment
from ai_agents.core.notices import Notice
from ai_agents.core.rows import Agent, ModelName
from ai_agents.core.types import FilePart, Loc, ModelMessage, ModelRequest, ToolDefinition
from ai_agents.guardrails.registry import guards_key
from ai_agents.memory.base import MemoryStrategy, Window
from ai_agents.memory.registry import get_memory_strategy, strategy_from_config
from ai_agents.providers.base import Provider
from ai_agents.providers.files import FileRules
from ai_agents.providers.registry import ProviderPool
from ai_agents.store.agents import get_version
from ai_agents.store.history import History
from ai_agents.tools.registry import RegisteredTool, ToolSet, ToolSource

# Ten thousand agents of the usual size, or sixty of the largest.
_MAX_AGENTS_BYTES = 64 * 1024 * 1024
# How long a run waits for a server that is asked about a model, and how long such a server is left alone.
_ASKING_S = 5.0
_PAUSE_S = 60.0
# More models than a service has in use.
_MAX_MODELS = 1000
_log = logging.getLogger(__name__)
_DEFAULT_MEMORY = "token_window"
_DEFAULT_WINDOW_TOKENS = 100_000


class AgentCache:
    """The versions of agents that were used last. A version never changes, so that it is read once."""

    def __init__(self) -> None:
        self._agents: ByteCache[tuple[str, int], Agent] = ByteCache(_MAX_AGENTS_BYTES)

    def get(self, connection: Connection, agent_id: str, version: int) -> Agent:
        """The agent at this version. Raises `AgentNotFound`."""
        key = (agent_id, version)
        agent = self._agents.find(key)
        if agent is None:
            agent = get_version(connection, agent_id, version)
            self._agents.put(key, agent, size_of_json(agent))
        return agent

    def find(self, agent_id: str, version: int) -> Agent | None:
        """The agent at this version if it is in memory; None means that it has to be read."""
        return self._agents.find((agent_id, version))

    def forget(self, agent_ids: Set[str]) -> list[Agent]:
        """Let go of all versions of these agents. Returns them."""
        return self._agents.discard_where(lambda key: key[0] in agent_ids)


class ModelSelector:
    """Chooses providers and models. `provider` is the default one; without it the pool's default counts.

    `catalogue` knows windows and prices of models.
    """

    def __init__(self, provider: Provider | None, pool: ProviderPool | None, catalogue: ModelCatalogue) -> None:
        self.catalogue = catalogue
        self._provider = provider
        self._pool = ProviderPool(knows_all=False) if pool is None else pool
        self._has_default = provider is not None or pool is not None
        # By the names of provider and model: the provider that was asked what the model takes, and until when it is
        # not asked again.
        self._prepared: dict[tuple[str, str], tuple[Provider, float]] = {}

    @property
    def pool(self) -> ProviderPool:
        """The providers that agents name."""
        return self._pool

    def choose(self, agent: Agent | ModelName) -> tuple[Provider, str]:
        """The provider and model of an agent: its own, else the defaults.

        Raises `ProviderNotConfigured`.
        """
        name = agent["provider"] or self._default_provider()
        provider = self.get_provider(name)
        model = agent["model"] or provider.model or self._default_model(name)
        if model is None:
            raise ProviderNotConfigured("The agent names no model, and there is no default one.", provider=name)
        if (refusal := provider.refusal_of(model)) is not None:
            # It names no provider, and the default is another one than when it was made.
            raise ProviderNotConfigured(refusal, provider=name)
        return provider, model

    def check_model(self, provider: str | None, model: str | None) -> None:
        """Raises `InvalidRequest` for a model that this provider (None: the default) certainly does not have.

        Where the provider has no key here, its server has to say.
        """
        try:
            found = self.get_provider(provider or self._default_provider())
        except ProviderNotConfigured:
            return
        if model is not None and (refusal := found.refusal_of(model)) is not None:
            raise InvalidRequest(refusal, loc=("model",))

    def get_provider(self, name: str) -> Provider:
        """The provider of this name. Raises `ProviderNotConfigured`."""
        own = self._provider
        return own if own is not None and own.name == name else self._pool.get(name)

    def resolve_names(self, agent: Agent, provider: str | None, model: str | None) -> tuple[str, str]:
        """The names of the agent's provider and model, or of these in their place. The provider may lack its key.

        Raises `InvalidRequest` for an unknown provider, and where no model is named.
        """
        usual = agent["provider"] or self._default_provider()
        name = provider or usual
        if self._pool.find(name) is None and (self._provider is None or self._provider.name != name):
            raise InvalidRequest("There is no provider of this name.", loc=("provider",))
        chosen = model or (agent["model"] if name == usual else None) or self._default_model(name)
        if chosen is None:
            raise InvalidRequest(f"{name} has no default model here: name one.", loc=("model",))
        return name, chosen

    def window(self, provider: str, model: str) -> int:
        """Tokens that the model takes, question and answer together."""
        own = self._provider
        told = own.capabilities(model).context_window if own is not None and own.name == provider else None
        return self.catalogue.window(provider, model, told=told)

    def is_prepared(self, provider: Provider, model: str) -> bool:
        """Whether the provider was asked what its model takes, or has nothing to ask."""
        if type(provider).prepare_model is Provider.prepare_model:
            return True
        return self._prepared.get((provider.name, model), (None, 0.0))[0] is provider

    async def prepare_model(self, provider: Provider, model: str) -> None:
        """Let the provider ask its server what the model takes, for a few seconds at most.

        A server that fails to tell is asked again a minute later; until then the tables decide.
        """
        key, now = (provider.name, model), monotonic()
        asked, pause_until = self._prepared.get(key, (None, 0.0))
        if asked is provider and now < pause_until:
            return
        pause_until = 0.0
        try:
            async with asyncio.timeout(_ASKING_S):
                await provider.prepare_model(model)
        except (AIAgentsError, TimeoutError) as error:
            pause_until = now + _PAUSE_S
            facts = {"provider": provider.name, "model": model, "cause": repr(error)}
            _log.warning("a provider did not tell what its model takes", extra=facts)
        if len(self._prepared) > _MAX_MODELS:
            self._prepared.clear()
        self._prepared[key] = provider, pause_until

    async def prepare_named(self, provider: str, model: str) -> bool:
        """`prepare_model` by names; whether there was anything to ask, so that what was read before may be wrong."""
        try:
            found = self.get_provider(provider)
        except ProviderNotConfigured:
            return False
        if self.is_prepared(found, model):
            return False
        await self.prepare_model(found, model)
        return True

    def left_out(self, request: ModelRequest, provider: str) -> Sequence[Notice]:
        """What the agent asks for and this provider's model does not take; nothing for one that has no key here."""
        try:
            return self.get_provider(provider).left_out(request)
        except ProviderNotConfigured:
            return ()

    def file_rules(self, provider: str, model: str) -> FileRules:
        """Which files a model takes as they are."""
        try:
            found = self.get_provider(provider)
        except ProviderNotConfigured:
            return self._pool.capabilities(provider, model).files
        return found.capabilities(model).files

    def _default_provider(self) -> str:
        if not self._has_default:
            sentence = (
                'The agent names no provider, and the runner has none: AgentRunner(conn, provider=get_provider("…")).'
            )
            raise ProviderNotConfigured(sentence)
        return self._provider.name if self._provider is not None else self._pool.default[0]

    def _default_model(self, provider: str) -> str | None:
        if self._provider is not None and self._provider.name == provider and self._provider.model:
            return self._provider.model
        return self._pool.default_model(provider)


def has_files(messages: Iterable[ModelMessage]) -> bool:
    """Whether any of the messages has a file."""
    return any(isinstance(part, FilePart) for message in messages for part in message.parts)


@dataclass(frozen=True, slots=True)
class RequestBuilder:
    """Builds the requests of agents.

    `memory` is the strategy of agents that name none; `blobs` holds the bytes of attached files (None: none is kept).
    `reader` is the tool for results that were cut, where they are kept.
    """

    models: ModelSelector
    tokens: TokenEstimator
    tools: ToolSource
    rights: UseRights
    memory: MemoryStrategy | None = None
    blobs: BlobStore | None = None
    reader: RegisteredTool | None = None

    def strategy(self, agent: Agent) -> MemoryStrategy:
        """The agent's memory strategy, else the default. Raises `InvalidRequest`."""
        if agent["memory"]:
            return strategy_from_config(agent["memory"])
        return self.memory or get_memory_strategy(_DEFAULT_MEMORY, max_tokens=_DEFAULT_WINDOW_TOKENS)

    def read_window(
        self, history: History, agent: Agent, provider: str, model: str, strategy: MemoryStrategy
    ) -> Window:
        """The messages that the strategy chooses for this model."""
        size = input_budget(self.models.window(provider, model), model_settings(agent))
        estimate = self.tokens.for_model(provider, model).steadied().message
        window: object = strategy.fitted(max_tokens=size, estimate=estimate).window(history)
        if not isinstance(window, Window):
            kind = type(strategy).__name__
            raise TypeError(
                f"{kind}.window returns a Window, as in Window(tuple(messages)), not {type(window).__name__}."
            )
        return window

    def resolve_tools(
        self,
        connection: Connection,
        agent: Agent,
        messages: Sequence[ModelMessage],
        client_tools: tuple[ToolDefinition, ...] = (),
    ) -> ToolSet:
        """The tools that the agent has now, and those of the client. Those that its owners may not use are missing.

        Where a result among these messages was cut, `read_result` is one of them.
        """
        if not agent["tools"] and not client_tools:
            return ToolSet()
        found = self.tools.resolve(connection, agent["tools"]) if agent["tools"] else ToolSet()
        if client_tools:
            found = replace(found, client=client_tools)
        if found.made:
            found = found.without(self.rights.find_refused(connection, agent["id"], "tool", {*found.made.values()}))
        return self.with_reader(found) if has_cut_result(messages) else found

    def with_reader(self, tools: ToolSet) -> ToolSet:
        """The tools and `read_result`. A tool of the agent that has its name stays."""
        if self.reader is None or self.reader.definition.name in tools.tools:
            return tools
        return replace(tools, tools={**tools.tools, self.reader.definition.name: self.reader})

    def build(
        self, agent: Agent, window: Window, provider: str, model: str, *, tools: ToolSet, allow_overflow: bool = False
    ) -> BuiltContext:
        """The request for this model, and its account. Files in it say how they are sent; `load` adds their bytes.

        Raises `ContextOverflow`, and `UnsupportedAttachment` for a file of the newest turn that the model cannot be
        given, unless `allow_overflow`.
        """
        if has_files(window.messages):
            planned = plan_files(
                window.messages,
                self.models.file_rules(provider, model),
                strict=not allow_overflow,
                guarded_by=guards_key(agent["guardrails"], "input") if agent["guardrails"] else None,
            )
            window = replace(window, messages=planned)
        return build_request(
            agent=agent,
            window=window,
            provider=provider,
            model=model,
            tools=tools.definitions if tools.tools or tools.client else (),
            estimator=self.tokens,
            window_tokens=self.models.window(provider, model),
            allow_overflow=allow_overflow,
        )

    async def load(self, request: ModelRequest, *, with_data: bool = True) -> ModelRequest:
        """The request with the bytes and texts of its files, or with texts alone. Raises `StorageUnavailable`."""
        return replace(request, messages=await load_files(request.messages, self.blobs, with_data=with_data))

    def find_unprepared(self, agent: Agent) -> tuple[Provider, str] | None:
        """The agent's provider and model, if the provider was not asked yet what the model takes."""
        try:
            provider, model = self.models.choose(agent)
        except ProviderNotConfigured:
            return None  # the run fails with this error
        return None if self.models.is_prepared(provider, model) else (provider, model)

    def check_files(self, agent: Agent, files: Sequence[tuple[FilePart, Loc]]) -> None:
        """Raises `UnsupportedAttachment` for a file that the agent's model can be given in no form."""
        if self.blobs is None:
            raise UnsupportedAttachment("Files are not kept here: the runner has no storage.", loc=files[0][1])
        try:
            provider, model = self.models.choose(agent)
        except ProviderNotConfigured:
            return  # the run fails with this error
        check_files(files, provider.capabilities(model).files)
