"""The loop of one turn: ask the model, run the tools that it calls, ask again. It knows no database."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ai_agents.bus.base import Channel
from ai_agents.bus.progress import TextInProgress
from ai_agents.core import json
from ai_agents.core.exceptions import InvalidOutput, ProviderError, ToolLoopLimit
from ai_agents.core.types import (
    ModelEvent,
    ModelMessage,
    ModelResponse,
    PartDelta,
    PartEnd,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from ai_agents.providers.assembly import Assembly
from ai_agents.runner.prepared_turn import PreparedTurn
from ai_agents.runner.recorder import TurnRecorder
from ai_agents.runner.recording import Answer

_CORRECTION = "{} Answer again, with nothing but JSON that fits the schema."


class Loop:
    """The rounds of one turn."""

    def __init__(self, turn: PreparedTurn, recorder: TurnRecorder) -> None:
        self._turn = turn
        self._recorder = recorder
        self._request = turn.request
        self._rounds = sum(1 for message in turn.earlier if message.role == "assistant")
        self._seen: Counter[str] = Counter()
        for message in turn.earlier:
            self._seen.update(_fingerprint(part) for part in message.parts if isinstance(part, ToolCallPart))

    async def run(self) -> ModelResponse | Answer | None:
        """The response that ends the turn: the first one without tool calls and without a fault.

        An `Answer` is one that broke off and is kept; None means that tool calls wait for approvals.
        Raises `ToolLoopLimit`, `ProviderError` (`InvalidOutput` among them), `GuardrailBlocked`, `LeaseLost`.
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
            self._rounds += 1
            if self._rounds > self._turn.tool_rounds:
                raise ToolLoopLimit(f"The model called tools in more than {self._turn.tool_rounds} rounds.")
            waiting = self._hold_back(calls)
            await self._recorder.step(response, waiting)
            results = await self._run_calls([call for call in calls if call.tool_call_id not in waiting])
            if waiting:
                return None
            self._append(ModelMessage("assistant", response.parts), ModelMessage("tool", tuple(results)))

    async def _ask(self) -> ModelResponse | Answer:
        """One whole response. One that breaks off after it began is asked for again, or kept as it is."""
        while True:
            shown = _ShownAnswer(
                self._recorder.begin_message(), self._recorder.channel, shows_reasoning=self._turn.shows_reasoning
            )
            begun = False
            try:
                async with self._turn.models.begin(self._request) as stream:
                    begun = True
                    guard = self._turn.guard_answer()
                    if guard is None:
                        shown.feed(stream.first)
                        async for event in stream.rest:
                            shown.feed(event)
                    else:
                        for allowed in await guard.feed(stream.first):
                            shown.feed(allowed)
                        guard.raise_if_blocked()
                        async for event in stream.rest:
                            for allowed in await guard.feed(event):
                                shown.feed(allowed)
                            guard.raise_if_blocked()
                    return shown.response()
            except ProviderError as error:
                # Until an answer begins, the provider itself tries again, and then its fallbacks; after that, we do.
                if not (error.retryable and begun):
                    raise
                kept = await self._recorder.retry(error)
                if kept is not None:
                    return kept

    async def _correct(self, response: ModelResponse, fault: str) -> None:
        """Void an answer and tell the model its fault. It gets no tools now, since it has called them already."""
        if response.stop_reason == "refusal":
            raise InvalidOutput("The model refused to answer, so that nothing fits the schema.", usage=response.usage)
        await self._recorder.retry(InvalidOutput(fault, usage=response.usage))
        said = tuple(part for part in response.parts if isinstance(part, TextPart) and part.text.strip())
        correction = ModelMessage("user", (TextPart(_CORRECTION.format(fault)),))
        self._append(*((ModelMessage("assistant", said), correction) if said else (correction,)))
        self._request = replace(self._request, tools=())

    def _append(self, *messages: ModelMessage) -> None:
        self._request = replace(self._request, messages=(*self._request.messages, *messages))

    async def _run_calls(self, calls: Sequence[ToolCallPart]) -> list[ToolResultPart]:
        """Run all calls at once. Each result is recorded when it comes; they are returned in the order of the calls."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._run_call(call)) for call in calls]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return [task.result() for task in tasks]

    def _hold_back(self, calls: Sequence[ToolCallPart]) -> set[str]:
        """The ids of the calls that wait for an approval; they count as made.

        A call that would be refused as repeated waits for no approval.
        """
        return {call.tool_call_id for call in calls if self._turn.needs_approval(call) and self._count(call)}

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
        await self._recorder.result(result)
        return result


class _ShownAnswer:
    """One response: its text is shown while it comes, its parts are collected."""

    def __init__(self, progress: TextInProgress, channel: Channel, *, shows_reasoning: bool) -> None:
        self._progress = progress
        self._channel = channel
        self._assembly = Assembly()
        self._shows_reasoning = shows_reasoning
        self._lengths: dict[int, int] = {}

    def feed(self, event: ModelEvent) -> None:
        """Take one event."""
        if isinstance(event, PartDelta):
            if event.kind == "text" or (event.kind == "reasoning" and self._shows_reasoning):
                self._lengths[event.index] = self._lengths.get(event.index, 0) + len(event.text)
                self._progress.append(event.kind, event.text)
                self._channel.touch_text()
            return
        if isinstance(event, PartEnd):
            self._show_rest(event)
            if isinstance(event.part, ReasoningPart) and not self._shows_reasoning:
                # The agent does not show reasoning: only what the provider wants back is kept of it.
                if event.part.origin is None:
                    return
                event = replace(event, part=replace(event.part, text=""))
        self._assembly.feed(event)

    def response(self) -> ModelResponse:
        """The whole response. Raises `ProviderTruncated` if its end did not come."""
        return self._assembly.response()

    def _show_rest(self, event: PartEnd) -> None:
        """Show text that came without deltas, so that all recorded text was shown."""
        part = event.part
        if isinstance(part, TextPart) or (isinstance(part, ReasoningPart) and self._shows_reasoning):
            rest = part.text[self._lengths.get(event.index, 0) :]
            if rest:
                self._progress.append(part.type, rest)
                self._channel.touch_text()


def _fingerprint(call: ToolCallPart) -> str:
    return f"{call.name} {call.malformed or json.dumps_sorted(call.arguments)}"
