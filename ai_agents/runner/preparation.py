"""Makes turns ready to run: the agent, its history, its models, its tools and its guardrails."""

from collections.abc import Sequence
from contextlib import suppress

from ai_agents.attachments.files import Attachments
from ai_agents.context.contexts import Contexts
from ai_agents.core.exceptions import ProviderError, RequestError
from ai_agents.core.rows import Agent, ModelName, Notice
from ai_agents.providers.breaker import Breakers
from ai_agents.providers.fallback import FallbackChain
from ai_agents.runner.guarding import RunGuards
from ai_agents.runner.inputs import InputReader, TurnInputs
from ai_agents.runner.prepared_turn import PreparedTurn, RunLimits, TurnModel, purpose_of
from ai_agents.runner.tool_calls import ToolCaller
from ai_agents.store.database import Database
from ai_agents.store.runs import OwnedRun
from ai_agents.tools.executor import ToolExecutor


class TurnPreparer:
    """Prepares the turns of one runner."""

    def __init__(
        self,
        database: Database,
        contexts: Contexts,
        *,
        limits: RunLimits,
        attachments: Attachments | None = None,
        auto_title: bool = False,
    ) -> None:
        self.reader = InputReader(database, contexts)
        self._contexts = contexts
        self._limits = limits
        self._attachments = attachments
        self._auto_title = auto_title
        self._breakers = Breakers()
        self._executor = ToolExecutor(timeout_s=limits.tool_time_s, max_result_bytes=limits.tool_result_bytes)

    async def prepare(self, run: OwnedRun, inputs: TurnInputs | None = None) -> PreparedTurn:
        """Everything that the turn needs. `inputs` are read where they are not given.

        Raises `ProviderNotConfigured`, `ContextOverflow`, `InvalidRequest`, `UnsupportedAttachment`,
        `StorageUnavailable`, `DatabaseUnavailable`.
        """
        await self._contexts.refresh()
        notices: list[Notice] = []
        first = await self._first_model(run, inputs, notices)
        agent = first.inputs.agent
        notices += [{"code": "tool_missing", "tool": name} for name in first.inputs.tools.missing]
        opened = await first.open()
        return PreparedTurn(
            first.inputs,
            FallbackChain([first, *self._fallbacks_after(first, run, notices)], self._breakers),
            opened.request,
            ToolCaller(run, self._executor, self._attachments, await self._guards(run, agent)),
            limits=self._limits,
            strategy=self._contexts.requests.strategy(agent),
            auto_title=self._auto_title,
            notices=notices,
        )

    async def _first_model(self, run: OwnedRun, inputs: TurnInputs | None, notices: list[Notice]) -> TurnModel:
        """The first model that can be prepared. Raises the error of the agent's own model where none can."""
        try:
            return await self._prepared_model(run, 0, inputs or await self.reader.fetch(run), notices)
        except (ProviderError, RequestError):
            agent = self._contexts.agents.find(run.agent_id, run.agent_version)
            for place in range(1, 1 + len(agent["fallbacks"] if agent else ())):
                with suppress(ProviderError, RequestError):
                    return await self._prepared_model(run, place, await self.reader.fetch(run, place), notices)
            raise

    async def _prepared_model(self, run: OwnedRun, place: int, inputs: TurnInputs, notices: list[Notice]) -> TurnModel:
        name: ModelName = {"provider": inputs.provider.name, "model": inputs.model}
        model = TurnModel(self.reader, run, place, name=name, notices=notices)
        await model.prepare(inputs)
        return model

    def _fallbacks_after(self, first: TurnModel, run: OwnedRun, notices: list[Notice]) -> Sequence[TurnModel]:
        names = first.inputs.agent["fallbacks"][first.place :]
        return [
            TurnModel(self.reader, run, place, name=name, notices=notices)
            for place, name in enumerate(names, start=first.place + 1)
        ]

    async def _guards(self, run: OwnedRun, agent: Agent) -> RunGuards | None:
        if not agent["guardrails"]:
            return None
        return RunGuards(await self._contexts.guards.prepare(agent["guardrails"], purpose_of(run)))
