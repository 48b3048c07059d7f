"""Records one turn: each step, each result and the ending, and the text that readers are shown meanwhile.

Every write goes on to its end even if the task is cancelled. Then it is noted in `run`, so that the ending always knows
what the database holds.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from ai_agents.bus.base import Channel
from ai_agents.bus.progress import TextInProgress
from ai_agents.context.compaction import merge_notices
from ai_agents.core.exceptions import AIAgentsError, ProviderError
from ai_agents.core.rows import Notice
from ai_agents.core.types import ModelResponse, ReasoningPart, TextPart, ToolCallPart, ToolCallStatus, ToolResultPart
from ai_agents.guardrails.base import Finding
from ai_agents.runner.approvals import record_waiting, start_approved
from ai_agents.runner.ownership import ProcessOwner
from ai_agents.runner.prepared_turn import PreparedTurn
from ai_agents.runner.recording import (
    MAX_ATTEMPTS,
    Answer,
    EndedRun,
    RunEnding,
    end_owned,
    record_call_of_deleted_run,
    record_lost,
    record_result,
    record_retry,
    record_step,
)
from ai_agents.runner.recovery import (
    find_ended,
    find_next_step,
    find_noted,
    find_started,
    is_waiting,
    result_is_recorded,
)
from ai_agents.runner.writes import Writes
from ai_agents.store import model_calls
from ai_agents.store.database import Database
from ai_agents.store.model_calls import CallRecord, CallStatus
from ai_agents.store.runs import LeaseLost, OwnedRun

T = TypeVar("T")


class TurnRecorder:
    """The record of one turn. `prepared` is set once the turn is prepared, before any model or tool is called.

    `is_stopped` tells whether this process stopped the run on purpose.
    """

    def __init__(
        self,
        run: OwnedRun,
        database: Database,
        channel: Channel,
        owner: ProcessOwner,
        *,
        is_stopped: Callable[[], bool],
    ) -> None:
        self.run = run
        self.channel = channel
        self.prepared: PreparedTurn | None = None
        self._owner = owner
        self._writes = Writes(database, run.id, is_stopped=is_stopped)
        self._progress: TextInProgress | None = None
        # A model call that is over and not recorded yet.
        self._unrecorded: CallRecord | None = None
        # Messages that were recorded since the turn was prepared.
        self._recorded = 0

    def start(self, prepared: PreparedTurn) -> None:
        """The turn is prepared."""
        self.prepared = prepared
        self._recorded = 0

    # What the loop records.

    def begin_message(self) -> TextInProgress:
        """Let readers see the text of the next message while it comes."""
        run = self.run
        progress = self._progress = TextInProgress(
            run_id=run.id, fence=run.fence, message_id=run.message_id, base_seq=run.reset_seq
        )
        self.channel.begin(progress)
        return progress

    async def step(self, response: ModelResponse, waiting: Collection[str]) -> None:
        """Record a message that calls tools. The calls begin, except those with an id in `waiting`."""
        call = self._unrecorded = self._turn.meter.completed(response)
        answer = Answer(response.parts, call)
        findings = self._turn.take_findings()

        async def write() -> None:
            self.run = await self._writes.record(
                lambda c: record_step(c, self.run, answer, response.tool_calls, waiting=waiting, findings=findings),
                lambda c: find_next_step(c, self.run),
            )
            self._progress = self._unrecorded = None
            self._recorded += 1

        await self._writes.to_the_end(write())

    async def result(self, result: ToolResultPart, *, status: ToolCallStatus = "finished") -> None:
        """Record how a tool call ended."""
        findings = self._turn.take_findings()
        await self._writes.to_the_end(
            self._writes.record(
                lambda c: record_result(c, self.run, result, status=status, findings=findings),
                lambda c: result_is_recorded(c, self.run, result.tool_call_id) or None,
            )
        )
        self._turn.meter.tool_result(result)
        self._recorded += 1

    async def retry(self, error: ProviderError) -> Answer | None:
        """Void the message in progress and begin the next attempt.

        Where the agent keeps answers that break off, the incomplete answer is returned instead. Raises `error` after
        the last attempt.
        """
        shown = self.shown_parts()
        call = self._turn.meter.aborted("failed", shown, error)
        if self._turn.keeps_cut and any(isinstance(part, TextPart) for part in shown):
            return Answer(shown, call, status="incomplete")
        if self.run.attempt >= MAX_ATTEMPTS:
            raise error
        self._unrecorded = call
        self._turn.take_findings()  # they belong to the void message

        async def write() -> None:
            self.run = await self._writes.record(
                lambda c: record_retry(c, self.run, error.reason, call),
                lambda c: find_next_step(c, self.run),
            )
            self._progress = self._unrecorded = None

        await self._writes.to_the_end(write())
        return None

    # What the turn records.

    async def wait_for_approvals(self) -> bool:
        """Let the run wait for its approvals, without an owner; False if it is to be cancelled instead."""
        wait_s, notices = self._turn.limits.approval_s, self._notices()
        return await self._writes.to_the_end(
            self._writes.record(
                lambda c: record_waiting(c, self.run, wait_s=wait_s, notices=notices),
                lambda c: is_waiting(c, self.run) or None,
            )
        )

    async def start_approved(self, again: Sequence[ToolCallPart]) -> list[ToolCallPart]:
        """Record that the approved calls begin; the calls. `again` are those that had begun before."""
        begun = {call.tool_call_id for call in again}
        return await self._writes.to_the_end(
            self._writes.record(
                lambda c: start_approved(c, self.run),
                lambda c: find_started(c, self.run, besides=begun),
            )
        )

    async def lost_call(self) -> None:
        """Record the model call that was under way when the run's former process died."""
        call = self._turn.meter.lost()

        async def write() -> None:
            self.run = await self._writes.record(
                lambda c: record_lost(c, self.run, call),
                lambda c: find_noted(c, self.run, call.id),
            )

        await self._writes.to_the_end(write())

    async def end(self, ending: RunEnding) -> EndedRun | None:
        """Record the ending, even if this task is cancelled meanwhile; None where the run has another owner."""
        self._unrecorded = ending.answer.call if ending.answer else ending.call
        ending = replace(ending, notices=self._notices(), findings=self._take_findings())
        needed = None
        if ending.status == "completed" and self.prepared is not None:
            needed = self.prepared.needed_jobs(self._recorded + 1)
        writing = self._writes.record(
            lambda c: end_owned(c, self.run, ending, self._owner.lease, needed),
            lambda c: find_ended(c, self.run, self._owner.name),
        )
        try:
            return await self._writes.last(writing)
        except LeaseLost:
            return None

    async def call_of_deleted_run(self) -> None:
        """Record the last model call of a run that was deleted with its thread; only its price is left to record.

        A run that has another owner is left to that owner.
        """
        call = self._unrecorded or self.aborted_call("cancelled")
        if call is not None:
            await self._writes.to_the_end(
                self._writes.record(
                    lambda c: record_call_of_deleted_run(c, self.run, call),
                    lambda c: model_calls.exists(c, call.id) or None,
                )
            )

    # What the turn asks.

    async def once_available(self, read: Callable[[], Awaitable[T]]) -> T:
        """The result of a read, repeated until the database is there."""
        return await self._writes.once_available(read)

    async def finish_writes(self) -> None:
        """Wait for a write under way."""
        await self._writes.finish()

    def aborted_call(self, status: CallStatus, error: AIAgentsError | None = None) -> CallRecord | None:
        """The model call under way, as it ends now; None where there is none."""
        if self._progress is None:
            return None
        return self._turn.meter.aborted(status, self.shown_parts(), error)

    def shown_parts(self) -> list[TextPart | ReasoningPart]:
        """The parts of the message in progress, as far as readers were shown them."""
        if self._progress is None:
            return []
        return [
            TextPart(piece.text) if piece.kind == "text" else ReasoningPart(piece.text)
            for piece in self._progress.since(1)
        ]

    @property
    def _turn(self) -> PreparedTurn:
        assert self.prepared is not None  # noqa: S101  # no model or tool is called before the turn is prepared
        return self.prepared

    def _notices(self) -> tuple[Notice, ...]:
        return merge_notices(self.run.notices, () if self.prepared is None else self.prepared.notices)

    def _take_findings(self) -> tuple[Finding, ...]:
        return () if self.prepared is None else self.prepared.take_findings()
