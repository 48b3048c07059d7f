"""Makes turns ready to run: the agent, its history, its models, its tools and its guardrails.

What a turn needs from the database is one short read. Its cost depends on the memory's window, never on the length of
the thread.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import Any, Self

from sqlalchemy import Connection

from ai_agents.attachments.files import Attachments
from ai_agents.auth.runs import require_to_begin
from ai_agents.context.budgets import BudgetAccount
from ai_agents.context.builder import notice_of, notices_of, oldest_half
from ai_agents.context.contexts import Contexts
from ai_agents.context.notices import add_notices
from ai_agents.context.purposes import CallPurpose
from ai_agents.context.requests import has_files
from ai_agents.context.tokens import Meter
from ai_agents.core import tracing
from ai_agents.core.exceptions import AIAgentsError, ContextExceeded, ProviderError, RequestError
from ai_agents.core.notices import Notice
from ai_agents.core.overrides import overridden
from ai_agents.core.rows import Agent, ModelName
from ai_agents.core.types import FilePart, ModelMessage, ModelRequest, ToolCallPart, ToolDefinition, ToolResultPart
from ai_agents.guardrails.base import Finding
from ai_agents.memory.base import MemoryStrategy
from ai_agents.memory.strategies import Summarize
from ai_agents.providers.base import Provider
from ai_agents.providers.breaker import Breakers
from ai_agents.providers.fallback import BegunStream, Candidate, FallbackChain, begin_stream
from ai_agents.runner.guarding import AnswerGuard, RunGuards
from ai_agents.runner.kept_results import keep_result
from ai_agents.runner.needed_jobs import NeededJobs, NeededSummary
from ai_agents.runner.ownership import TurnInputs
from ai_agents.store.database import Database
from ai_agents.store.history import History
from ai_agents.store.runs import OwnedRun
from ai_agents.store.transactions import SHORT_WORK_ROWS
from ai_agents.tools.base import ToolContext
from ai_agents.tools.client_tools import ClientTools
from ai_agents.tools.executor import ToolExecutor, find_fault, show_result
from ai_agents.tools.registry import ToolSet
from ai_agents.tools.schema import OutputFault, OutputValidator

_NO_CLIENT_TOOLS = ClientTools()


class InputReader:
    """Reads the inputs of turns.

    `most_rounds` is how many rounds with tools a message may ask for where its agent does not say it.
    """

    def __init__(self, database: Database, contexts: Contexts, *, most_rounds: int) -> None:
        self.contexts = contexts
        self._most_rounds = most_rounds
        self._database = database

    async def fetch(self, run: OwnedRun, place: int = 0) -> TurnInputs:
        """The inputs as `read` gives them, in a transaction of their own. Raises `DatabaseUnavailable`, too."""
        return await self._database.read(lambda c: self.read(c, run, place), long=self._is_long(run))

    async def prepare_model(self, run: OwnedRun, inputs: TurnInputs, place: int = 0) -> TurnInputs:
        """The inputs once the provider knows what its model takes.

        They are read again if that is more or less than was thought.
        """
        models, provider, model = self.contexts.models, inputs.provider, inputs.model
        if type(provider).prepare_model is Provider.prepare_model:
            return inputs
        before = models.window(provider.name, model)
        await models.prepare_model(provider, model)
        return inputs if models.window(provider.name, model) == before else await self.fetch(run, place)

    def read(self, connection: Connection, run: OwnedRun, place: int = 0) -> TurnInputs:
        """The inputs for the agent's own model (`place` 0) or one of its fallbacks.

        Raises `ProviderNotConfigured`, `InvalidRequest`, and `PermissionDenied` where no owner of the agent may use the
        provider any more.
        """
        requests = self.contexts.requests
        own = self.contexts.agents.get(connection, run.agent_id, run.agent_version)
        agent = overridden(own, run.overrides, most_rounds=self._most_rounds)
        provider, model = self.contexts.models.choose(agent["fallbacks"][place - 1] if place else agent)
        if not place and run.overrides and "provider" in run.overrides:
            self.contexts.rights.require_provider_of(run.user_id, provider.name, is_admin=run.by_admin)
        else:
            self.contexts.rights.require_provider(connection, run.agent_id, provider.name)
        history = History(connection, run.thread_id)
        window = requests.read_window(history, agent, provider.name, model, requests.strategy(agent))
        earlier = tuple(history.run_messages(run.id)) if run.continued else ()
        tools = requests.resolve_tools(connection, agent, window.messages, run.client_tools)
        return TurnInputs(agent, window, earlier, provider, model, tools)

    def read_early(self, connection: Connection, run: OwnedRun) -> TurnInputs | None:
        """The inputs, read in the transaction that admits the run; None where the turn has to read them later.

        An error is left to the later read, which fails the run with it.
        """
        if self._is_long(run):
            return None
        try:
            return self.read(connection, run)
        except AIAgentsError:
            return None

    def _is_long(self, run: OwnedRun) -> bool:
        """Whether many messages may be read for this turn. A thread has no more of them than its log has rows."""
        if run.reset_seq <= SHORT_WORK_ROWS:
            return False
        agent = self.contexts.agents.find(run.agent_id, run.agent_version)
        most = None if agent is None else self.contexts.requests.strategy(agent).most_messages
        return most is None or most > SHORT_WORK_ROWS


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one run may take: rounds with tools, seconds, bytes of a tool's result, repetitions of one call.

    `run_time_s` is how long a run may make no progress (text, reasoning, a call, a result); it may take longer.
    `approval_s` is how long a call waits for an approval where its agent does not say it, and for a client's result.
    """

    tool_rounds: int = 10
    tool_time_s: float = 30.0
    tool_result_bytes: int = 64 * 1024
    identical_calls: int = 3
    run_time_s: float = 600.0
    approval_s: float = 86_400.0


class TurnModel(Candidate):
    """One of the agent's models in one run: its own (`place` 0) or a fallback.

    `inputs`, `request` and `meter`, which counts its calls, are there once it is prepared. What its requests leave out
    is added to `notices`. They share their beginning, so that what was left out once stays out. `account` is what pays
    for the run's calls, None where there is no budget.
    """

    inputs: TurnInputs
    request: ModelRequest
    meter: Meter

    def __init__(
        self,
        reader: InputReader,
        run: OwnedRun,
        place: int,
        *,
        name: ModelName,
        notices: list[Notice],
        account: BudgetAccount | None,
    ) -> None:
        super().__init__(name["provider"], name["model"])
        self.place = place
        self.account = account
        self._reader = reader
        self._run = run
        self._notices = notices
        self._is_prepared = False
        self._left_out: tuple[int, int] | None = None

    async def open(self) -> Self:
        """The model with its request, for the thread as it is now. Raises what `prepare` and the reader raise."""
        if not self._is_prepared:
            await self.prepare(await self._reader.fetch(self._run, self.place))
        return self

    async def prepare(self, inputs: TurnInputs) -> None:
        """Build the request.

        Raises `ContextOverflow`, `InvalidRequest`, `UnsupportedAttachment`, `StorageUnavailable`.
        """
        self.inputs = inputs = await self._reader.prepare_model(self._run, inputs, self.place)
        contexts = self._reader.contexts
        agent, provider, model = inputs.agent, inputs.provider, inputs.model
        build = partial(contexts.requests.build, agent, inputs.window, provider.name, model, tools=inputs.tools)
        built = await contexts.compute(self._run.user_id, len(inputs.window.messages), build)
        self.meter = Meter(
            contexts.tokens.for_model(provider.name, model),
            contexts.models.catalogue,
            input_tokens=built.account.total_tokens,
            estimator=contexts.tokens,
            uncalibrated_tokens=built.account.uncalibrated_tokens,
            account=self.account,
        )
        self.request = await contexts.load_files(built.request, agent, purpose_of(self._run, agent))
        add_notices(self._notices, [*notices_of(built.account), *provider.left_out(self.request)])
        self._is_prepared = True

    async def begin(self, request: ModelRequest) -> BegunStream:
        """Begin to stream a response. A provider that finds the request too long is asked once more with half of it.

        Raises `ContextExceeded` where nothing more can be left out, `ProviderNotConfigured` where it was deleted,
        `BudgetExceeded`.
        """
        if self.account is not None:
            await self.meter.claim(request.settings.max_tokens)
        try:
            return await begin_stream(self._provider(), self._shortened(request))
        except ContextExceeded:
            found = oldest_half(request) if self._left_out is None else None
            if found is None:
                raise
        self._left_out = found
        start, end = found
        seqs = [message.seq or 0 for message in request.messages[start:end]]
        self._notices.append(notice_of(end - start, max(seqs), "provider"))
        return await begin_stream(self._provider(), self._shortened(request))

    def _provider(self) -> Provider:
        """The provider as it is now: it may have been changed, or deleted, since the run began."""
        return self._reader.contexts.models.get_provider(self.inputs.provider.name)

    def _shortened(self, request: ModelRequest) -> ModelRequest:
        if self._left_out is None:
            return request
        start, end = self._left_out
        return replace(request, messages=(*request.messages[:start], *request.messages[end:]))


def purpose_of(run: OwnedRun, agent: Agent) -> CallPurpose:
    """What side calls of a run are made for."""
    return CallPurpose.of_agent(agent, run.thread_id, user_id=run.user_id, by_admin=run.by_admin, run_id=run.id)


class PreparedTurn:
    """What the loop and the turn ask about one run. Without `attachments` long results of tools are not kept.

    `notices` grows while the run goes on. `keeps_cut` says that an answer which breaks off is kept as far as it came,
    rather than asked for again.
    """

    def __init__(
        self,
        run: OwnedRun,
        models: FallbackChain[TurnModel],
        *,
        executor: ToolExecutor,
        attachments: Attachments | None,
        guards: RunGuards | None,
        limits: RunLimits,
        strategy: MemoryStrategy,
        auto_title: bool,
        notices: list[Notice],
        with_reader: Callable[[ToolSet], ToolSet],
        client_tools: ClientTools,
    ) -> None:
        inputs = models.current.inputs
        settings, schema = inputs.agent["settings"] or {}, inputs.agent["output_schema"]
        self.models = models
        self.request = models.current.request
        self.limits = limits
        self.notices = notices
        self.account = models.current.account
        self.earlier: tuple[ModelMessage, ...] = inputs.earlier
        self.tool_rounds: int = settings.get("tool_rounds") or limits.tool_rounds
        self.shows_reasoning = (settings.get("reasoning") or "none") != "none"
        self.keeps_cut = settings.get("on_cut") == "keep" and schema is None
        self._validator = None if schema is None else OutputValidator(schema)
        self._tools = inputs.tools
        self._with_reader = with_reader
        self._client_tools = client_tools
        self._run = run
        self._executor = executor
        self._attachments = attachments
        self._guards = guards
        self._window = inputs.window
        self._strategy = strategy
        self._auto_title = auto_title

    @property
    def meter(self) -> Meter:
        """Counts the calls of the model that answers now."""
        return self.models.current.meter

    @property
    def has_answered(self) -> bool:
        """Whether a model has answered in this turn already, before it was taken over or continued."""
        return any(message.role == "assistant" for message in self.earlier)

    @property
    def has_new_files(self) -> bool:
        """Whether files were sent in the messages that no model has answered yet."""
        new = takewhile(lambda message: message.role != "assistant", reversed(self._window.messages))
        return has_files(new)

    def guard_answer(self) -> AnswerGuard | None:
        """The guardrails for the next answer; None where the agent has none."""
        if self._guards is None:
            return None
        return self._guards.guard_answer(
            shows_reasoning=self.shows_reasoning,
            is_json=self._validator is not None,
            tool_names={*self._tools.tools, *self._client_tools.names},
        )

    def note_empty_answer(self) -> None:
        """The model had nothing to say after a tool's result."""
        self.notices.append({"code": "empty_answer"})

    def note_missing_credentials(self, tool: str) -> None:
        """A call of this tool was not made, since the user has given no credentials for it."""
        add_notices(self.notices, [{"code": "credentials_missing", "tool": tool}])

    def find_fault(self, answer: str) -> OutputFault | None:
        """What is wrong with an answer; None for an answer that the agent's schema allows."""
        return None if self._validator is None else self._validator.find_fault(answer)

    def needs_approval(self, call: ToolCallPart) -> bool:
        """Whether a person has to agree to the call. A call with a fault needs no approval, since it is not made."""
        found = self._tools.tools.get(call.name)
        return found is not None and call.name in self._tools.approval and find_fault(found, call) is None

    def approval_s(self, name: str) -> float | None:
        """How many seconds a call of this tool waits for a person; None: for ever."""
        asked = self._tools.approval.get(name)
        return self.limits.approval_s if asked is None or asked.expires_in_s == "default" else asked.expires_in_s

    def is_of_client(self, call: ToolCallPart) -> bool:
        """Whether the call is of a tool of the client."""
        return call.name in self._client_tools.names

    def needs_client(self, call: ToolCallPart) -> bool:
        """Whether the client has to make the call. One with a fault is answered here."""
        return self.is_of_client(call) and self._client_tools.find_fault(call) is None

    def is_retry_safe(self, name: str) -> bool:
        """Whether a call of this tool may be made twice."""
        found = self._tools.tools.get(name)
        return found is not None and found.tool.retry_safe

    async def run_tool(self, call: ToolCallPart) -> ToolResultPart:
        """The result of a tool call; a failure is a result, too."""
        run, limits = self._run, self.limits
        if self.is_of_client(call):
            fault = self._client_tools.find_fault(call)
            return await show_result(call, fault, is_error=True, max_bytes=limits.tool_result_bytes, handler=self)
        context = ToolContext(run.id, run.thread_id, run.user_id, call.tool_call_id, limits.tool_result_bytes)
        return await self._executor.run(call, context, self._tools, handler=self)

    def offer_reader(self) -> tuple[ToolDefinition, ...]:
        """Offer the tool that reads on in results that were cut. Returns what the model is told of the tools then."""
        self._tools = self._with_reader(self._tools)
        return self._tools.definitions

    async def judge_result(self, value: Any) -> Any:
        """The allowed part of a tool's result. Raises `ToolError` for a blocked one."""
        return value if self._guards is None else await self._guards.judge_result(value)

    async def keep_result(self, tool: str, text: str) -> FilePart | None:
        """A file of the user with a tool's whole result; None where it cannot be stored."""
        return await keep_result(self._attachments, self._run.user_id, text, tool=tool, run_id=self._run.id)

    def take_findings(self) -> tuple[Finding, ...]:
        """What guardrails found since the last call."""
        return () if self._guards is None else self._guards.take_findings()

    def needed_jobs(self, recorded: int) -> NeededJobs:
        """The background jobs that the run makes necessary; `recorded` messages are its own."""
        if not isinstance(self._strategy, Summarize):
            return NeededJobs(title=self._auto_title, trace=tracing.current())
        covered = self._window.covers_through_seq or 0
        unread = self._window.unread_before_seq
        uncovered = tuple(seq for message in self._window.messages if (seq := message.seq or 0) > covered)
        is_long = unread is not None or recorded + len(uncovered) > self._strategy.longest
        needed = NeededSummary(covered, self._strategy.recent, uncovered, recorded, unread or 0)
        return NeededJobs(self._auto_title, needed if is_long else None, trace=tracing.current())


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

        A run that `has_waited` needs its right once more. Raises `PermissionDenied`, `AgentDeleted`, `ThreadNotFound`,
        `ProviderNotConfigured`, `ContextOverflow`, `InvalidRequest`, `UnsupportedAttachment`, `StorageUnavailable`,
        `DatabaseUnavailable`.
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
