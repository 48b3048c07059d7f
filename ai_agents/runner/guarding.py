"""A provider whose answers pass an agent's guardrails before anybody sees them.

Text and reasoning leave as far as they have been judged. The texts of one message are judged as the one text that
clients see, and where that is to be JSON, by what it says; each reasoning is judged for itself; a tool call is judged
whole.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ai_agents.core.types import (
    ModelEvent,
    ModelRequest,
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
from ai_agents.guardrails.guards import Guards, JudgedValue
from ai_agents.guardrails.stream import StreamGuard
from ai_agents.providers.assembly import closeable
from ai_agents.providers.base import Capabilities, Provider
from ai_agents.tools.base import ToolError
from ai_agents.tools.toolset import ToolSet

Tell = Callable[[Sequence[Finding]], None]
# What providers want back and nobody can read: signatures, ciphers.
_OPAQUE = frozenset({"signature", "redacted", "data", "encrypted_content"})
# What stands in the place of a tool's name that is none, and says what it must not.
_NO_NAME = "redacted"


class RunGuards:
    """The guardrails of one run: of what its model says, and of what its tools answer."""

    def __init__(self, into: Guards, out: Guards) -> None:
        self._into = into
        self._out = out
        self._found: list[Finding] = []

    def take_triggers(self) -> tuple[Finding, ...]:
        """What was found since this was last asked."""
        found, self._found = tuple(self._found), []
        return found

    def output(self, provider: Provider, tools: ToolSet, *, shows_reasoning: bool) -> Provider:
        """The provider, judged."""
        if not self._out:
            return provider
        return GuardedProvider(
            provider,
            self._out,
            tool_names=tools.tools.keys(),
            shows_reasoning=shows_reasoning,
            tell=self._tell,
        )

    def _tell(self, found: Sequence[Finding]) -> None:
        self._found += found

    async def judge_result(self, value: Any) -> Any:
        """What may be seen of a tool's result. Raises `ToolError` where nothing may."""
        if not self._into:
            return value
        judged = await self._into.judge_json(value)
        self._found += judged.triggers
        if judged.blocked_by is not None:
            raise ToolError(f"The result was withheld: the guardrail {judged.blocked_by.type} does not allow it.")
        return judged.value


class GuardedProvider(Provider):
    """A provider for one run. `tell` is told of what guardrails find in an answer, as soon as they do.

    Raises `GuardrailBlocked` after what may be seen of a blocked answer.
    """

    name: ClassVar[str] = "guarded"

    def __init__(
        self, provider: Provider, guards: Guards, *, tool_names: Collection[str], shows_reasoning: bool, tell: Tell
    ) -> None:
        super().__init__(model=provider.model)
        self._provider = provider
        self._guards = guards
        self._tool_names = tool_names
        self._shows_reasoning = shows_reasoning
        self._tell = tell

    def capabilities(self, model: str) -> Capabilities:
        """Those of the provider behind it."""
        return self._provider.capabilities(model)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """The provider's stream, judged."""
        answer = _Answer(
            self._guards,
            shows_reasoning=self._shows_reasoning,
            is_json=request.output_schema is not None,
            tool_names=self._tool_names,
            tell=self._tell,
        )
        async with aclosing(closeable(self._provider.stream(request))) as events:
            async for event in events:
                if isinstance(event, ResponseEnd):
                    await answer.finish()
                else:
                    await answer.feed(event)
                for judged in answer.take():
                    yield judged
                if answer.blocked_by is not None:
                    raise self._guards.blocked(answer.blocked_by)
                if isinstance(event, ResponseEnd):
                    yield event


@dataclass(slots=True)
class _Piece:
    """A part of the answer on its way. `raw_stop` is where its text ends in what its guard was fed; None as long as
    more of it may come. What is `held` waits until the answer is whole.
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


class _Answer:
    """One answer, from the provider's events to those that may leave."""

    def __init__(
        self, guards: Guards, *, shows_reasoning: bool, is_json: bool, tool_names: Collection[str], tell: Tell
    ) -> None:
        self.blocked_by: ConfiguredGuardrail | None = None
        self._guards = guards
        self._shows_reasoning = shows_reasoning
        self._is_json = is_json
        self._tool_names = tool_names
        self._tell = tell
        self._text = guards.stream()
        self._fed = 0
        self._pieces: dict[int, _Piece] = {}
        self._starts: list[ModelEvent] = []
        self._noted: set[Finding] = set()
        self._finished = False

    async def feed(self, event: ModelEvent) -> None:
        """One more event of the provider's."""
        if isinstance(event, PartStart):
            self._piece(event.index, event.kind)
            # It says nothing yet, but that the answer has begun.
            self._starts.append(event)
        elif isinstance(event, PartDelta) and event.kind != "tool_call":
            self._add(self._piece(event.index, event.kind), event.text)
        elif isinstance(event, PartEnd):
            part = event.part
            piece = self._piece(event.index, part.type)
            if isinstance(part, ToolCallPart):
                piece.end = await self._judged_call(part)
            else:
                self._close(piece, part)

    async def finish(self) -> None:
        """The answer is whole."""
        await self._judge_held()
        self._put(self._text, self._text.finish())
        self._finished = True

    def take(self) -> list[ModelEvent]:
        """What may leave by now: parts end in order, but none waits with its text for the end of the one before."""
        events, self._starts = self._starts, []
        ends = True
        for index in list(self._pieces):
            piece = self._pieces[index]
            if piece.new:
                events.append(PartDelta(index, piece.kind, "".join(piece.new)))
                piece.whole += piece.new
                piece.new = []
            ends = ends and piece.end is not None and self._is_decided(piece)
            if not ends:
                continue
            del self._pieces[index]
            if (part := self._part(piece)) is not None:
                events.append(PartEnd(index, part))
        return events

    def _piece(self, index: int, kind: PartKind) -> _Piece:
        if index not in self._pieces:
            guard = None if kind == "tool_call" else self._text
            if kind == "reasoning":
                guard = self._guards.stream() if self._shows_reasoning else None
            holds = guard is not None and (self._guards.needs_whole or (self._is_json and kind == "text"))
            self._pieces[index] = _Piece(index, kind, guard, holds)
        return self._pieces[index]

    def _add(self, piece: _Piece, text: str) -> None:
        piece.raw_length += len(text)
        if piece.guard is None or piece.holds:
            (piece.held if piece.holds else piece.new).append(text)
            return
        if piece.guard is self._text:
            self._fed += len(text)
        self._put(piece.guard, piece.guard.feed(text, piece.index))

    def _close(self, piece: _Piece, part: TextPart | ReasoningPart) -> None:
        """A provider may give a part without deltas, or the rest of it."""
        if rest := part.text[piece.raw_length :]:
            self._add(piece, rest)
        piece.end = part
        if piece.guard is self._text:
            piece.raw_stop = self._fed
        elif piece.guard is not None and not piece.holds:
            self._put(piece.guard, piece.guard.finish())

    def _put(self, guard: StreamGuard, judged: Sequence[tuple[int, str]]) -> None:
        for index, text in judged:
            self._pieces[index].new.append(text)
        self._note(guard.triggers)
        self.blocked_by = self.blocked_by or guard.blocked_by

    def _note(self, triggers: Sequence[Finding]) -> None:
        """Each finding is told once of an answer."""
        if new := [trigger for trigger in triggers if trigger not in self._noted]:
            self._noted |= set(new)
            self._tell(new)

    def _is_decided(self, piece: _Piece) -> bool:
        if self._finished or piece.holds:
            return self._finished
        if piece.raw_stop is None:
            return True
        return self._fed - self._text.held >= piece.raw_stop

    def _part(self, piece: _Piece) -> TextPart | ReasoningPart | ToolCallPart | None:
        """The part as it may be seen; None for one of which nothing is left."""
        part, text = piece.end, "".join(piece.whole)
        if part is None or isinstance(part, ToolCallPart) or part.text == text or piece.guard is None:
            if isinstance(part, ReasoningPart):
                return replace(part, origin=_readable_origin(part.origin, self._guards))
            return part
        if isinstance(part, TextPart):
            return TextPart(text) if text else None
        # What the provider signed is not what is left.
        return ReasoningPart(text) if text else None

    async def _judged_call(self, call: ToolCallPart) -> ToolCallPart:
        if call.name not in self._tool_names:
            name = await self._judged(call.name)
            call = call if name == call.name else replace(call, name=_NO_NAME)
        if call.malformed is not None:
            call = replace(call, malformed=str(self._take_note(await self._guards.judge_source(call.malformed))))
        call = replace(call, origin=_readable_origin(call.origin, self._guards))
        arguments = await self._judged(call.arguments)
        if isinstance(arguments, dict):
            return replace(call, arguments=arguments)
        return replace(call, arguments={}, malformed=str(arguments))

    async def _judged(self, value: object) -> object:
        return self._take_note(await self._guards.judge_json(value))

    def _take_note(self, judged: JudgedValue) -> object:
        self._note(judged.triggers)
        self.blocked_by = self.blocked_by or judged.blocked_by
        return judged.value

    async def _judge_held(self) -> None:
        """The texts as one, and each reasoning: what is left of the texts is the first one's."""
        held = [piece for piece in self._pieces.values() if piece.holds]
        texts = [piece for piece in held if piece.kind == "text"]
        for pieces in ([texts] if texts else []) + [[piece] for piece in held if piece.kind == "reasoning"]:
            if self.blocked_by is None:
                await self._judge_pieces(pieces)

    async def _judge_pieces(self, pieces: Sequence[_Piece]) -> None:
        text = "".join("".join(piece.held) for piece in pieces)
        is_source = self._is_json and pieces[0].kind == "text"
        judged = await (self._guards.judge_source(text) if is_source else self._guards.judge_text(text))
        self._take_note(judged)
        if judged.blocked_by is not None:
            # It was to be judged whole: of what is not allowed nothing has been let out.
            self._pieces.clear()
        elif judged.value == text:
            for piece in pieces:
                piece.new = piece.held
        else:
            pieces[0].new = [judged.value]


def _readable_origin(origin: Mapping[str, Any] | None, guards: Guards) -> Mapping[str, Any] | None:
    """What goes back to a provider is stored, though nobody is shown it: none of it where it says what it must not."""
    return origin if origin is None or not guards.finds_in(_without_opaque(origin)) else None


def _without_opaque(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_opaque(inner) for name, inner in value.items() if name not in _OPAQUE}
    return [_without_opaque(inner) for inner in value] if isinstance(value, list) else value
