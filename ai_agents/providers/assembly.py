"""Builds model events from the pieces that a provider sends, and folds events into the whole response. Pure.

All providers share it, so streamed and whole responses agree: the deltas of a part add up to the part in its `PartEnd`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
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

# No tool takes deeper arguments. orjson writes 254 levels, and the objects around the arguments need some of them.
MAX_ARGUMENT_DEPTH = 64


class Assembly:
    """Collects the parts of one response from its events."""

    def __init__(self) -> None:
        self.parts: list[TextPart | ReasoningPart | ToolCallPart] = []
        self.end: ResponseEnd | None = None

    def feed(self, event: ModelEvent) -> None:
        """Take one event. Deltas are ignored, since `PartEnd` has the whole part."""
        if isinstance(event, PartEnd):
            self.parts.append(event.part)
        elif isinstance(event, ResponseEnd):
            self.end = event

    def response(self) -> ModelResponse:
        """The whole response. Raises `ProviderTruncated` where the terminal event is missing."""
        if self.end is None:
            raise ProviderTruncated
        return ModelResponse(tuple(self.parts), self.end.stop_reason, self.end.usage, self.end.model)


async def fold(events: AsyncIterator[ModelEvent]) -> ModelResponse:
    """The whole response of a stream. Raises what the stream raises."""
    assembly = Assembly()
    async with aclosing(closeable(events)) as stream:
        async for event in stream:
            assembly.feed(event)
    return assembly.response()


def closeable(events: AsyncIterator[ModelEvent]) -> AsyncGenerator[ModelEvent]:
    """A stream that has `aclose`. Most providers' streams are generators and have it already."""
    return events if isinstance(events, AsyncGenerator) else (event async for event in events)


class PartWriter:
    """Writes the events of a response, one part at a time; opening a part ends the one before.

    `events` are those written since the caller last cleared the list; `parts` are all parts that have ended. `write`
    opens a part at its first character, so no text part is empty. A reasoning part may have an origin and no text.
    """

    def __init__(self) -> None:
        self.events: list[ModelEvent] = []
        self.parts: list[TextPart | ReasoningPart | ToolCallPart] = []
        self.kind: PartKind | None = None
        self._pieces: list[str] = []
        self._held = ""
        self._origin: Mapping[str, Any] | None = None

    def write(self, kind: PartKind, text: str) -> None:
        """Add text to the open part, or to a new part where the open one is of another kind."""
        if self.kind != kind:
            if not text:
                return
            self.open(kind)
        if self._held:
            text = self._held + text
            self._held = ""
        if not text.isascii() or "\0" in text:
            if "\ud800" <= text[-1] <= "\udbff":  # half a surrogate pair: the other half is in the next piece
                self._held = text[-1]
                text = text[:-1]
            text = clean_text(text)
        if text:
            self._pieces.append(text)
            self.events.append(PartDelta(len(self.parts), kind, text))

    def open(self, kind: PartKind, *, origin: Mapping[str, Any] | None = None) -> None:
        """Begin a part, even if no text follows."""
        self.close()
        self.kind = kind
        self._origin = origin
        self.events.append(PartStart(len(self.parts), kind))

    def close(self, *, origin: Mapping[str, Any] | None = None) -> None:
        """End the open part, if there is one. `origin` replaces the one that the part was opened with."""
        if self.kind is None:
            return
        if self._held:
            self._held = ""
            self._pieces.append("\ufffd")
            self.events.append(PartDelta(len(self.parts), self.kind, "\ufffd"))
        text = "".join(self._pieces)
        self._end(TextPart(text) if self.kind == "text" else ReasoningPart(text, origin=origin or self._origin))

    def tool_call(self, name: str, raw: str, *, cut: bool = False) -> None:
        """Write a whole tool call. `raw` is the JSON of its arguments; `cut` says that the model did not finish it."""
        self.close()
        arguments, malformed = parse_arguments(raw, cut=cut)
        call = ToolCallPart(new_tool_call_id(), name, arguments, malformed=malformed)
        self.events.append(PartStart(len(self.parts), "tool_call"))
        if raw:
            self.events.append(PartDelta(len(self.parts), "tool_call", clean_text(raw)))
        self._end(call)

    def _end(self, part: TextPart | ReasoningPart | ToolCallPart) -> None:
        self.events.append(PartEnd(len(self.parts), part))
        self.parts.append(part)
        self.kind = None
        self._origin = None
        self._pieces = []


def parse_arguments(raw: str, *, cut: bool = False) -> tuple[JsonObject, str | None]:
    """The arguments of a tool call, and None; or an empty object, and the raw text where it is not a JSON object.

    An empty text means no arguments, unless the model was stopped (`cut`) before it wrote any.
    """
    if not raw.strip():
        return ({}, "(cut off)") if cut else ({}, None)
    try:
        arguments = parse_object(raw.encode("utf-8", "surrogatepass"))
    except ValueError:
        arguments = None
    if arguments is None or _deeper_than(arguments, MAX_ARGUMENT_DEPTH):
        return {}, clean_text(raw)
    return (clean_json(arguments) if "\\u" in raw else arguments), None


def raw_arguments(arguments: Any) -> str:
    """The JSON of arguments that the provider sent as an object; arguments that are a text already stay as they are."""
    if isinstance(arguments, str):
        return arguments
    if arguments is None:
        return ""
    try:
        return orjson.dumps(clean_json(arguments)).decode()
    except TypeError:  # nested deeper than orjson can write
        return "(unreadable)"


def _deeper_than(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_deeper_than(item, depth - 1) for item in inner)
