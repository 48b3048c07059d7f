"""One turn: a run in this process, from its preparation to the one way in which it ends."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ai_agents.bus.base import Channel
from ai_agents.core.exceptions import AIAgentsError, GuardrailBlocked, RunInterrupted, RunTimeout
from ai_agents.core.rows import Problem
from ai_agents.core.types import TextPart, ToolCallPart, ToolResultPart
from ai_agents.runner.follow_up import RunOrigin
from ai_agents.runner.inputs import TurnInputs
from ai_agents.runner.loop import Loop
from ai_agents.runner.ownership import ProcessOwner
from ai_agents.runner.preparation import TurnPreparer
from ai_agents.runner.prepared_turn import PreparedTurn
from ai_agents.runner.recorder import TurnRecorder
from ai_agents.runner.recording import Answer, EndedRun, RunEnding
from ai_agents.store import tool_calls
from ai_agents.store.database import Database
from ai_agents.store.runs import LeaseLost, OwnedRun

StopKind = Literal["cancel", "hand_over", "lease_lost"]
_UNKNOWN = "Whether this call had its effect is unknown: the process that ran it died. It was not run again."
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
        self.stopped: StopKind | None = None
        # A task that is cancelled before its first step never runs at all: until then a stop is only noted.
        self.begun = False
        self.preparer = preparer
        self._database = database
        self._origin = origin
        self._inputs = inputs
        self._recorder = TurnRecorder(run, database, channel, owner, is_stopped=lambda: self.stopped is not None)

    @property
    def run(self) -> OwnedRun:
        """The run as it was recorded last."""
        return self._recorder.run

    def stop(self, kind: StopKind) -> None:
        """Note why the task is about to be cancelled; the first reason counts."""
        if self.stopped is None:
            self.stopped = kind

    async def execute(self) -> EndedRun | None:
        """Run to the end; None where the run waits, or has another owner. A cancellation that is no stop is raised."""
        ended = await self._execute()
        if ended is None:
            await self._recorder.call_of_deleted_run()
        return ended

    async def _execute(self) -> EndedRun | None:
        self.begun = True
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
        return await self._recorder.end(ending)

    async def _answer(self) -> RunEnding | None:
        """How the run ends; None where it has to wait for approvals."""
        settled = "nothing" if self._origin == "admitted" else await self._settle_calls()
        if settled == "waiting":
            return None
        prepared = await self._prepare(self._inputs)
        try:
            if self._origin == "lost" and settled == "nothing":
                # No tool call was under way, so the former owner died while it asked the model.
                await self._recorder.lost_call()
            async with asyncio.timeout(prepared.limits.run_time_s):
                answered = await Loop(prepared, self._recorder).run()
        except TimeoutError as error:
            raise RunTimeout(f"The run took longer than {prepared.limits.run_time_s:g} s.") from error
        if answered is None:
            return None
        if isinstance(answered, Answer):
            return RunEnding("completed", "cut", answer=answered)
        answer = Answer(answered.parts, prepared.meter.completed(answered))
        return RunEnding("completed", answered.stop_reason, answer=answer)

    async def _prepare(self, inputs: TurnInputs | None = None) -> PreparedTurn:
        prepared = await self._recorder.once_available(lambda: self.preparer.prepare(self.run, inputs))
        self._recorder.start(prepared)
        return prepared

    # Endings.

    async def _cancelled(self) -> RunEnding:
        """The text so far is kept as an incomplete message; without any text there is no message."""
        await self._recorder.finish_writes()
        parts = self._recorder.shown_parts()
        call = self._recorder.aborted_call("cancelled")
        if call is None or not parts:
            return RunEnding("cancelled", "cancelled", call=call)
        return RunEnding("cancelled", "cancelled", answer=Answer(parts, call, status="incomplete"))

    async def _failed(self, error: AIAgentsError) -> RunEnding:
        await self._recorder.finish_writes()
        problem: Problem = {
            "type": "about:blank",
            "title": type(error).__name__,
            "detail": str(error),
            "code": error.code,
        }
        return RunEnding("failed", error=problem, call=self._recorder.aborted_call("failed", error))

    async def _blocked(self, error: GuardrailBlocked) -> RunEnding:
        """The text that was allowed before is kept as an incomplete message."""
        ending = await self._failed(error)
        shown = self._recorder.shown_parts()
        assert ending.error is not None  # noqa: S101  # a failed run has one
        problem: Problem = {**ending.error, "guardrail": error.guardrail, "stage": error.stage}
        if ending.call is None or not any(isinstance(part, TextPart) for part in shown):
            return replace(ending, error=problem)
        return replace(ending, error=problem, call=None, answer=Answer(shown, ending.call, status="incomplete"))

    # Tool calls of an earlier owner.

    async def _settle_calls(self) -> Literal["nothing", "settled", "waiting"]:
        """Bring the open tool calls to an end: approved ones are made, and begun ones if they may be made twice.

        Of other begun calls the result says that it is unknown. "waiting": some calls still wait for approvals.
        """
        open_calls = await self._recorder.once_available(
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
        await self._make_calls(prepared, [*again, *await self._recorder.start_approved(again)])
        return "waiting" if any(each.status == "waiting" for each in open_calls) else "settled"

    async def _make_calls(self, prepared: PreparedTurn, calls: Sequence[ToolCallPart]) -> None:
        async def make(call: ToolCallPart) -> None:
            await self._recorder.result(await prepared.run_tool(call))

        try:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(make(call))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
