"""A turn that is ready to run: its models, its request, its tools and its limits."""

from collections.abc import Sequence
from dataclasses import dataclass

from ai_agents.context.compaction import CompactingModel, notices_of
from ai_agents.context.meter import Meter
from ai_agents.context.side_calls import CallPurpose
from ai_agents.core.rows import Agent, ModelName, Notice
from ai_agents.core.types import ModelMessage, ModelRequest, ToolCallPart, ToolResultPart
from ai_agents.guardrails.base import Finding
from ai_agents.memory.base import MemoryStrategy
from ai_agents.memory.strategies import Summarize
from ai_agents.providers.fallback import Candidate, FallbackChain
from ai_agents.runner.guarding import AnswerGuard, RunGuards
from ai_agents.runner.input_guarding import guard_files, has_text_files
from ai_agents.runner.inputs import InputReader, TurnInputs
from ai_agents.runner.recording import NeededJobs
from ai_agents.runner.tool_calls import ToolCaller
from ai_agents.store.runs import OwnedRun
from ai_agents.tools.executor import find_fault
from ai_agents.tools.schema import OutputValidator


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one run may take: rounds with tools, seconds, bytes of a tool's result, repetitions of one call.

    `approval_s` is how long a run waits for approvals.
    """

    tool_rounds: int = 10
    tool_time_s: float = 30.0
    tool_result_bytes: int = 64 * 1024
    identical_calls: int = 3
    run_time_s: float = 600.0
    approval_s: float = 86_400.0


class TurnModel(Candidate):
    """One of the agent's models in one run: its own (`place` 0) or a fallback.

    `inputs` and `meter`, which counts its calls, are there once it is prepared. What its request leaves out is added to
    `notices`.
    """

    inputs: TurnInputs
    meter: Meter

    def __init__(
        self, reader: InputReader, run: OwnedRun, place: int, *, name: ModelName, notices: list[Notice]
    ) -> None:
        super().__init__(name["provider"], name["model"])
        self.place = place
        self._reader = reader
        self._run = run
        self._notices = notices
        self._opened: CompactingModel | None = None

    async def open(self) -> CompactingModel:
        """The model with its request, for the thread as it is now. Raises what `prepare` and the reader raise."""
        if self._opened is None:
            return await self.prepare(await self._reader.fetch(self._run, self.place))
        return self._opened

    async def prepare(self, inputs: TurnInputs) -> CompactingModel:
        """Build the request.

        Raises `ContextOverflow`, `InvalidRequest`, `UnsupportedAttachment`, `StorageUnavailable`.
        """
        self.inputs = inputs
        contexts = self._reader.contexts
        agent, provider, model = inputs.agent, inputs.provider, inputs.model
        built = contexts.requests.build(agent, inputs.window, provider.name, model, tools=inputs.tools)
        self.meter = Meter(
            provider.name,
            model,
            contexts.models.catalogue,
            contexts.tokens.for_model(provider.name, model),
            input_tokens=built.account.total_tokens,
            estimator=contexts.tokens,
            uncalibrated_tokens=built.account.uncalibrated_tokens,
        )
        request = await self._guarded(agent, await contexts.requests.load(built.request))
        self._notices += notices_of(built.account)
        self._opened = CompactingModel(provider, request, self._notices)
        return self._opened

    async def _guarded(self, agent: Agent, request: ModelRequest) -> ModelRequest:
        if not has_text_files(request):
            return request
        guards = await self._reader.contexts.guards.prepare(agent["guardrails"], purpose_of(self._run))
        return await guard_files(request, guards.input)


def purpose_of(run: OwnedRun) -> CallPurpose:
    """What side calls of a run are made for."""
    return CallPurpose(run.thread_id, run.agent_id, run_id=run.id, user_id=run.user_id)


class PreparedTurn:
    """What the loop and the turn ask about one run.

    `notices` grows while the run goes on. `keeps_cut` says that an answer which breaks off is kept as far as it came,
    rather than asked for again.
    """

    def __init__(
        self,
        inputs: TurnInputs,
        models: FallbackChain[TurnModel],
        request: ModelRequest,
        tool_caller: ToolCaller,
        *,
        limits: RunLimits,
        strategy: MemoryStrategy,
        auto_title: bool,
        notices: Sequence[Notice],
    ) -> None:
        settings, schema = inputs.agent["settings"] or {}, inputs.agent["output_schema"]
        self.models = models
        self.request = request
        self.limits = limits
        self.notices = notices
        self.earlier: tuple[ModelMessage, ...] = inputs.earlier
        self.tool_rounds: int = settings.get("tool_rounds") or limits.tool_rounds
        self.shows_reasoning = (settings.get("reasoning") or "none") != "none"
        self.keeps_cut = settings.get("on_cut") == "keep" and schema is None
        self._validator = None if schema is None else OutputValidator(schema)
        self._tools = inputs.tools
        self._tool_caller = tool_caller
        self._guards: RunGuards | None = tool_caller.guards
        self._window = inputs.window
        self._strategy = strategy
        self._auto_title = auto_title

    @property
    def meter(self) -> Meter:
        """Counts the calls of the model that answers now."""
        return self.models.current.meter

    def guard_answer(self) -> AnswerGuard | None:
        """The guardrails for the next answer; None where the agent has none."""
        if self._guards is None:
            return None
        return self._guards.guard_answer(
            shows_reasoning=self.shows_reasoning,
            is_json=self._validator is not None,
            tool_names=self._tools.tools.keys(),
        )

    def find_fault(self, answer: str) -> str | None:
        """What is wrong with an answer, as a sentence; None for an answer that the agent's schema allows."""
        return None if self._validator is None else self._validator.find_fault(answer)

    def needs_approval(self, call: ToolCallPart) -> bool:
        """Whether a person has to agree to the call. A call with a fault needs no approval, since it is not made."""
        found = self._tools.find(call.name)
        return found is not None and call.name in self._tools.approval and find_fault(found, call) is None

    def is_retry_safe(self, name: str) -> bool:
        """Whether a call of this tool may be made twice."""
        found = self._tools.find(name)
        return found is not None and found.tool.retry_safe

    async def run_tool(self, call: ToolCallPart) -> ToolResultPart:
        """The result of a tool call; a failure is a result, too."""
        return await self._tool_caller.run(call, self._tools)

    def take_findings(self) -> tuple[Finding, ...]:
        """What guardrails found since the last call."""
        return () if self._guards is None else self._guards.take_findings()

    def needed_jobs(self, recorded: int) -> NeededJobs:
        """The background jobs that the run makes necessary; `recorded` messages are its own."""
        if not isinstance(self._strategy, Summarize):
            return NeededJobs(title=self._auto_title)
        covered = self._window.covers_through_seq or 0
        uncovered = recorded + sum(1 for message in self._window.messages if (message.seq or 0) > covered)
        is_long = self._window.unread_before_seq is not None or uncovered > self._strategy.longest
        return NeededJobs(title=self._auto_title, summarize_after=covered if is_long else None)
