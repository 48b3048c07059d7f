"""One turn being answered: build the context, run the loop, record each step, and end in exactly one way.

The turn is the loop's recorder. Whatever is written is written to its end even if the task is cancelled meanwhile, and
then
noted in `self.run`, so that the ending always knows what the database holds.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn, Protocol

from ai_agents.bus.base import Channel
from ai_agents.bus.progress import TextInProgress
from ai_agents.context.compaction import carry_on
from ai_agents.context.meter import Meter
from ai_agents.core.exceptions import AIAgentsError, GuardrailBlocked, ProviderError, RunInterrupted, RunTimeout
from ai_agents.core.rows import Notice, Problem
from ai_agents.core.types import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ReasoningPart,
    RunStatus,
    TextPart,
    ToolCallPart,
    ToolCallStatus,
    ToolResultPart,
)
from ai_agents.guardrails.base import Finding
from ai_agents.providers.base import Provider
from ai_agents.runner import approvals, recording, recovery
from ai_agents.runner.loop import FindFault, Loop, LoopLimits, NeedsApproval, ToolRunner
from ai_agents.runner.recording import Answer, Ended, Ending, Needs, Successor
from ai_agents.runner.writes import Writes
from ai_agents.store import model_calls, tool_calls
from ai_agents.store.database import Database
from ai_agents.store.model_calls import CallRecord, CallStatus
from ai_agents.store.runs import LeaseLost, OwnedRun

StopKind = Literal["cancel", "hand_over", "lease_lost"]
# How a process comes by a run: it let it in, took it over from one that was lost, or goes on with one that nobody was
# at work on.
Origin = Literal["new", "lost", "waited"]
MAX_ATTEMPTS = 3
_UNKNOWN = "Whether this call had its effect is unknown: the process that ran it died. It was not run again."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a turn needs to be run: whom to ask, what to say, and which tools may be called.

    `earlier` are the messages that the run recorded before it was taken over; they are in the request as well.
    `keeps_cut` says that an answer which breaks off is kept as far as it came, rather than asked for again.
    `notices` are what the run has to say of how it went; there may be more when it ends.
    """

    provider: Provider
    request: ModelRequest
    run_tool: ToolRunner
    is_retry_safe: Callable[[str], bool]
    limits: LoopLimits
    run_time_s: float
    show_reasoning: bool
    # Of whoever answers now.
    meter: Callable[[], Meter]
    find_fault: FindFault | None = None
    needs_approval: NeedsApproval = lambda _call: False
    approval_s: float = 86_400.0
    keeps_cut: bool = False
    notices: Sequence[Notice] = ()
    # What guardrails have found since this was last asked.
    take_triggers: Callable[[], tuple[Finding, ...]] = tuple
    earlier: tuple[ModelMessage, ...] = ()
    # What the run makes needed once it has recorded so many messages.
    needs: Callable[[int], Needs] = lambda _recorded: Needs()


class _KeptError(Exception):
    """The answer broke off and is kept as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class _ParkedError(Exception):
    """The run waits for a person, and is nobody's until he has spoken."""


class Prepare(Protocol):
    """Makes a turn ready: reads agent, history and tools."""

    async def __call__(self, run: OwnedRun) -> Prepared:
        """Raises `AIAgentsError` where the run cannot be answered."""
        ...


class Turn:
    """A run in this process, from its start to its terminal event."""

    def __init__(
        self,
        run: OwnedRun,
        *,
        database: Database,
        channel: Channel,
        prepare: Prepare,
        successor: Callable[[], Successor | None],
        owner: str,
        origin: Origin,
    ) -> None:
        self.run = run
        self.stopped: StopKind | None = None
        # A task that is cancelled before its first step never runs at all: until then a stop is only noted.
        self.begun = False
        self._database = database
        self._channel = channel
        self.prepare = prepare
        self._successor = successor
        self._owner = owner
        self._origin = origin
        self._prepared: Prepared | None = None
        self._progress: TextInProgress | None = None
        self._writes = Writes(database, run.id, is_stopped=lambda: self.stopped is not None)
        # A model call that is over and not recorded yet.
        self._unrecorded: CallRecord | None = None
        # Messages that this turn has written since it was prepared.
        self._recorded = 0

    async def execute(self) -> Ended | None:
        """Run to the end; None where the run waits, or is somebody else's now. Raises a foreign `CancelledError`."""
        ended = await self._execute()
        if ended is None:
            await self._note_of_deleted()
        return ended

    async def _execute(self) -> Ended | None:
        self.begun = True
        try:
            if self.stopped is not None:
                raise asyncio.CancelledError
            ending = await self._answer()
        except (LeaseLost, _ParkedError):
            return None
        except asyncio.CancelledError:
            if self.stopped is None:
                raise
            if self.stopped != "cancel":
                return None
            ending = await self._cut("cancelled")
        except GuardrailBlocked as error:
            ending = await self._blocked(error)
        except AIAgentsError as error:
            ending = await self._failed(error)
        except Exception:  # noqa: BLE001  # the edge of a run: whatever happens in it, the thread stays usable
            _log.exception("run failed", extra={"run_id": self.run.id, "thread_id": self.run.thread_id})
            ending = await self._failed(RunInterrupted("The run failed for a reason that is in the log."))
        return await self._close(ending)

    async def _answer(self) -> Ending:
        prepared: Prepared | None = None
        try:
            settled = self._origin != "new" and await self._settle_calls()
            prepared = self._prepared = await self._writes.once_available(lambda: self.prepare(self.run))
            self._recorded = 0
            if self._origin == "lost" and not settled:
                await self._writes.to_the_end(self._note_lost())
            loop = Loop(
                prepared.provider,
                prepared.request,
                self,
                prepared.run_tool,
                limits=prepared.limits,
                show_reasoning=prepared.show_reasoning,
                earlier=prepared.earlier,
                find_fault=prepared.find_fault,
                needs_approval=prepared.needs_approval,
            )
            async with asyncio.timeout(prepared.run_time_s):
                response = await loop.run()
        except _KeptError as kept:
            return Ending("completed", "cut", answer=kept.answer)
        except TimeoutError as error:
            longest = prepared.run_time_s if prepared else 0
            raise RunTimeout(f"The run took longer than {longest:g} s.") from error
        answer = Answer(response.parts, self._meter.completed(response))
        return Ending("completed", response.stop_reason, answer=answer)

    # What the loop calls.

    def begin(self) -> None:
        """A message begins: from here on readers may see its text."""
        run = self.run
        self._progress = TextInProgress(
            run_id=run.id, fence=run.fence, message_id=run.message_id, base_seq=run.reset_seq
        )
        self._channel.begin(self._progress)

    def show(self, kind: Any, text: str) -> None:
        """More of its text."""
        if self._progress is not None:
            self._progress.append(kind, text)
            self._channel.touch_text()

    async def step(self, response: ModelResponse, waiting: Collection[str] = ()) -> None:
        """Record a message that calls tools, and that the calls begin, or wait for a person."""
        call = self._unrecorded = self._meter.completed(response)
        answer = Answer(response.parts, call)

        triggers = self._take_triggers()

        async def write() -> None:
            self.run = await self._writes.record(
                lambda c: recording.record_step(
                    c, self.run, answer, response.tool_calls, waiting=waiting, triggers=triggers
                ),
                lambda c: recovery.find_next_step(c, self.run),
            )
            self._progress = self._unrecorded = None
            self._recorded += 1

        await self._writes.to_the_end(write())

    async def result(self, result: ToolResultPart, *, status: ToolCallStatus = "finished") -> None:
        """Record how a call ended."""
        triggers = self._take_triggers()
        await self._writes.to_the_end(
            self._writes.record(
                lambda c: recording.record_result(c, self.run, result, status=status, triggers=triggers),
                lambda c: recovery.result_is_recorded(c, self.run, result.tool_call_id) or None,
            )
        )
        if self._prepared is not None:
            self._meter.tool_result(result)
        self._recorded += 1

    async def wait(self) -> NoReturn:
        """Let the run wait for a person: it is nobody's from here on."""
        assert self._prepared is not None  # noqa: S101  # its calls were looked at
        wait_s, notices = self._prepared.approval_s, self._notices()
        parked = await self._writes.to_the_end(
            self._writes.record(
                lambda c: approvals.record_waiting(c, self.run, wait_s=wait_s, notices=notices),
                lambda c: recovery.is_waiting(c, self.run) or None,
            )
        )
        if parked:
            raise _ParkedError
        self.stopped = self.stopped or "cancel"
        raise asyncio.CancelledError

    async def retry(self, error: ProviderError) -> None:
        """Void what was shown and begin the next attempt. Raises the error after the last.

        What was shown is kept instead where the agent wants that.
        """
        shown = self._shown_parts()
        call = self._meter.aborted("failed", shown, error)
        if self._keeps(shown):
            raise _KeptError(Answer(shown, call, status="incomplete"))
        if self.run.attempt >= MAX_ATTEMPTS:
            raise error
        self._unrecorded = call
        self._take_triggers()  # of what is void now

        async def write() -> None:
            self.run = await self._writes.record(
                lambda c: recording.record_retry(c, self.run, error.reason, call),
                lambda c: recovery.find_next_step(c, self.run),
            )
            self._progress = self._unrecorded = None

        await self._writes.to_the_end(write())

    def _keeps(self, shown: Sequence[TextPart | ReasoningPart]) -> bool:
        wanted = self._prepared is not None and self._prepared.keeps_cut
        return wanted and any(isinstance(part, TextPart) for part in shown)

    # Endings.

    async def _cut(self, status: RunStatus) -> Ending:
        """What was said so far is kept as an incomplete message; a message without any text is not."""
        await self._writes.finish()
        parts = self._shown_parts()
        call = self._aborted("cancelled")
        if call is None or not parts:
            return Ending(status, "cancelled", call=call)
        return Ending(status, "cancelled", answer=Answer(parts, call, status="incomplete"))

    async def _failed(self, error: AIAgentsError) -> Ending:
        await self._writes.finish()
        problem: Problem = {
            "type": "about:blank",
            "title": type(error).__name__,
            "detail": str(error),
            "code": error.code,
        }
        return Ending("failed", error=problem, call=self._aborted("failed", error))

    async def _blocked(self, error: GuardrailBlocked) -> Ending:
        """What was rightly said before is kept as an incomplete message."""
        ending = await self._failed(error)
        shown = self._shown_parts()
        assert ending.error is not None  # noqa: S101  # a failed run has one
        problem: Problem = {**ending.error, "guardrail": error.guardrail, "stage": error.stage}
        if ending.call is None or not any(isinstance(part, TextPart) for part in shown):
            return replace(ending, error=problem)
        return replace(ending, error=problem, call=None, answer=Answer(shown, ending.call, status="incomplete"))

    async def _close(self, ending: Ending) -> Ended | None:
        """Write the ending, whatever happens to this task meanwhile."""
        self._unrecorded = ending.answer.call if ending.answer else ending.call
        ending = replace(ending, notices=self._notices(), triggers=self._take_triggers())
        needs = None
        if ending.status == "completed" and self._prepared is not None:
            needs = self._prepared.needs(self._recorded + 1)
        writing = self._writes.record(
            lambda c: recording.end_owned(c, self.run, ending, self._successor(), needs),
            lambda c: recovery.find_ended(c, self.run, self._owner),
        )
        try:
            return await self._writes.last(writing)
        except LeaseLost:
            return None

    def _notices(self) -> tuple[Notice, ...]:
        now = () if self._prepared is None else self._prepared.notices
        return carry_on(self.run.notices, now)

    def _take_triggers(self) -> tuple[Finding, ...]:
        return () if self._prepared is None else self._prepared.take_triggers()

    # What a successor does first.

    async def _settle_calls(self) -> bool:
        """Make the calls that a person agreed to. Of those that had begun when the former owner died run again what is
        safe to, and say of the others that nobody knows. Whether there were any.
        """
        open_calls = await self._writes.once_available(
            lambda: self._database.read(lambda c: tool_calls.list_open(c, self.run.id))
        )
        if not open_calls:
            return False
        prepared = self._prepared = await self._writes.once_available(lambda: self.prepare(self.run))
        again: list[ToolCallPart] = []
        for each in open_calls:
            if each.status == "started" and not prepared.is_retry_safe(each.call.name):
                unknown = ToolResultPart(each.call.tool_call_id, each.call.name, _UNKNOWN, is_error=True)
                await self.result(unknown, status="unknown")
            elif each.status == "started":
                again.append(each.call)
        await self._make_calls([*again, *await self._start_approved(again)], prepared.run_tool)
        if any(each.status == "waiting" for each in open_calls):
            await self.wait()
        return True

    async def _start_approved(self, again: Sequence[ToolCallPart]) -> list[ToolCallPart]:
        begun = {call.tool_call_id for call in again}
        return await self._writes.to_the_end(
            self._writes.record(
                lambda c: approvals.start_approved(c, self.run),
                lambda c: recovery.find_started(c, self.run, besides=begun),
            )
        )

    async def _make_calls(self, calls: Sequence[ToolCallPart], run_tool: ToolRunner) -> None:
        async def make(call: ToolCallPart) -> None:
            await self.result(await run_tool(call))

        try:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(make(call))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _note_lost(self) -> None:
        """Where no tool call was under way, the former owner died while the model was asked, or just before."""
        call = self._meter.lost()
        self.run = await self._writes.record(
            lambda c: recording.record_lost(c, self.run, call),
            lambda c: recovery.find_noted(c, self.run, call.id),
        )

    async def _note_of_deleted(self) -> None:
        """A thread that was deleted meanwhile has used its last model call all the same; of a run that another process
        goes on with, that process tells.
        """
        call = self._unrecorded or self._aborted("cancelled")
        if call is not None:
            await self._writes.to_the_end(
                self._writes.record(
                    lambda c: recording.note_of_deleted(c, self.run, call),
                    lambda c: model_calls.exists(c, call.id) or None,
                )
            )

    # What model calls use.

    @property
    def _meter(self) -> Meter:
        assert self._prepared is not None  # noqa: S101  # no model is called before the turn is prepared
        return self._prepared.meter()

    def _aborted(self, outcome: CallStatus, error: AIAgentsError | None = None) -> CallRecord | None:
        """The model call under way, as it ends; None where there is none."""
        if self._progress is None:
            return None
        return self._meter.aborted(outcome, self._shown_parts(), error)

    def _shown_parts(self) -> list[TextPart | ReasoningPart]:
        if self._progress is None:
            return []
        return [
            TextPart(piece.text) if piece.kind == "text" else ReasoningPart(piece.text)
            for piece in self._progress.since(1)
        ]
