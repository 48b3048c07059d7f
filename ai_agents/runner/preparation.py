"""Makes turns ready to run: the agent, its history, its models, its tools and its guardrails."""

from contextlib import suppress

from ai_agents.attachments.files import Attachments
from ai_agents.auth.runs import require_to_begin
from ai_agents.context.contexts import Contexts
from ai_agents.core.exceptions import ProviderError, RequestError
from ai_agents.core.notices import Notice
from ai_agents.core.rows import ModelName
from ai_agents.providers.breaker import Breakers
from ai_agents.providers.fallback import FallbackChain
from ai_agents.runner.guarding import RunGuards
from ai_agents.runner.inputs import InputReader
from ai_agents.runner.limits import RunLimits
from ai_agents.runner.ownership import TurnInputs
from ai_agents.runner.prepared_turn import PreparedTurn
from ai_agents.runner.turn_models import TurnModel, purpose_of
from ai_agents.store.database import Database
from ai_agents.store.runs import OwnedRun
from ai_agents.tools.client_tools import ClientTools
from ai_agents.tools.executor import ToolExecutor

_NO_CLIENT_TOOLS = ClientTools()


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
        self.reader = InputReader(database, contexts, most_rounds=limits.tool_rounds)
        self._database = database
        self._contexts = contexts
        self._limits = limits
        self._attachments = attachments
        self._auto_title = auto_title
        self.breakers = Breakers()
        self._executor = ToolExecutor(timeout_s=limits.tool_time_s, max_result_bytes=limits.tool_result_bytes)

    async def prepare(
        self, run: OwnedRun, inputs: TurnInputs | None = None, *, has_waited: bool = False
    ) -> PreparedTurn:
        """Everything that the turn needs. `inputs` are read where they are not given.

        `has_waited`: the user's right is checked once more. Raises `PermissionDenied`, `AgentDeleted`,
        `ThreadNotFound`, `ProviderNotConfigured`, `ContextOverflow`, `InvalidRequest`, `UnsupportedAttachment`,
        `StorageUnavailable`, `DatabaseUnavailable`.
        """
        if has_waited:
            await self._database.read(lambda c: require_to_begin(c, run))
        await self._contexts.refresh()
        notices: list[Notice] = []
        first = await self._first_model(run, inputs, notices)
        agent = first.inputs.agent
        notices += [{"code": "tool_missing", "tool": name} for name in first.inputs.tools.missing]
        fallbacks = [
            TurnModel(self.reader, run, place, name=name, notices=notices, account=first.account)
            for place, name in enumerate(agent["fallbacks"][first.place :], start=first.place + 1)
        ]
        # The schemas are new to a process that takes the run over.
        client_tools = _NO_CLIENT_TOOLS
        if run.client_tools:
            client_tools = await self._contexts.compiling.run(run.user_id, ClientTools, run.client_tools)
        guards = None
        if agent["guardrails"]:
            guards = RunGuards(await self._contexts.prepare_guards(agent["guardrails"], purpose_of(run, agent)))
        return PreparedTurn(
            run,
            FallbackChain([first, *fallbacks], self.breakers),
            executor=self._executor,
            attachments=self._attachments,
            guards=guards,
            limits=self._limits,
            strategy=self._contexts.requests.strategy(agent),
            auto_title=self._auto_title,
            notices=notices,
            with_reader=self._contexts.requests.with_reader,
            client_tools=client_tools,
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
        account = self._contexts.budgets.account(purpose_of(run, inputs.agent), notices=notices)
        model = TurnModel(self.reader, run, place, name=name, notices=notices, account=account)
        await model.prepare(inputs)
        return model
