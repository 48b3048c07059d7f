"""A turn that is ready to run: its models, its tools, its guardrails and limits."""

from collections.abc import Callable
from itertools import takewhile
from typing import Any

from ai_agents.attachments.files import Attachments
from ai_agents.context.notices import add_notices
from ai_agents.context.requests import has_files
from ai_agents.context.tokens import Meter
from ai_agents.core import tracing
from ai_agents.core.notices import Notice
from ai_agents.core.types import FilePart, ModelMessage, ToolCallPart, ToolDefinition, ToolResultPart
from ai_agents.guardrails.base import Finding
from ai_agents.memory.base import MemoryStrategy
from ai_agents.memory.strategies import Summarize
from ai_agents.providers.fallback import FallbackChain
from ai_agents.runner.guarding import AnswerGuard, RunGuards
from ai_agents.runner.kept_results import keep_result
from ai_agents.runner.limits import RunLimits
from ai_agents.runner.needed_jobs import NeededJobs, NeededSummary
from ai_agents.runner.turn_models import TurnModel
from ai_agents.store.runs import OwnedRun
from ai_agents.tools.base import ToolContext
from ai_agents.tools.client_tools import ClientTools
from ai_agents.tools.executor import ToolExecutor, find_fault, show_result
from ai_agents.tools.registry import ToolSet
from ai_agents.tools.schema import OutputFault, OutputValidator


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
