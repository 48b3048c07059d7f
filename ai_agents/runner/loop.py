"""The model/tool loop: ask the model, run the tools it asks for, ask again. Knows no database and no access rules."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

from ai_agents.core import json
from ai_agents.core.exceptions import InvalidOutput, ProviderError, ToolLoopLimit
from ai_agents.core.types import (
    ModelEvent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDelta,
    PartEnd,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from ai_agents.providers.assembly import Assembly, closeable
from ai_agents.providers.base import Provider


class Recorder(Protocol):
    """Where a loop's steps go. Each returns once the step is stored; what is shown is a preview and returns at once."""

    def begin(self) -> None:
        """The model is asked: a message begins."""
        ...

    def show(self, kind: str, text: str) -> None:
        """More text of the message, `kind` is text or reasoning."""
        ...

    async def step(self, response: ModelResponse, waiting: Collection[str]) -> None:
        """A message that calls tools is whole; those calls wait for a person, by their ids."""
        ...

    async def wait(self) -> None:
        """Everything else is done: the run waits. It does not return."""
        ...

    async def result(self, result: ToolResultPart) -> None:
        """A tool call ended."""
        ...

    async def retry(self, error: ProviderError) -> None:
        """What was shown of the message is void. Raises the error where there were attempts enough."""
        ...


class ToolRunner(Protocol):
    """Runs one call to its result; whatever goes wrong is in the result."""

    async def __call__(self, call: ToolCallPart) -> ToolResultPart:
        """The result of the call."""
        ...


# Whether a call has to wait for a person.
NeedsApproval = Callable[[ToolCallPart], bool]
# What is wrong with an answer, as a sentence; None where nothing is.
FindFault = Callable[[str], str | None]
_CORRECT = "{} Answer again, with nothing but JSON that fits the schema."


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """`tool_rounds` model calls may ask for tools; `identical_calls` is how often one call may be repeated word
    for word.
    """

    tool_rounds: int = 10
    identical_calls: int = 3


class Loop:
    """One run's rounds. `earlier` are the messages that this run had already recorded when it was taken over.

    An answer in which `find_fault` finds one is void, and asked for again with what is wrong with it.
    """

    def __init__(
        self,
        provider: Provider,
        request: ModelRequest,
        recorder: Recorder,
        run_tool: ToolRunner,
        *,
        limits: LoopLimits,
        show_reasoning: bool,
        earlier: Sequence[ModelMessage] = (),
        find_fault: FindFault | None = None,
        needs_approval: NeedsApproval = lambda _call: False,
    ) -> None:
        self._provider = provider
        self._request = request
        self._recorder = recorder
        self._run_tool = run_tool
        self._limits = limits
        self._show_reasoning = show_reasoning
        self._find_fault = find_fault
        self._needs_approval = needs_approval
        self._rounds = sum(1 for message in earlier if message.role == "assistant")
        self._seen: Counter[str] = Counter()
        for message in earlier:
            self._seen.update(_fingerprint(part) for part in message.parts if isinstance(part, ToolCallPart))

    async def run(self) -> ModelResponse:
        """The response that ends the turn: the first that calls no tool, and has no fault.

        Raises `ToolLoopLimit`, `ProviderError` (`InvalidOutput` among them), and what the recorder raises.
        """
        while True:
            response = await self._ask()
            calls = response.tool_calls
            if not calls:
                fault = None if self._find_fault is None else self._find_fault(response.text)
                if fault is None:
                    return response
                await self._correct(response, fault)
                continue
            self._rounds += 1
            if self._rounds > self._limits.tool_rounds:
                raise ToolLoopLimit(f"The model called tools in more than {self._limits.tool_rounds} rounds.")
            waiting = self._hold_back(calls)
            await self._recorder.step(response, waiting)
            results = await self._run_calls([call for call in calls if call.tool_call_id not in waiting])
            if waiting:
                await self._recorder.wait()
            self._request = replace(
                self._request,
                messages=(
                    *self._request.messages,
                    ModelMessage("assistant", response.parts),
                    ModelMessage("tool", tuple(results)),
                ),
            )

    async def _correct(self, response: ModelResponse, fault: str) -> None:
        """Void an answer, and tell the model why; it is asked for words alone, as it has called its tools already."""
        if response.stop_reason == "refusal":
            raise InvalidOutput("The model refused to answer, so that nothing fits the schema.", usage=response.usage)
        await self._recorder.retry(InvalidOutput(fault, usage=response.usage))
        said = tuple(part for part in response.parts if isinstance(part, TextPart) and part.text.strip())
        correction = ModelMessage("user", (TextPart(_CORRECT.format(fault)),))
        added = (ModelMessage("assistant", said), correction) if said else (correction,)
        self._request = replace(self._request, messages=(*self._request.messages, *added), tools=())

    async def _ask(self) -> ModelResponse:
        """One whole response; a stream that breaks after its beginning is asked for again."""
        while True:
            self._recorder.begin()
            shown = _Shown(self._recorder, show_reasoning=self._show_reasoning)
            try:
                async with aclosing(closeable(self._provider.stream(self._request))) as events:
                    async for event in events:
                        shown.feed(event)
                return shown.response()
            except ProviderError as error:
                # Before it began the provider itself has tried again, and others in its place; after that, we do.
                if not (error.retryable and shown.begun):
                    raise
                await self._recorder.retry(error)

    async def _run_calls(self, calls: Sequence[ToolCallPart]) -> list[ToolResultPart]:
        """Every call at once; each result is recorded as it comes, and all are given in the order of the calls."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._run_call(call)) for call in calls]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return [task.result() for task in tasks]

    def _hold_back(self, calls: Sequence[ToolCallPart]) -> set[str]:
        """The calls that wait for a person, by their ids; they count as made.

        Nobody is asked about a call that would not be made anyway.
        """
        return {call.tool_call_id for call in calls if self._needs_approval(call) and self._count(call)}

    def _count(self, call: ToolCallPart) -> bool:
        """Count the call; whether it may be made once more."""
        fingerprint = _fingerprint(call)
        self._seen[fingerprint] += 1
        return self._seen[fingerprint] <= self._limits.identical_calls

    async def _run_call(self, call: ToolCallPart) -> ToolResultPart:
        if not self._count(call):
            text = "This call was made before with the same arguments; use the result that it gave."
            result = ToolResultPart(call.tool_call_id, call.name, text, is_error=True)
        else:
            result = await self._run_tool(call)
        await self._recorder.result(result)
        return result


class _Shown:
    """Folds one response and shows its text on the way."""

    def __init__(self, recorder: Recorder, *, show_reasoning: bool) -> None:
        self._recorder = recorder
        self._assembly = Assembly()
        self._show_reasoning = show_reasoning
        self._lengths: dict[int, int] = {}
        self.begun = False

    def feed(self, event: ModelEvent) -> None:
        self.begun = True
        if isinstance(event, PartDelta):
            if event.kind == "text" or (event.kind == "reasoning" and self._show_reasoning):
                self._lengths[event.index] = self._lengths.get(event.index, 0) + len(event.text)
                self._recorder.show(event.kind, event.text)
            return
        if isinstance(event, PartEnd):
            self._show_rest(event)
            if isinstance(event.part, ReasoningPart) and not self._show_reasoning:
                # Nobody asked to see it; what the provider wants back is kept, its text is not.
                if event.part.origin is None:
                    return
                event = replace(event, part=replace(event.part, text=""))
        self._assembly.feed(event)

    def _show_rest(self, event: PartEnd) -> None:
        """A provider may give a whole part without deltas; what is recorded is always what was shown."""
        part = event.part
        if isinstance(part, TextPart) or (isinstance(part, ReasoningPart) and self._show_reasoning):
            rest = part.text[self._lengths.get(event.index, 0) :]
            if rest:
                self._recorder.show(part.type, rest)

    def response(self) -> ModelResponse:
        return self._assembly.response()


def _fingerprint(call: ToolCallPart) -> str:
    return f"{call.name} {call.malformed or json.dumps_sorted(call.arguments)}"
