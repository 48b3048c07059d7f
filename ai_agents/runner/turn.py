"""One turn: a run in this process, from its preparation to the one way in which it ends.

Its loop asks the model, runs the tools that the model calls, and asks again. Messages that join the run are taken
between two calls of the model; the turn is then prepared anew, as it is for a run that was taken over.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, TypeVar

from ai_agents.bus.base import Channel
from ai_agents.core import json
from ai_agents.core.exceptions import (
    AIAgentsError,
    BudgetExceeded,
    GuardrailBlocked,
    InvalidOutput,
    ProviderError,
    ProviderRejected,
    RunInterrupted,
    ToolLoopLimit,
)
from ai_agents.core.ids import new_tool_call_id
from ai_agents.core.log_context import log_with
from ai_agents.core.problems import problem_of
from ai_agents.core.types import (
    ModelMessage,
    ModelResponse,
    Part,
    PartDelta,
    TextPart,
    ToolCallPart,
    ToolCallStatus,
    ToolResultPart,
)
from ai_agents.memory.turns import shrink_to_newest_turn
from ai_agents.providers.fallback import BegunStream
from ai_agents.providers.retry import ends_again
from ai_agents.providers.spans import note_response
from ai_agents.runner.ending import Answered, EndedRun, RunEnding
from ai_agents.runner.ownership import ProcessOwner, RunOrigin, TurnInputs
from ai_agents.runner.preparation import PreparedTurn, TurnPreparer
from ai_agents.runner.progress import ProgressClock
from ai_agents.runner.recorder import Stop, StopKind, TurnRecorder
from ai_agents.runner.recording import Answer
from ai_agents.runner.run_span import NO_SPAN, RunSpan
from ai_agents.runner.shown_answer import ShownAnswer
from ai_agents.store import tool_calls
from ai_agents.store.database import Database
from ai_agents.store.runs import LeaseLost, OwnedRun
from ai_agents.tools.schema import OutputFault

T = TypeVar("T")
_Steered = Literal["steered"]
_UNKNOWN = "Whether this call had its effect is unknown: the process that ran it died. It was not run again."
_CORRECTION = "{} Answer again, with nothing but JSON that fits the schema."
# Calls of one run that are made at once: each records its result, and the runs of others wait for the database, too.
_CALLS_AT_ONCE = 16
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

    async def _ask(self, prepared: PreparedTurn) -> ModelResponse | Answer | _Steered | None:
        clock = ProgressClock(prepared.limits.run_time_s)
        async with clock.watch():
            return await Loop(prepared, self._recorder, clock).run()

    def _prepare_again(self) -> None:
        """Messages have joined the run, whose authors were asked for their right: what was read before is old."""
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
        await _at_once(calls, partial(self._make_call, prepared))
        return "waiting" if any(each.waits for each in open_calls) else "settled"

    async def _make_call(self, prepared: PreparedTurn, call: ToolCallPart) -> None:
        await self._recorder.result(await prepared.run_tool(call))


class Loop:
    """The rounds of one turn. Rounds, and calls that are made again and again, count from the newest user's message."""

    def __init__(self, turn: PreparedTurn, recorder: TurnRecorder, clock: ProgressClock) -> None:
        self._turn = turn
        self._recorder = recorder
        self._clock = clock
        self._request = turn.request
        newest = shrink_to_newest_turn(turn.earlier)
        self._rounds = sum(1 for message in newest if self._is_round(message.parts))
        self._seen = Counter(map(_fingerprint, _calls_in(newest)))
        self._ids = {call.tool_call_id for call in _calls_in(turn.earlier)}

    async def run(self) -> ModelResponse | Answer | _Steered | None:
        """The response that ends the turn: the first one without tool calls and without a fault.

        An `Answer` is one that broke off and is kept; "steered" means that messages have joined the run, None that tool
        calls wait, for a person or the client.
        Raises `ToolLoopLimit`, `ProviderError` (`InvalidOutput` among them), `GuardrailBlocked`, `BudgetExceeded`,
        `LeaseLost`.
        """
        while True:
            response = await self._ask()
            if isinstance(response, Answer):
                return response
            calls = response.tool_calls
            if not calls:
                fault = self._turn.find_fault(response.text)
                if fault is None:
                    return response
                await self._correct(response, fault)
                continue
            self._rounds += self._is_round(calls)
            if self._rounds > self._turn.tool_rounds:
                raise ToolLoopLimit(f"The model called tools in more than {self._turn.tool_rounds} rounds.")
            response = self._with_own_ids(response)
            calls = response.tool_calls
            waiting = self._hold_back(calls)
            await self._recorder.step(response, waiting)
            results = await _at_once([call for call in calls if call.tool_call_id not in waiting], self._run_call)
            if waiting:
                return None
            if await self._recorder.take_steered():
                return "steered"
            self._append(ModelMessage("assistant", response.parts), ModelMessage("tool", tuple(results)))
            if any(result.kept_as for result in results):
                self._request = replace(self._request, tools=self._turn.offer_reader())

    async def _ask(self) -> ModelResponse | Answer:
        """One whole response. One that breaks off after it began is asked for again, or kept as it is.

        So is one that says nothing after a tool's result, once.
        """
        before: ProviderError | None = None
        said_nothing = False
        while True:
            shown = ShownAnswer(
                self._recorder.begin_message(), self._recorder.channel, shows_reasoning=self._turn.shows_reasoning
            )
            begun = False
            try:
                async with self._turn.models.begin(self._request) as stream:
                    begun = True
                    self._clock.note()
                    await self._show(stream, shown)
                    response = shown.response()
                    note_response(stream.span, response)
            except ProviderError as error:
                # Until an answer begins, the provider itself tries again, and then its fallbacks; after that, we do.
                if not begun:
                    raise
                kept = await self._retry(error, before)
                if kept is not None:
                    return kept
                before = error
                continue
            except BudgetExceeded:
                if not begun:
                    self._recorder.drop_message()
                raise
            if not shown.is_empty:
                return response
            if said_nothing:
                self._turn.note_empty_answer()
                return response
            said_nothing = True
            await self._recorder.empty_answer(response)

    async def _show(self, stream: BegunStream, shown: ShownAnswer) -> None:
        """Show the answer as it comes, as far as guardrails allow it."""
        guard, clock, feed = self._turn.guard_answer(), self._clock, shown.feed
        if guard is None:
            feed(stream.first)
            async for event in stream.rest:
                # A delta without text is no progress: some servers send them to stay alive.
                if type(event) is not PartDelta or event.text:
                    clock.has_moved = True
                feed(event)
            return
        for allowed in await guard.feed(stream.first):
            feed(allowed)
        guard.raise_if_blocked()
        async for event in stream.rest:
            if type(event) is not PartDelta or event.text:
                clock.has_moved = True
            for allowed in await guard.feed(event):
                feed(allowed)
            guard.raise_if_blocked()

    async def _retry(self, error: ProviderError, before: ProviderError | None) -> Answer | None:
        """Ask again after an answer that broke off, or the answer as far as it came. Raises `error` where it is final.

        A model that refuses, or ends twice for the same unknown reason, would do it again: only another one is asked.
        """
        is_final = False
        if isinstance(error, ProviderRejected) or ends_again(before, error):
            is_final = not self._turn.models.rule_out_current(error)
        elif not error.retryable:
            raise error
        return await self._recorder.retry(error, is_final=is_final)

    async def _correct(self, response: ModelResponse, fault: OutputFault) -> None:
        """Void an answer and tell the model its fault. It gets no tools now, since it has called them already."""
        if response.stop_reason == "refusal":
            raise InvalidOutput("The model refused to answer, so that nothing fits the schema.", usage=response.usage)
        await self._recorder.retry(InvalidOutput(broken=fault.broken, usage=response.usage))
        said = tuple(part for part in response.parts if isinstance(part, TextPart) and part.text.strip())
        correction = ModelMessage("user", (TextPart(_CORRECTION.format(fault.told)),))
        self._append(*((ModelMessage("assistant", said), correction) if said else (correction,)))
        self._request = replace(self._request, tools=())

    def _append(self, *messages: ModelMessage) -> None:
        self._request = replace(self._request, messages=(*self._request.messages, *messages))

    def _with_own_ids(self, response: ModelResponse) -> ModelResponse:
        """The response with ids that no call of an earlier round has: a provider of a user's own may repeat them."""
        ids = {call.tool_call_id for call in response.tool_calls}
        if repeated := ids & self._ids:
            parts = tuple(
                replace(part, tool_call_id=new_tool_call_id())
                if isinstance(part, ToolCallPart) and part.tool_call_id in repeated
                else part
                for part in response.parts
            )
            response = replace(response, parts=parts)
            ids = {call.tool_call_id for call in response.tool_calls}
        self._ids |= ids
        return response

    def _is_round(self, parts: Sequence[Part]) -> bool:
        """Whether a message calls tools that run here. The client decides about rounds with its own tools alone."""
        return any(isinstance(part, ToolCallPart) and not self._turn.is_of_client(part) for part in parts)

    def _hold_back(self, calls: Sequence[ToolCallPart]) -> dict[str, ToolCallStatus]:
        """The ids of the calls that wait, each with what it waits for: an approval or the client.

        Those that need an approval count as made; a call that would be refused as repeated waits for none. The client
        may be asked for the same again.
        """
        waiting: dict[str, ToolCallStatus] = {}
        for call in calls:
            if self._turn.needs_client(call):
                waiting[call.tool_call_id] = "client"
            elif self._turn.needs_approval(call) and self._count(call):
                waiting[call.tool_call_id] = "waiting"
        return waiting

    def _count(self, call: ToolCallPart) -> bool:
        """Count the call; False if it was made too often."""
        fingerprint = _fingerprint(call)
        self._seen[fingerprint] += 1
        return self._seen[fingerprint] <= self._turn.limits.identical_calls

    async def _run_call(self, call: ToolCallPart) -> ToolResultPart:
        if not self._count(call):
            text = "This call was made before with the same arguments; use the result that it gave."
            result = ToolResultPart(call.tool_call_id, call.name, text, is_error=True)
        else:
            result = await self._turn.run_tool(call)
        self._clock.note()
        await self._recorder.result(result)
        return result


async def _at_once(calls: Sequence[ToolCallPart], make: Callable[[ToolCallPart], Awaitable[T]]) -> list[T]:
    """The results in this order, once all are there. Raises the first error, and cancels the others."""
    places = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def make_in_turn(call: ToolCallPart) -> T:
        async with places:
            return await make(call)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(make_in_turn(call)) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]


def _calls_in(messages: Sequence[ModelMessage]) -> list[ToolCallPart]:
    return [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]


def _fingerprint(call: ToolCallPart) -> str:
    return f"{call.name} {call.malformed or json.dumps_sorted(call.arguments)}"
