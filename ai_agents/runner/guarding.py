"""The output guardrails of a run, on answers as they come, and its input guardrails on results of tools.

Text and reasoning leave as far as they have been judged. The texts of one message are judged as the one text that
clients see; an answer that has to be JSON is judged by the values in it. Each reasoning part is judged for itself, a
tool call as a whole.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

from ai_agents.context.contexts import StageGuards
from ai_agents.core import tracing
from ai_agents.core.types import (
    ModelEvent,
    PartDelta,
    PartEnd,
    PartKind,
    PartStart,
    ReasoningPart,
    ResponseEnd,
    TextPart,
    ToolCallPart,
)
from ai_agents.guardrails.base import ConfiguredGuardrail, Finding
from ai_agents.guardrails.guards import Guards, JudgedValue, StreamGuard
from ai_agents.tools.base import ToolError

T = TypeVar("T")
P = ParamSpec("P")
# Fields of a part's origin that providers want back and that hold no readable text: signatures, ciphers.
_OPAQUE = frozenset({"signature", "redacted", "data", "encrypted_content"})
# Replaces a forbidden name of a tool that does not exist.
_FORBIDDEN_NAME = "redacted"


class RunGuards:
    """The guardrails of one run: for its model's answers, and for the results of its tools."""

    def __init__(self, guards: StageGuards) -> None:
        self._guards = guards
        self._findings: list[Finding] = []

    def take_findings(self) -> tuple[Finding, ...]:
        """What was found since the last call."""
        found = tuple(self._findings)
        self._findings.clear()
        note_findings(found)
        return found

    def guard_answer(self, *, shows_reasoning: bool, is_json: bool, tool_names: Set[str]) -> "AnswerGuard | None":
        """The guard of the next answer; None where the agent judges no output."""
        if not self._guards.output:
            return None
        return AnswerGuard(
            self._guards.output, self._findings, shows_reasoning=shows_reasoning, is_json=is_json, tool_names=tool_names
        )

    async def judge_result(self, value: Any) -> Any:
        """The allowed part of a tool's result. Raises `ToolError` for a blocked one."""
        if not self._guards.input:
            return value
        judged = await self._guards.input.judge_json(value)
        self._findings += judged.triggers
        if judged.blocked_by is not None:
            raise ToolError(f"The result was withheld: the guardrail {judged.blocked_by.type} does not allow it.")
        return judged.value


@dataclass(slots=True)
class _PendingPart:
    """A part of the answer that is not complete.

    `raw_stop` is where its text ends in what its guard was fed, None while more may come. `held` text waits until the
    answer is whole; `new` text may leave.
    """

    index: int
    kind: PartKind
    guard: StreamGuard | None
    holds: bool
    held: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    end: TextPart | ReasoningPart | ToolCallPart | None = None
    raw_length: int = 0
    raw_stop: int | None = None


def note_findings(findings: Iterable[Finding]) -> None:
    """Note in the trace that guardrails found something; what it was is in no trace."""
    for found in findings:
        named = {tracing.GUARDRAIL: found.guardrail, tracing.STAGE: found.stage, tracing.ACTION: found.action}
        tracing.note(tracing.FOUND, named)


class AnswerGuard:
    """One answer, from the provider's events to the events that may leave. It adds what it finds to `findings`."""

    def __init__(
        self, guards: Guards, findings: list[Finding], *, shows_reasoning: bool, is_json: bool, tool_names: Set[str]
    ) -> None:
        self._guards = guards
        self._findings = findings
        self._shows_reasoning = shows_reasoning
        self._is_json = is_json
        self._tool_names = tool_names
        self._blocked_by: ConfiguredGuardrail | None = None
        self._text = guards.stream()
        self._fed = 0
        self._parts: dict[int, _PendingPart] = {}
        self._starts: list[ModelEvent] = []
        self._noted: set[Finding] = set()
        self._finished = False

    async def feed(self, event: ModelEvent) -> list[ModelEvent]:
        """The events that may leave after this one came. `raise_if_blocked` has to be called when they have left."""
        if isinstance(event, ResponseEnd):
            await self._judge_held()
            self._put(self._text, await self._search(self._text.finish))
            self._finished = True
        elif isinstance(event, PartStart):
            self._pending(event.index, event.kind)
            # It holds no text, and shows that the answer has begun.
            self._starts.append(event)
        elif isinstance(event, PartDelta) and event.kind != "tool_call":
            await self._add(self._pending(event.index, event.kind), event.text)
        elif isinstance(event, PartEnd):
            part = event.part
            pending = self._pending(event.index, part.type)
            if isinstance(part, ToolCallPart):
                pending.end = await self._judged_call(part)
            else:
                await self._close(pending, part)
        events = await self._take()
        if isinstance(event, ResponseEnd) and self._blocked_by is None:
            events.append(event)
        return events

    def raise_if_blocked(self) -> None:
        """Raises `GuardrailBlocked` if a guardrail does not allow the answer."""
        if self._blocked_by is not None:
            raise self._guards.blocked_error(self._blocked_by)

    async def _take(self) -> list[ModelEvent]:
        """The events that may leave by now. Parts end in order, but text does not wait for the part before it."""
        events, self._starts = self._starts, []
        ends = True
        for index in list(self._parts):
            pending = self._parts[index]
            if pending.new:
                events.append(PartDelta(index, pending.kind, "".join(pending.new)))
                pending.whole += pending.new
                pending.new = []
            ends = ends and pending.end is not None and self._is_decided(pending)
            if not ends:
                continue
            del self._parts[index]
            if (part := await self._part(pending)) is not None:
                events.append(PartEnd(index, part))
        return events

    def _pending(self, index: int, kind: PartKind) -> _PendingPart:
        if index not in self._parts:
            guard = None if kind == "tool_call" else self._text
            if kind == "reasoning":
                guard = self._guards.stream() if self._shows_reasoning else None
            holds = guard is not None and (self._guards.needs_whole or (self._is_json and kind == "text"))
            self._parts[index] = _PendingPart(index, kind, guard, holds)
        return self._parts[index]

    async def _add(self, pending: _PendingPart, text: str) -> None:
        pending.raw_length += len(text)
        if pending.guard is None or pending.holds:
            (pending.held if pending.holds else pending.new).append(text)
            return
        if pending.guard is self._text:
            self._fed += len(text)
        self._put(pending.guard, await self._search(pending.guard.feed, text, pending.index))

    async def _search(self, search: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a search for patterns, in a thread where it may take long."""
        if self._guards.is_heavy:
            return await self._guards.in_thread(search, *args, **kwargs)
        return search(*args, **kwargs)

    async def _close(self, pending: _PendingPart, part: TextPart | ReasoningPart) -> None:
        """End a part. A provider may send all or the rest of its text without deltas."""
        if rest := part.text[pending.raw_length :]:
            await self._add(pending, rest)
        pending.end = part
        if pending.guard is self._text:
            pending.raw_stop = self._fed
        elif pending.guard is not None and not pending.holds:
            self._put(pending.guard, await self._search(pending.guard.finish))

    def _put(self, guard: StreamGuard, judged: Sequence[tuple[int, str]]) -> None:
        for index, text in judged:
            self._parts[index].new.append(text)
        self._note(guard.triggers)
        self._blocked_by = self._blocked_by or guard.blocked_by

    def _note(self, triggers: Sequence[Finding]) -> None:
        """Add each finding once per answer."""
        if new := [trigger for trigger in triggers if trigger not in self._noted]:
            self._noted |= set(new)
            self._findings += new

    def _is_decided(self, pending: _PendingPart) -> bool:
        if self._finished or pending.holds:
            return self._finished
        if pending.raw_stop is None:
            return True
        return self._fed - self._text.held >= pending.raw_stop

    async def _part(self, pending: _PendingPart) -> TextPart | ReasoningPart | ToolCallPart | None:
        """The allowed part; None where nothing of it is left."""
        part, text = pending.end, "".join(pending.whole)
        if part is None or isinstance(part, ToolCallPart) or part.text == text or pending.guard is None:
            if isinstance(part, ReasoningPart):
                return replace(part, origin=await self._readable_origin(part.origin))
            return part
        if isinstance(part, TextPart):
            return TextPart(text) if text else None
        # Its origin is left out: the provider signed another text.
        return ReasoningPart(text) if text else None

    async def _readable_origin(self, origin: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The origin, which is stored to be sent back to the provider; None where its readable text is forbidden."""
        if origin is None or await self._search(self._guards.finds_in, _without_opaque(origin)):
            return None
        return origin

    async def _judged_call(self, call: ToolCallPart) -> ToolCallPart:
        if call.name not in self._tool_names:
            name = await self._judged(call.name)
            call = call if name == call.name else replace(call, name=_FORBIDDEN_NAME)
        if call.malformed is not None:
            call = replace(call, malformed=str(self._take_note(await self._guards.judge_source(call.malformed))))
        call = replace(call, origin=await self._readable_origin(call.origin))
        arguments = await self._judged(call.arguments)
        if isinstance(arguments, dict):
            return replace(call, arguments=arguments)
        return replace(call, arguments={}, malformed=str(arguments))

    async def _judged(self, value: object) -> object:
        return self._take_note(await self._guards.judge_json(value))

    def _take_note(self, judged: JudgedValue) -> object:
        self._note(judged.triggers)
        self._blocked_by = self._blocked_by or judged.blocked_by
        return judged.value

    async def _judge_held(self) -> None:
        """Judge the held texts as one text, and each reasoning. The first text part gets what is left of the texts."""
        held = [pending for pending in self._parts.values() if pending.holds]
        texts = [pending for pending in held if pending.kind == "text"]
        for together in ([texts] if texts else []) + [[pending] for pending in held if pending.kind == "reasoning"]:
            if self._blocked_by is None:
                await self._judge_together(together)

    async def _judge_together(self, together: Sequence[_PendingPart]) -> None:
        text = "".join("".join(pending.held) for pending in together)
        is_source = self._is_json and together[0].kind == "text"
        judged = await (self._guards.judge_source(text) if is_source else self._guards.judge_text(text))
        self._take_note(judged)
        if judged.blocked_by is not None:
            # It is judged as a whole, so that no part of it has left.
            self._parts.clear()
        elif judged.value == text:
            for pending in together:
                pending.new = pending.held
        else:
            together[0].new = [judged.value]


def _without_opaque(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_opaque(inner) for name, inner in value.items() if name not in _OPAQUE}
    return [_without_opaque(inner) for inner in value] if isinstance(value, list) else value
