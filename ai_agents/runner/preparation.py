"""Making a turn ready: the agent, the part of its history that its memory asks for, its provider and its tools.

One short read, which is part of the admission where it is small. Its cost depends on the memory's window, never on the
length of the thread.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from ai_agents.attachments.files import Attachments
from ai_agents.context.compaction import CompactingProvider, notices_of
from ai_agents.context.contexts import Contexts
from ai_agents.context.meter import Meter
from ai_agents.context.side_calls import CallPurpose
from ai_agents.core.exceptions import AIAgentsError, ProviderError, RequestError
from ai_agents.core.rows import Agent, Notice
from ai_agents.core.types import FilePart, ModelMessage, ModelRequest, ToolCallPart, ToolResultPart
from ai_agents.memory.base import MemoryStrategy, Window
from ai_agents.memory.summarize import Summarize
from ai_agents.providers.base import Provider
from ai_agents.providers.breaker import Breakers
from ai_agents.providers.fallback import Candidate, FallbackProvider
from ai_agents.runner.guarding import RunGuards
from ai_agents.runner.input_guarding import guard_files
from ai_agents.runner.loop import LoopLimits
from ai_agents.runner.recording import Needs
from ai_agents.runner.turn import Prepare, Prepared
from ai_agents.store.database import Database
from ai_agents.store.history import History
from ai_agents.store.runs import OwnedRun
from ai_agents.store.transactions import SHORT_WORK_ROWS
from ai_agents.tools.base import ToolContext
from ai_agents.tools.executor import ResultGuard, ToolExecutor, find_fault
from ai_agents.tools.schema import OutputValidator
from ai_agents.tools.toolset import ToolSet

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What one run may take: rounds with tools, seconds, bytes of a tool's result, repetitions of one call;
    `approval_s` is how long it waits for a person.
    """

    tool_rounds: int = 10
    tool_time_s: float = 30.0
    tool_result_bytes: int = 64 * 1024
    identical_calls: int = 3
    run_time_s: float = 600.0
    approval_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the database has to say of a turn, and whom to ask."""

    agent: Agent
    window: Window
    earlier: tuple[ModelMessage, ...]
    provider: Provider
    model: str
    tools: ToolSet


@dataclass(frozen=True, slots=True)
class _Ready:
    """A model that can be asked: its request, which is in its own measure, and what counts its calls."""

    reading: _Reading
    provider: Provider
    request: ModelRequest
    meter: Meter


class Preparation:
    """Prepares turns for one runner: their contexts, their tools, their limits."""

    def __init__(
        self,
        database: Database,
        contexts: Contexts,
        *,
        limits: RunLimits,
        attachments: Attachments | None = None,
        auto_title: bool = False,
    ) -> None:
        self._database = database
        self._contexts = contexts
        self._limits = limits
        self._attachments = attachments
        self._auto_title = auto_title
        self._breakers = Breakers()
        self._executor = ToolExecutor(timeout_s=limits.tool_time_s, max_result_bytes=limits.tool_result_bytes)

    def ahead(self, connection: Connection, run: OwnedRun) -> Prepare:
        """Prepares as this does, with what can be read for the run in the transaction that lets it in.

        What would fail fails when the run is prepared.
        """
        if self._is_long(run):
            return self
        try:
            return _Ahead(self, run, self._read(connection, run))
        except AIAgentsError:
            return self

    async def __call__(self, run: OwnedRun, reading: _Reading | None = None) -> Prepared:
        """Everything that the turn needs.

        Raises `ProviderNotConfigured`, `ContextOverflow`, `InvalidRequest`, `UnsupportedAttachment`,
        `StorageUnavailable`.
        """
        await self._contexts.refresh()
        notices: list[Notice] = []
        place, first = await self._first_ready(run, reading, notices)
        notices += [{"code": "tool_missing", "tool": name} for name in first.reading.tools.missing]
        agent = first.reading.agent
        provider, meter = self._line_up(run, agent, place, first, notices)
        tools = first.reading.tools
        settings = agent["settings"] or {}
        schema = agent["output_schema"]
        shows_reasoning = (settings.get("reasoning") or "none") != "none"
        guarded = await self._guard(run, agent)

        return Prepared(
            provider=guarded.output(provider, tools, shows_reasoning=shows_reasoning),
            request=first.request,
            run_tool=partial(self._run_tool, run, tools, guarded.judge_result),
            is_retry_safe=partial(_is_retry_safe, tools),
            limits=LoopLimits(
                tool_rounds=settings.get("tool_rounds") or self._limits.tool_rounds,
                identical_calls=self._limits.identical_calls,
            ),
            run_time_s=self._limits.run_time_s,
            show_reasoning=shows_reasoning,
            meter=meter,
            find_fault=None if schema is None else OutputValidator(schema).find_fault,
            needs_approval=partial(_needs_approval, tools),
            approval_s=self._limits.approval_s,
            keeps_cut=settings.get("on_cut") == "keep" and schema is None,
            notices=notices,
            take_triggers=guarded.take_triggers,
            earlier=first.reading.earlier,
            needs=partial(_needs, self._auto_title, self._contexts.requests.strategy(agent), first.reading.window),
        )

    async def _guard(self, run: OwnedRun, agent: Agent) -> RunGuards:
        purpose = CallPurpose(run.thread_id, run.agent_id, run_id=run.id, user_id=run.user_id)
        return RunGuards(*await self._contexts.guards.prepare(agent["guardrails"], purpose))

    async def _run_tool(self, run: OwnedRun, tools: ToolSet, judge: ResultGuard, call: ToolCallPart) -> ToolResultPart:
        context = ToolContext(run.id, run.thread_id, run.user_id)
        keep = partial(self._keep, run, call.name)
        return await self._executor.run(call, context, tools, judge=judge, keep=keep)

    async def _keep(self, run: OwnedRun, tool: str, text: str) -> FilePart | None:
        """A file of the user's with all that a tool said; None where it cannot be kept."""
        if self._attachments is None:
            return None
        try:
            return await self._attachments.add_text(run.user_id, f"{tool.replace('/', '-')[:64]}.txt", text)
        except AIAgentsError:
            _log.warning("a tool's result could not be kept", exc_info=True, extra={"run_id": run.id, "tool": tool})
            return None

    async def _first_ready(self, run: OwnedRun, reading: _Reading | None, notices: list[Notice]) -> tuple[int, _Ready]:
        """The agent's own model, else the first of its fallbacks that can be asked. Raises the own one's error."""
        try:
            return 0, await self._ready(run, 0, notices, reading)
        except (ProviderError, RequestError):
            agent = self._contexts.agents.find(run.agent_id, run.agent_version)
            for place in range(1, 1 + len(agent["fallbacks"] if agent else ())):
                with suppress(ProviderError, RequestError):
                    return place, await self._ready(run, place, notices)
            raise

    async def _ready(self, run: OwnedRun, place: int, notices: list[Notice], reading: _Reading | None = None) -> _Ready:
        """The agent's own model (`place` 0) or a fallback, made ready with the thread as it is now."""
        contexts = self._contexts
        if reading is None:
            reading = await self._database.read(lambda c: self._read(c, run, place), long=self._is_long(run))
        provider, model = reading.provider, reading.model
        built = contexts.requests.build(reading.agent, reading.window, provider.name, model, tools=reading.tools)
        meter = Meter(
            provider.name,
            model,
            contexts.models.catalogue,
            contexts.tokens.for_model(provider.name, model),
            input_tokens=built.account.total_tokens,
            estimator=contexts.tokens,
            uncalibrated_tokens=built.account.uncalibrated_tokens,
        )
        request = await contexts.requests.load(built.request)
        purpose = CallPurpose(run.thread_id, run.agent_id, run_id=run.id, user_id=run.user_id)
        request = await guard_files(
            request, (await contexts.guards.prepare(reading.agent["guardrails"], purpose)).input
        )
        notices += notices_of(built.account)
        return _Ready(reading, CompactingProvider(provider, tell=notices.append), request, meter)

    def _line_up(
        self, run: OwnedRun, agent: Agent, place: int, first: _Ready, notices: list[Notice]
    ) -> tuple[FallbackProvider, Callable[[], Meter]]:
        """The models from this place on as one provider, and the meter of whichever of them answers."""
        meters = {0: first.meter}

        async def open_first() -> tuple[Provider, ModelRequest]:
            return first.provider, first.request

        async def open_next(number: int) -> tuple[Provider, ModelRequest]:
            ready = await self._ready(run, place + number, notices)
            meters[number] = ready.meter
            return ready.provider, ready.request

        candidates = [Candidate(first.reading.provider.name, first.reading.model, open_first)]
        for number, fallback in enumerate(agent["fallbacks"][place:], start=1):
            candidates.append(Candidate(fallback["provider"], fallback["model"], partial(open_next, number)))
        provider = FallbackProvider(candidates, self._breakers)
        return provider, lambda: meters[provider.current]

    def _read(self, connection: Connection, run: OwnedRun, place: int = 0) -> _Reading:
        agent = self._contexts.agents.get(connection, run.agent_id, run.agent_version)
        provider, model = self._contexts.models.choose(agent["fallbacks"][place - 1] if place else agent)
        history = History(connection, run.thread_id)
        window = self._contexts.requests.read_window(
            history, agent, provider.name, model, self._contexts.requests.strategy(agent)
        )
        earlier = tuple(history.run_messages(run.id)) if run.continued else ()
        return _Reading(
            agent, window, earlier, provider, model, self._contexts.requests.resolve_tools(connection, agent)
        )

    def _is_long(self, run: OwnedRun) -> bool:
        """Whether many messages may be read for this turn. A thread has no more of them than its log has rows."""
        if run.reset_seq <= SHORT_WORK_ROWS:
            return False
        agent = self._contexts.agents.find(run.agent_id, run.agent_version)
        most = None if agent is None else self._contexts.requests.strategy(agent).most_messages
        return most is None or most > SHORT_WORK_ROWS


class _Ahead:
    """A preparation that has read already what there is for one run; others it prepares as ever."""

    def __init__(self, preparation: Preparation, run: OwnedRun, reading: _Reading) -> None:
        self._preparation = preparation
        self._run_id = run.id
        self._reading = reading

    async def __call__(self, run: OwnedRun) -> Prepared:
        """As `Preparation` does."""
        return await self._preparation(run, self._reading if run.id == self._run_id else None)


def _needs_approval(tools: ToolSet, call: ToolCallPart) -> bool:
    """Whether a person has to agree; nobody is asked about a call that cannot be made."""
    found = tools.find(call.name)
    return found is not None and call.name in tools.approval and find_fault(found, call) is None


def _is_retry_safe(tools: ToolSet, name: str) -> bool:
    found = tools.find(name)
    return found is not None and found.tool.retry_safe


def _needs(auto_title: bool, strategy: MemoryStrategy, window: Window, recorded: int) -> Needs:
    """What a run on this window makes needed, when it has recorded so many messages itself."""
    if not isinstance(strategy, Summarize):
        return Needs(title=auto_title)
    covered = window.covers_through_seq or 0
    uncovered = recorded + sum(1 for message in window.messages if (message.seq or 0) > covered)
    is_long = window.unread_before_seq is not None or uncovered > strategy.longest
    return Needs(title=auto_title, summarize_after=covered if is_long else None)
