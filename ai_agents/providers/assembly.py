"""Builds model events from a provider's pieces, and folds events into the whole response. Pure.

There is one fold, so that streamed and whole answers agree: a part's deltas add up to the part that `PartEnd` brings.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import orjson

from ai_agents.core.exceptions import ProviderTruncated
from ai_agents.core.ids import new_tool_call_id
from ai_agents.core.json import clean_text
from ai_agents.core.types import (
    JsonObject,
    ModelEvent,
    ModelResponse,
    PartDelta,
    PartEnd,
    PartKind,
    PartStart,
    ReasoningPart,
    ResponseEnd,
    TextPart,
    ToolCallPart,
)
from ai_agents.providers.lines import clean_json, parse_object

# Arguments nested deeper are no tool's; orjson writes 254 levels, and what holds them adds some.
MAX_ARGUMENT_DEPTH = 64


class Assembly:
    """Collects the parts of one response as its events come."""

    def __init__(self) -> None:
        self.parts: list[TextPart | ReasoningPart | ToolCallPart] = []
        self.end: ResponseEnd | None = None

    def feed(self, event: ModelEvent) -> None:
        """Take one event; deltas are ignored since `PartEnd` brings the whole part."""
        if isinstance(event, PartEnd):
            self.parts.append(event.part)
        elif isinstance(event, ResponseEnd):
            self.end = event

    def response(self) -> ModelResponse:
        """The whole. Raises `ProviderTruncated` if the terminal event never came."""
        if self.end is None:
            raise ProviderTruncated
        return ModelResponse(
            parts=tuple(self.parts), stop_reason=self.end.stop_reason, usage=self.end.usage, model=self.end.model
        )


async def fold(events: AsyncIterator[ModelEvent]) -> ModelResponse:
    """The response that a stream amounts to. Raises what the stream raises."""
    assembly = Assembly()
    try:
        async for event in events:
            assembly.feed(event)
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
    return assembly.response()


def closeable(events: AsyncIterator[ModelEvent]) -> AsyncGenerator[ModelEvent]:
    """A stream as something that can be closed; most providers' are generators already."""
    if isinstance(events, AsyncGenerator):
        return events

    async def wrap() -> AsyncGenerator[ModelEvent]:
        async for event in events:
            yield event

    return wrap()


class PartWriter:
    """Writes the events of a response, one part at a time; opening a part ends the one before.

    `events` is what has been written since it was last cleared, `parts` every part that has ended. A text or reasoning
    part begins with its first character, so that none is ever empty; a reasoning part may have an origin alone.
    """

    def __init__(self) -> None:
        self.events: list[ModelEvent] = []
        self.parts: list[TextPart | ReasoningPart | ToolCallPart] = []
        self.kind: PartKind | None = None
        self._index = -1
        self._pieces: list[str] = []
        self._held = ""
        self._origin: Mapping[str, Any] | None = None

    def write(self, kind: PartKind, text: str) -> None:
        """More text of the part of this kind, which is opened if another one is open."""
        if self.kind != kind:
            if not text:
                return
            self.open(kind)
        if self._held:
            text = self._held + text
            self._held = ""
        if not text.isascii() or "\0" in text:
            if "\ud800" <= text[-1] <= "\udbff":  # half a character: the other half is in the next piece
                self._held = text[-1]
                text = text[:-1]
            text = clean_text(text)
        if text:
            self._pieces.append(text)
            self.events.append(PartDelta(self._index, kind, text))

    def open(self, kind: PartKind, *, origin: Mapping[str, Any] | None = None) -> None:
        """Begin a part, even if nothing should follow."""
        self.close()
        self._index += 1
        self.kind = kind
        self._origin = origin
        self.events.append(PartStart(self._index, kind))

    def close(self, *, origin: Mapping[str, Any] | None = None) -> None:
        """End the open text or reasoning part, if there is one. `origin` replaces what it was opened with."""
        if self.kind is None:
            return
        text = self._end_text()
        if self.kind == "reasoning":
            self._end(ReasoningPart(text, origin=origin or self._origin))
        else:
            self._end(TextPart(text))

    def tool_call(self, name: str, raw: str, *, origin: Mapping[str, Any] | None = None, cut: bool = False) -> None:
        """A whole tool call from the raw JSON of its arguments. `cut`: the model was stopped in the midst of it."""
        self.close()
        self._index += 1
        arguments, malformed = parse_arguments(raw, cut=cut)
        call = ToolCallPart(new_tool_call_id(), name, arguments, malformed=malformed, origin=origin)
        self.events.append(PartStart(self._index, "tool_call"))
        if raw:
            self.events.append(PartDelta(self._index, "tool_call", clean_text(raw)))
        self._end(call)

    def _end_text(self) -> str:
        if self._held:
            self._held = ""
            self._pieces.append("\ufffd")
            self.events.append(PartDelta(self._index, self.kind or "text", "\ufffd"))
        return "".join(self._pieces)

    def _end(self, part: TextPart | ReasoningPart | ToolCallPart) -> None:
        self.events.append(PartEnd(self._index, part))
        self.parts.append(part)
        self.kind = None
        self._origin = None
        self._pieces = []


def parse_arguments(raw: str, *, cut: bool = False) -> tuple[JsonObject, str | None]:
    """The arguments of a tool call and, where they are not a JSON object, the raw text instead.

    No text means no arguments, unless the model was `cut` before it could write any.
    """
    if not raw.strip():
        return ({}, "(cut off)") if cut else ({}, None)
    try:
        arguments = parse_object(raw.encode("utf-8", "surrogatepass"))
    except ValueError:
        return {}, clean_text(raw)
    if _deeper_than(arguments, MAX_ARGUMENT_DEPTH):
        return {}, clean_text(raw)
    return (clean_json(arguments) if "\\u" in raw else arguments), None


def raw_arguments(arguments: Any) -> str:
    """The raw JSON of arguments that came parsed, or as the text that they are."""
    if isinstance(arguments, str):
        return arguments
    if arguments is None:
        return ""
    try:
        return orjson.dumps(clean_json(arguments)).decode()
    except TypeError:  # nested beyond what can be written
        return "(unreadable)"


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True
