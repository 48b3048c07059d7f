"""The loop of a turn: ask the model, show its answer, run the tools that it calls, and ask again."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from ai_agents.core import json
from ai_agents.core.exceptions import BudgetExceeded, InvalidOutput, ProviderError, ProviderRejected, ToolLoopLimit
from ai_agents.core.ids import new_tool_call_id
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
from ai_agents.runner.prepared_turn import PreparedTurn
from ai_agents.runner.progress import ProgressClock
from ai_agents.runner.recorder import TurnRecorder
from ai_agents.runner.recording import Answer
from ai_agents.runner.shown_answer import ShownAnswer
from ai_agents.tools.schema import OutputFault

T = TypeVar("T")
Steered = Literal["steered"]
_CORRECTION = "{} Answer again, with nothing but JSON that fits the schema."
# Calls of one run that are made at once: each records its result, and the runs of others wait for the database, too.
_CALLS_AT_ONCE = 16


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

    async def run(self) -> ModelResponse | Answer | Steered | None:
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
            results = await at_once([call for call in calls if call.tool_call_id not in waiting], self._run_call)
            if waiting:
                return None
            if await self._recorder.take_steered():
                return "steered"
            self._append(ModelMessage("assistant", response.parts), ModelMessage("tool", tuple(results)))
            if any(result.kept_as for result in results):
                self._request = replace(self._request, tools=self._turn.offer_reader())

    async def _ask(self) -> ModelResponse | Answer:
        """One whole response. It is asked for again if it breaks off after it began, or it is kept as far as it came.

        Once, it is also asked for again if it says nothing after a tool's result.
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

        Calls that need an approval count as made. A call that would be refused as repeated needs no approval. The
        client may be asked for the same call again.
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


async def at_once(calls: Sequence[ToolCallPart], make: Callable[[ToolCallPart], Awaitable[T]]) -> list[T]:
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
