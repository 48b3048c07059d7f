"""One turn being answered: build the context, run the loop, record each step, and end in exactly one way.

The turn is the loop's recorder. Whatever is written is written to its end even if the task is cancelled meanwhile, and
then
noted in `self.run`, so that the ending always knows what the database holds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import Connection

from ai_agents.bus.base import Channel
from ai_agents.bus.progress import TextInProgress
from ai_agents.core.exceptions import AIAgentsError, DatabaseUnavailable, ProviderError, RunInterrupted, RunTimeout
from ai_agents.core.types import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ReasoningPart,
    TextPart,
    ToolResultPart,
)
from ai_agents.providers.base import Provider
from ai_agents.runner import recording, recovery
from ai_agents.runner.compaction import Notice
from ai_agents.runner.loop import FindFault, Loop, LoopLimits, ToolRunner
from ai_agents.runner.meter import Meter
from ai_agents.runner.recording import Answer, Ended, Ending, Needs, Successor
from ai_agents.store import model_calls, tool_calls
from ai_agents.store.database import Database
from ai_agents.store.model_calls import Call, Outcome
from ai_agents.store.runs import LeaseLost, OwnedRun

T = TypeVar("T")
StopKind = Literal["cancel", "hand_over", "lease_lost"]
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
    keeps_cut: bool = False
    notices: Sequence[Notice] = ()
    earlier: tuple[ModelMessage, ...] = ()
    # What the run makes needed once it has recorded so many messages.
    needs: Callable[[int], Needs] = lambda _recorded: Needs()


class _KeptError(Exception):
    """The answer broke off and is kept as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


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
        resumed: bool,
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
        self._resumed = resumed
        self._prepared: Prepared | None = None
        self._progress: TextInProgress | None = None
        self._writing: asyncio.Future[Any] | None = None
        # A model call that is over and not recorded yet.
        self._unrecorded: Call | None = None
        # Messages that this turn has written since it was prepared.
        self._recorded = 0

    async def execute(self) -> Ended | None:
        """Run to the end; None where the run is somebody else's now. Raises only a foreign `CancelledError`."""
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
        except LeaseLost:
            return None
        except asyncio.CancelledError:
            if self.stopped is None:
                raise
            if self.stopped != "cancel":
                return None
            ending = await self._cut("cancelled")
        except AIAgentsError as error:
            ending = await self._failed(error)
        except Exception:  # noqa: BLE001  # the edge of a run: whatever happens in it, the thread stays usable
            _log.exception("run failed", extra={"run_id": self.run.id, "thread_id": self.run.thread_id})
            ending = await self._failed(RunInterrupted("The run failed for a reason that is in the log."))
        return await self._close(ending)

    async def _answer(self) -> Ending:
        prepared: Prepared | None = None
        try:
            settled = self._resumed and await self._settle_calls()
            prepared = self._prepared = await self._once_available(lambda: self.prepare(self.run))
            self._recorded = 0
            if self._resumed and not settled and self.run.attempt > 1:
                await self._to_the_end(self._note_lost())
            loop = Loop(
                prepared.provider,
                prepared.request,
                self,
                prepared.run_tool,
                limits=prepared.limits,
                show_reasoning=prepared.show_reasoning,
                earlier=prepared.earlier,
                find_fault=prepared.find_fault,
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

    async def step(self, response: ModelResponse) -> None:
        """Record a message that calls tools, and that the calls begin."""
        call = self._unrecorded = self._meter.completed(response)
        answer = Answer(response.parts, call)

        async def write() -> None:
            self.run = await self._record(
                lambda c: recording.record_step(c, self.run, answer, response.tool_calls),
                lambda c: recovery.find_next_step(c, self.run),
            )
            self._progress = self._unrecorded = None
            self._recorded += 1

        await self._to_the_end(write())

    async def result(self, result: ToolResultPart, *, status: str = "finished") -> None:
        """Record how a call ended."""
        await self._to_the_end(
            self._record(
                lambda c: recording.record_result(c, self.run, result, status=status),
                lambda c: recovery.result_is_recorded(c, self.run, result.tool_call_id) or None,
            )
        )
        if self._prepared is not None:
            self._meter.tool_result(result)
        self._recorded += 1

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

        async def write() -> None:
            self.run = await self._record(
                lambda c: recording.record_retry(c, self.run, error.reason, call),
                lambda c: recovery.find_next_step(c, self.run),
            )
            self._progress = self._unrecorded = None

        await self._to_the_end(write())

    def _keeps(self, shown: Sequence[TextPart | ReasoningPart]) -> bool:
        wanted = self._prepared is not None and self._prepared.keeps_cut
        return wanted and any(isinstance(part, TextPart) for part in shown)

    # Endings.

    async def _cut(self, status: str) -> Ending:
        """What was said so far is kept as an incomplete message; a message without any text is not."""
        await self._finish_writing()
        parts = self._shown_parts()
        call = self._aborted("cancelled")
        if call is None or not parts:
            return Ending(status, "cancelled", call=call)
        return Ending(status, "cancelled", answer=Answer(parts, call, status="incomplete"))

    async def _failed(self, error: AIAgentsError) -> Ending:
        await self._finish_writing()
        problem = {"type": "about:blank", "title": type(error).__name__, "detail": str(error), "code": error.code}
        return Ending("failed", error=problem, call=self._aborted("failed", error))

    async def _close(self, ending: Ending) -> Ended | None:
        """Write the ending, whatever happens to this task meanwhile."""
        self._unrecorded = ending.answer.call if ending.answer else ending.call
        if self._prepared is not None:
            ending = replace(ending, notices=tuple(self._prepared.notices))
        needs = None
        if ending.status == "completed" and self._prepared is not None:
            needs = self._prepared.needs(self._recorded + 1)
        task: asyncio.Future[Ended] = asyncio.ensure_future(
            self._record(
                lambda c: recording.end_owned(c, self.run, ending, self._successor(), needs),
                lambda c: recovery.find_ended(c, self.run, self._owner),
            )
        )
        self._writing = task
        foreign: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                foreign = error if self.stopped is None else foreign
        if foreign is not None:
            raise foreign
        try:
            return task.result()
        except LeaseLost:
            return None

    # What a successor does first.

    async def _settle_calls(self) -> bool:
        """Calls that had begun when the former owner died: run again what is safe to, and say of the others
        that nobody knows. Whether there were any.
        """
        open_calls = await self._once_available(
            lambda: self._database.read(lambda c: tool_calls.list_open(c, self.run.id))
        )
        if not open_calls:
            return False
        prepared = await self._once_available(lambda: self.prepare(self.run))
        for call in open_calls:
            if prepared.is_retry_safe(call.name):
                await self.result(await prepared.run_tool(call))
            else:
                unknown = ToolResultPart(call.tool_call_id, call.name, _UNKNOWN, is_error=True)
                await self.result(unknown, status="unknown")
        return True

    async def _note_lost(self) -> None:
        """Where no tool call was under way, the former owner died while the model was asked, or just before."""
        call = self._meter.lost()
        self.run = await self._record(
            lambda c: recording.record_lost(c, self.run, call),
            lambda c: recovery.find_noted(c, self.run, call.id),
        )

    async def _note_of_deleted(self) -> None:
        """A thread that was deleted meanwhile has used its last model call all the same; of a run that another process
        goes on with, that process tells.
        """
        call = self._unrecorded or self._aborted("cancelled")
        if call is not None:
            await self._to_the_end(
                self._record(
                    lambda c: recording.note_of_deleted(c, self.run, call),
                    lambda c: model_calls.exists(c, call.id) or None,
                )
            )

    # What model calls use.

    @property
    def _meter(self) -> Meter:
        assert self._prepared is not None  # noqa: S101  # no model is called before the turn is prepared
        return self._prepared.meter()

    def _aborted(self, outcome: Outcome, error: AIAgentsError | None = None) -> Call | None:
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

    # Writing.

    async def _record(self, work: Callable[[Connection], T], find_recorded: Callable[[Connection], T | None]) -> T:
        """Write until it is written. After a lost answer the database is asked whether it happened."""
        delay_s = 0.05
        while True:
            try:
                return await self._database.write(work, brief=True)
            except DatabaseUnavailable:
                _log.warning("database unavailable, trying again", extra={"run_id": self.run.id})
            while True:
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, 2.0)
                try:
                    recorded = await self._database.read(find_recorded)
                except DatabaseUnavailable:
                    continue
                if recorded is not None:
                    return recorded
                break

    async def _once_available(self, read: Callable[[], Awaitable[T]]) -> T:
        """What was read, once the database is there: a run waits for it as for a slow model, and does not fail."""
        delay_s = 0.05
        while True:
            try:
                return await read()
            except DatabaseUnavailable:
                _log.warning("database unavailable, trying again", extra={"run_id": self.run.id})
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 2.0)

    async def _to_the_end(self, writing: Coroutine[Any, Any, T]) -> T:
        """Finish writing even if this task is cancelled meanwhile; the cancellation travels on after."""
        task = self._writing = asyncio.ensure_future(writing)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await self._finish_writing()
            raise

    async def _finish_writing(self) -> None:
        """Wait for a write under way, however often this task is cancelled."""
        while self._writing is not None and not self._writing.done():
            try:
                await asyncio.wait({self._writing})
            except asyncio.CancelledError:
                if self.stopped is None:
                    raise
