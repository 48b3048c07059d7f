"""One turn: a run in this process, from its preparation to the one way in which it ends.

Messages that join the run are taken between two calls of the model; the turn is then prepared anew, as it is for a run
that was taken over.
"""

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import Literal

from ai_agents.bus.base import Channel
from ai_agents.core.exceptions import AIAgentsError, GuardrailBlocked, ProviderError, RunInterrupted
from ai_agents.core.log_context import log_with
from ai_agents.core.problems import problem_of
from ai_agents.core.types import ModelResponse, TextPart, ToolCallPart, ToolResultPart
from ai_agents.runner.ending import Answered, EndedRun, RunEnding
from ai_agents.runner.loop import Loop, Steered, at_once
from ai_agents.runner.ownership import ProcessOwner, RunOrigin, TurnInputs
from ai_agents.runner.preparation import TurnPreparer
from ai_agents.runner.prepared_turn import PreparedTurn
from ai_agents.runner.progress import ProgressClock
from ai_agents.runner.recorder import Stop, StopKind, TurnRecorder
from ai_agents.runner.recording import Answer
from ai_agents.runner.run_span import NO_SPAN, RunSpan
from ai_agents.store import tool_calls
from ai_agents.store.database import Database
from ai_agents.store.runs import LeaseLost, OwnedRun

_UNKNOWN = "Whether this call had its effect is unknown: the process that ran it died. It was not run again."
_LEFT_OUT = " Later requests leave this message out."
_log = logging.getLogger(__name__)


class Turn:
    """A run that this process executes. `inputs` are what was read of it already."""

    def __init__(
        self,
        run: OwnedRun,
        *,
        database: Database,
        channel: Channel,
        preparer: TurnPreparer,
        owner: ProcessOwner,
        origin: RunOrigin,
        inputs: TurnInputs | None = None,
    ) -> None:
        self._stop = Stop()
        # A task that is cancelled before its first step never runs at all: until then a stop is only noted.
        self.begun = False
        # The end of the run, or its first answer after which it goes on.
        self.answered: asyncio.Future[EndedRun | Answered | None] = asyncio.get_running_loop().create_future()
        self.preparer = preparer
        self._database = database
        self._origin = origin
        self._inputs = inputs
        self._span = NO_SPAN
        self._recorder = TurnRecorder(run, database, channel, owner, self._stop)

    @property
    def run(self) -> OwnedRun:
        """The run as it was recorded last."""
        return self._recorder.run

    @property
    def stopped(self) -> StopKind | None:
        """Why this process stopped the run; None where it did not."""
        return self._stop.kind

    def stop(self, kind: StopKind) -> None:
        """Note why the task is about to be cancelled; the first reason counts."""
        if self._stop.kind is None:
            self._stop.kind = kind

    async def execute(self) -> EndedRun | None:
        """Run to the end; None where the run waits, or has another owner. A cancellation that is no stop is raised."""
        self._span = RunSpan(self.run, self._origin)
        ended: EndedRun | None = None
        try:
            with self._span.within():
                ended = await self._execute()
                if ended is None:
                    await self._recorder.call_of_deleted_run()
            return ended
        finally:
            self._recorder.close()
            self._span.end(ended, left=self.stopped)

    async def _execute(self) -> EndedRun | None:
        self.begun = True
        log_with(run_id=self.run.id, thread_id=self.run.thread_id)
        while (ending := await self._find_ending()) is not None:
            ended = await self._recorder.end(ending)
            if not isinstance(ended, Answered):
                return ended
            self._prepare_again()
            if not self.answered.done():
                self.answered.set_result(ended)
        return None

    async def _find_ending(self) -> RunEnding | None:
        """How the run ends, or would end if no message had joined it; None where it waits, or has another owner."""
        try:
            if self.stopped is not None:
                raise asyncio.CancelledError
            ending = await self._answer()
            if ending is None:
                if await self._recorder.wait_for_approvals():
                    return None
                self.stop("cancel")
                raise asyncio.CancelledError
        except LeaseLost:
            return None
        except asyncio.CancelledError:
            if self.stopped is None:
                raise
            if self.stopped != "cancel":
                return None
            ending = await self._cancelled()
        except GuardrailBlocked as error:
            ending = await self._blocked(error)
        except AIAgentsError as error:
            ending = await self._failed(error)
        except Exception:  # noqa: BLE001  # the edge of a run: whatever happens in it, the thread stays usable
            _log.exception("run failed", extra={"run_id": self.run.id, "thread_id": self.run.thread_id})
            ending = await self._failed(RunInterrupted("The run failed for a reason that is in the log."))
        return ending

    async def _answer(self) -> RunEnding | None:
        """How the run ends; None where it has to wait for approvals, or for results of the client."""
        settled = await self._settle_calls() if self._origin in ("lost", "resumed") else "nothing"
        if settled == "waiting":
            return None
        await self._recorder.take_steered()
        prepared = await self._prepare(self._inputs)
        if self._origin == "lost" and settled == "nothing":
            # No tool call was under way, so the former owner died while it asked the model.
            await self._recorder.lost_call()
        while (answered := await self._ask(prepared)) == "steered":
            self._prepare_again()
            prepared = await self._prepare()
        if answered is None:
            return None
        if isinstance(answered, Answer):
            return RunEnding("completed", "cut", answer=answered)
        answer = Answer(answered.parts, prepared.meter.completed(answered))
        return RunEnding("completed", answered.stop_reason, answer=answer)

    async def _ask(self, prepared: PreparedTurn) -> ModelResponse | Answer | Steered | None:
        clock = ProgressClock(prepared.limits.run_time_s)
        async with clock.watch():
            return await Loop(prepared, self._recorder, clock).run()

    def _prepare_again(self) -> None:
        """Messages have joined the run, and the rights of their authors were checked: everything is read anew."""
        self._origin, self._inputs = "steered", None

    async def _prepare(self, inputs: TurnInputs | None = None) -> PreparedTurn:
        prepared = await self._recorder.writes.once_available(
            lambda: self.preparer.prepare(self.run, inputs, has_waited=self._origin not in ("admitted", "steered"))
        )
        self._recorder.start(prepared)
        self._span.note_prepared(prepared.models.current.inputs)
        return prepared

    # Endings.

    async def _cancelled(self) -> RunEnding:
        """The text so far is kept as an incomplete message; without any text there is no message."""
        await self._recorder.writes.finish()
        parts = self._recorder.shown_parts()
        call = self._recorder.aborted_call("cancelled")
        if call is None or not parts:
            return RunEnding("cancelled", "cancelled", call=call)
        return RunEnding("cancelled", "cancelled", answer=Answer(parts, call, status="incomplete"))

    async def _failed(self, error: AIAgentsError) -> RunEnding:
        await self._recorder.writes.finish()
        problem, refused = problem_of(error), self._recorder.is_refused(error)
        if refused:
            problem["detail"] += _LEFT_OUT
        call = self._recorder.aborted_call("failed", error)
        upstream = error.upstream if isinstance(error, ProviderError) else None
        return RunEnding("failed", error=problem, call=call, refused=refused, upstream=upstream)

    async def _blocked(self, error: GuardrailBlocked) -> RunEnding:
        """The text that was allowed before is kept as an incomplete message."""
        ending = await self._failed(error)
        shown = self._recorder.shown_parts()
        if ending.call is None or not any(isinstance(part, TextPart) for part in shown):
            return ending
        return replace(ending, call=None, answer=Answer(shown, ending.call, status="incomplete"))

    # Tool calls of an earlier owner.

    async def _settle_calls(self) -> Literal["nothing", "settled", "waiting"]:
        """Bring the open tool calls to an end: approved ones are made, and begun ones if they may be made twice.

        Of other begun calls the result says that it is unknown. "waiting": some calls still wait.
        """
        open_calls = await self._recorder.writes.once_available(
            lambda: self._database.read(lambda c: tool_calls.list_open(c, self.run.id))
        )
        if not open_calls:
            return "nothing"
        prepared = await self._prepare()
        again: list[ToolCallPart] = []
        for each in open_calls:
            if each.status == "started" and not prepared.is_retry_safe(each.call.name):
                unknown = ToolResultPart(each.call.tool_call_id, each.call.name, _UNKNOWN, is_error=True)
                await self._recorder.result(unknown, status="unknown")
            elif each.status == "started":
                again.append(each.call)
        calls = [*again, *await self._recorder.start_approved(again)]
        await at_once(calls, partial(self._make_call, prepared))
        return "waiting" if any(each.waits for each in open_calls) else "settled"

    async def _make_call(self, prepared: PreparedTurn, call: ToolCallPart) -> None:
        await self._recorder.result(await prepared.run_tool(call))
