"""Records one turn: each step, each result and the ending, and the text that readers are shown meanwhile.

Every write goes on to its end even if the task is cancelled. Then it is noted in `run`, so that the ending always knows
what the database holds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection

from ai_agents.bus.base import Channel, TextInProgress
from ai_agents.context.notices import merge_notices
from ai_agents.core import tracing
from ai_agents.core.exceptions import AIAgentsError, DatabaseUnavailable, ProviderError
from ai_agents.core.notices import Notice
from ai_agents.core.rows import Upstream
from ai_agents.core.types import ModelResponse, ReasoningPart, TextPart, ToolCallPart, ToolCallStatus, ToolResultPart
from ai_agents.guardrails.base import Finding
from ai_agents.providers.refusals import is_about_content
from ai_agents.runner.decisions import record_waiting, start_approved
from ai_agents.runner.ending import Answered, EndedRun, RunEnding, end_owned
from ai_agents.runner.ownership import ProcessOwner
from ai_agents.runner.prepared_turn import PreparedTurn
from ai_agents.runner.recording import (
    MAX_ATTEMPTS,
    Answer,
    record_call,
    record_call_of_deleted_run,
    record_result,
    record_retry,
    record_step,
)
from ai_agents.runner.recovery import (
    find_ended,
    find_joined,
    find_next_step,
    find_noted,
    find_result,
    find_started,
    is_waiting,
)
from ai_agents.runner.steering import take
from ai_agents.store import model_calls
from ai_agents.store.database import Database
from ai_agents.store.model_calls import CallRecord, CallStatus
from ai_agents.store.runs import LeaseLost, OwnedRun

T = TypeVar("T")
StopKind = Literal["cancel", "hand_over", "lease_lost"]
_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 2.0
_log = logging.getLogger(__name__)


class Stop:
    """Why this process stops a run, once it does."""

    def __init__(self) -> None:
        self.kind: StopKind | None = None


class Writes:
    """Writes and reads that wait until the database is there.

    Once this process has stopped the run on purpose (`stop`), a cancellation does not end a write.
    """

    def __init__(self, database: Database, run_id: str, stop: Stop) -> None:
        self._database = database
        self._run_id = run_id
        self._stop = stop
        self._under_way: asyncio.Future[Any] | None = None

    async def record(self, work: Callable[[Connection], T], find_recorded: Callable[[Connection], T | None]) -> T:
        """Write until it is committed. `find_recorded` looks whether a commit happened whose answer was lost."""
        delays = _delays()
        while True:
            try:
                return await self._database.write(work)
            except DatabaseUnavailable as error:
                self._log_unavailable(error)
            await asyncio.sleep(next(delays))
            recorded = await self.once_available(lambda: self._database.read(find_recorded), delays)
            if recorded is not None:
                return recorded

    async def once_available(self, read: Callable[[], Awaitable[T]], delays: Iterator[float] | None = None) -> T:
        """The result of a read, once the database is there: a run waits for it as for a slow model."""
        delays = delays or _delays()
        while True:
            try:
                return await read()
            except DatabaseUnavailable as error:
                self._log_unavailable(error)
            await asyncio.sleep(next(delays))

    async def to_the_end(self, writing: Coroutine[Any, Any, T]) -> T:
        """Finish writing even if this task is cancelled meanwhile; then raise the cancellation."""
        task = self._under_way = asyncio.ensure_future(writing)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await self.finish()
            raise

    async def finish(self) -> None:
        """Wait for a write under way, even if this task is cancelled again and again."""
        while self._under_way is not None and not self._under_way.done():
            try:
                await asyncio.wait({self._under_way})
            except asyncio.CancelledError:
                if self._stop.kind is None:
                    raise

    async def last(self, writing: Coroutine[Any, Any, T]) -> T:
        """Finish writing even if this task is cancelled meanwhile; then raise a cancellation that was no stop."""
        task: asyncio.Future[T] = asyncio.ensure_future(writing)
        self._under_way = task
        foreign: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                foreign = error if self._stop.kind is None else foreign
        if foreign is not None:
            raise foreign
        return task.result()

    def _log_unavailable(self, error: DatabaseUnavailable) -> None:
        _log.warning(
            "database unavailable, trying again", extra={"run_id": self._run_id, **self._database.explain(error)}
        )


def _delays() -> Iterator[float]:
    delay_s = _FIRST_DELAY_S
    while True:
        yield delay_s
        delay_s = min(delay_s * 2, _LONGEST_DELAY_S)


class TurnRecorder:
    """The record of one turn. `prepared` is set once the turn is prepared, before any model or tool is called.

    `stop` tells whether this process stopped the run on purpose. It is no method of the turn: a circle of objects would
    wait for the garbage collector, with all messages of the turn.
    """

    def __init__(self, run: OwnedRun, database: Database, channel: Channel, owner: ProcessOwner, stop: Stop) -> None:
        self.run = run
        self.channel = channel
        self.prepared: PreparedTurn | None = None
        self._owner = owner
        self.writes = Writes(database, run.id, stop)
        self._progress: TextInProgress | None = None
        # A model call that is over and not recorded yet.
        self._unrecorded: CallRecord | None = None
        # Messages that were recorded since the turn was prepared.
        self._recorded = 0
        # As far as is known: messages that came since the last write are seen by the next one.
        self._has_steered = run.steered > 0

    def start(self, prepared: PreparedTurn) -> None:
        """The turn is prepared, perhaps once more."""
        self.close()
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

    def drop_message(self) -> None:
        """The model call for the message that began was not made."""
        self._progress = None

    def close(self) -> None:
        """The turn is over: no call of it is under way."""
        if self.prepared is not None and self.prepared.account is not None:
            self.prepared.account.close()

    async def step(self, response: ModelResponse, waiting: Mapping[str, ToolCallStatus]) -> None:
        """Record a message that calls tools. The calls begin, except those with an id in `waiting`."""
        call = self._unrecorded = self._turn.meter.completed(response)
        answer = Answer(response.parts, call)
        findings = self._turn.take_findings()
        await self._advance(
            lambda c: record_step(c, self.run, answer, response.tool_calls, waiting=waiting, findings=findings),
            lambda c: find_next_step(c, self.run),
        )
        self._recorded += 1

    async def result(self, result: ToolResultPart, *, status: ToolCallStatus = "finished") -> None:
        """Record how a tool call ended."""
        findings = self._turn.take_findings()
        waiting = await self._write(
            lambda c: record_result(c, self.run, result, status=status, findings=findings),
            lambda c: find_result(c, self.run, result.tool_call_id),
        )
        self._has_steered = self._has_steered or waiting > 0
        self._turn.meter.tool_result(result)
        self._recorded += 1

    async def take_steered(self) -> bool:
        """Let messages that wait join the run here, between two model calls; False if there are none.

        The turn is to be prepared again afterwards.
        """
        if not self._has_steered:
            return False
        self._has_steered = False
        notices = self._notices()
        await self._advance(lambda c: take(c, self.run, notices), lambda c: find_joined(c, self.run))
        return True

    async def empty_answer(self, response: ModelResponse) -> None:
        """Record a model call that said nothing. Its message goes on: there is no text to be void."""
        call = self._unrecorded = self._turn.meter.completed(response)
        await self._advance(lambda c: record_call(c, self.run, call), lambda c: find_noted(c, self.run, call.id))

    async def retry(self, error: ProviderError, *, is_final: bool = False) -> Answer | None:
        """Void the message in progress and begin the next attempt.

        Where the agent keeps answers that break off, the incomplete answer is returned instead. Raises `error` where it
        is final, and after the last attempt.
        """
        shown = self.shown_parts()
        call = self._turn.meter.aborted("failed", shown, error)
        if self._turn.keeps_cut and any(isinstance(part, TextPart) for part in shown):
            return Answer(shown, call, status="incomplete")
        if is_final or self.run.attempt >= MAX_ATTEMPTS:
            raise error
        tracing.note(tracing.ANSWER_VOID, {tracing.REASON: error.reason})
        self._unrecorded = call
        self._turn.take_findings()  # they belong to the void message
        await self._advance(
            lambda c: record_retry(c, self.run, error.reason, call), lambda c: find_next_step(c, self.run)
        )
        return None

    # What the turn records.

    async def wait_for_approvals(self) -> bool:
        """Let the run wait for its approvals and the client, without an owner; False if it is to be cancelled."""
        approval_s, notices = self._turn.approval_s, self._notices()
        return await self._write(
            lambda c: record_waiting(c, self.run, approval_s=approval_s, notices=notices),
            lambda c: is_waiting(c, self.run) or None,
        )

    async def start_approved(self, again: Sequence[ToolCallPart]) -> list[ToolCallPart]:
        """Record that the approved calls begin; the calls. `again` are those that had begun before."""
        begun = {call.tool_call_id for call in again}
        return await self._write(
            lambda c: start_approved(c, self.run), lambda c: find_started(c, self.run, besides=begun)
        )

    async def lost_call(self) -> None:
        """Record the model call that was under way when the run's former process died."""
        call = self._turn.meter.lost()
        await self._advance(lambda c: record_call(c, self.run, call), lambda c: find_noted(c, self.run, call.id))

    async def end(self, ending: RunEnding) -> EndedRun | Answered | None:
        """Record the ending, even if this task is cancelled meanwhile; None where the run has another owner.

        Where it goes on instead, `run` is what the database holds then.
        """
        self._unrecorded = ending.answer.call if ending.answer else ending.call
        ending = replace(
            ending,
            notices=self._notices(),
            findings=self._take_findings(),
            upstream=ending.upstream or self._upstream(),
        )
        needed = None
        if ending.status == "completed" and self.prepared is not None:
            needed = self.prepared.needed_jobs(self._recorded + 1)
        writing = self.writes.record(
            lambda c: end_owned(c, self.run, ending, self._owner.lease, needed),
            lambda c: find_ended(c, self.run, self._owner.name),
        )
        try:
            ended = await self.writes.last(writing)
        except LeaseLost:
            return None
        if isinstance(ended, Answered):
            self.run = ended.owned
            self._progress = self._unrecorded = None
            self._has_steered = False
        return ended

    async def call_of_deleted_run(self) -> None:
        """Record the last model call of a run that was deleted with its thread; only its price is left to record.

        A run that has another owner is left to that owner.
        """
        call = self._unrecorded or self.aborted_call("cancelled")
        if call is not None:
            await self._write(
                lambda c: record_call_of_deleted_run(c, self.run, call),
                lambda c: model_calls.exists(c, call.id) or None,
            )

    async def _advance(
        self, work: Callable[[Connection], OwnedRun], find_recorded: Callable[[Connection], OwnedRun | None]
    ) -> None:
        """Write what ends the message in progress; `run` is what the database holds then."""

        async def write() -> None:
            self.run = await self.writes.record(work, find_recorded)
            self._progress = self._unrecorded = None

        await self.writes.to_the_end(write())

    async def _write(self, work: Callable[[Connection], T], find_recorded: Callable[[Connection], T | None]) -> T:
        return await self.writes.to_the_end(self.writes.record(work, find_recorded))

    # What the turn asks.

    def aborted_call(self, status: CallStatus, error: AIAgentsError | None = None) -> CallRecord | None:
        """The model call under way, as it ends now; None where there is none."""
        if self._progress is None:
            return None
        return self._turn.meter.aborted(status, self.shown_parts(), error)

    def is_refused(self, error: AIAgentsError) -> bool:
        """Whether the provider would refuse every request with what this run added to the thread.

        Where it does not say why it refuses, the reason is a new file, or what the turn added since the model last
        answered: it took the request before. A first request without files is refused for other reasons.
        """
        about_content = isinstance(error, ProviderError) and is_about_content(error)
        if about_content is None and self.prepared is not None:
            return self._recorded > 0 or self.prepared.has_answered or self.prepared.has_new_files
        return bool(about_content)

    def shown_parts(self) -> list[TextPart | ReasoningPart]:
        """The parts of the message in progress, as far as readers were shown them."""
        if self._progress is None:
            return []
        return [
            TextPart(segment.text) if segment.kind == "text" else ReasoningPart(segment.text)
            for segment in self._progress.since(1)
        ]

    @property
    def _turn(self) -> PreparedTurn:
        assert self.prepared is not None  # noqa: S101  # no model or tool is called before the turn is prepared
        return self.prepared

    def _notices(self) -> tuple[Notice, ...]:
        return merge_notices(self.run.notices, () if self.prepared is None else self.prepared.notices)

    def _upstream(self) -> Upstream | None:
        failure = None if self.prepared is None else self.prepared.models.last_failure
        return None if failure is None else failure.upstream

    def _take_findings(self) -> tuple[Finding, ...]:
        return () if self.prepared is None else self.prepared.take_findings()
