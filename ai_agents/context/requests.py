"""Requests for models: what the agent's memory chooses of a thread, with its tools and files."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from ai_agents.attachments.formatting import check_files, load_files, plan_files
from ai_agents.attachments.storage import BlobStore
from ai_agents.context.builder import BuiltContext, build_request, model_settings
from ai_agents.context.catalogue import input_budget
from ai_agents.context.models import ModelSelector
from ai_agents.context.tokens import SavedTokenEstimator
from ai_agents.core.exceptions import ProviderNotConfigured, UnsupportedAttachment
from ai_agents.core.rows import Agent
from ai_agents.core.types import FilePart, Loc, ModelRequest
from ai_agents.guardrails.registry import guards_key
from ai_agents.memory.base import MemoryStrategy, Window
from ai_agents.memory.registry import get_memory_strategy, strategy_from_config
from ai_agents.store.messages import History
from ai_agents.tools.toolset import ToolSet, ToolSource

_DEFAULT_MEMORY = "token_window"
_DEFAULT_WINDOW_TOKENS = 100_000


class RequestBuilder:
    """Builds the requests of agents.

    `memory` is the strategy of agents that name none; `blobs` holds the bytes of attached files (None: none is kept).
    """

    def __init__(
        self,
        models: ModelSelector,
        tokens: SavedTokenEstimator,
        *,
        tools: ToolSource,
        memory: MemoryStrategy | None = None,
        blobs: BlobStore | None = None,
    ) -> None:
        self.blobs = blobs
        self._models = models
        self._tokens = tokens
        self._tools = tools
        self._memory = memory

    def strategy(self, agent: Agent) -> MemoryStrategy:
        """The agent's memory strategy, else the default. Raises `InvalidRequest`."""
        if agent["memory"]:
            return strategy_from_config(agent["memory"])
        return self._memory or get_memory_strategy(_DEFAULT_MEMORY, max_tokens=_DEFAULT_WINDOW_TOKENS)

    def read_window(
        self, history: History, agent: Agent, provider: str, model: str, strategy: MemoryStrategy
    ) -> Window:
        """The messages that the strategy chooses for this model."""
        size = input_budget(self._models.catalogue.window(provider, model), model_settings(agent))
        estimate = self._tokens.for_model(provider, model).message
        return strategy.fitted(max_tokens=size, estimate=estimate).window(history)

    def resolve_tools(self, connection: Connection, agent: Agent) -> ToolSet:
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
        """The request for this model, and its account. Files in it say how they are sent; `load` adds their bytes.

        Raises `ContextOverflow`, and `UnsupportedAttachment` for a file of the newest turn that the model cannot be
        given, unless `allow_overflow`.
        """
        planned = plan_files(
            window.messages,
            self._models.file_rules(provider, model),
            strict=not allow_overflow,
            guarded_by=guards_key(agent["guardrails"], "input") if agent["guardrails"] else None,
        )
        return build_request(
            agent=agent,
            window=replace(window, messages=planned),
            provider=provider,
            model=model,
            tools=tools.definitions,
            estimator=self._tokens,
            window_tokens=self._models.catalogue.window(provider, model),
            allow_overflow=allow_overflow,
        )

    async def load(self, request: ModelRequest) -> ModelRequest:
        """The request with the bytes and texts of its files. Raises `StorageUnavailable`."""
        messages = await load_files(request.messages, self.blobs)
        return request if messages is request.messages else replace(request, messages=messages)

    def check_files(self, agent: Agent, files: Sequence[tuple[FilePart, Loc]]) -> None:
        """Raises `UnsupportedAttachment` for a file that the agent's model can be given in no form."""
        if self.blobs is None:
            raise UnsupportedAttachment("Files are not kept here: the runner has no storage.", loc=files[0][1])
        try:
            provider, model = self._models.choose(agent)
        except ProviderNotConfigured:
            return  # the run fails with this error
        check_files(files, provider.capabilities(model).files)
