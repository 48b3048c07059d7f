"""Builds model events from the pieces that a provider sends, and folds events into the whole response. Pure.

All providers share it, so streamed and whole responses agree: the deltas of a part add up to the part in its `PartEnd`.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import orjson

from ai_agents.core.exceptions import ProviderError, ProviderTruncated
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
from ai_agents.providers.lines import clean_json

# No tool takes deeper arguments. orjson writes 254 levels, and the objects around the arguments need some of them.
MAX_ARGUMENT_DEPTH = 64
# Calls in one answer. Models that call tools without end are ended; what others call at once is far below.
MOST_CALLS = 128
# Parts in one answer, and pieces of it that are told apart. They are compared with each other, stored and sent again.
MOST_PARTS = 1_000


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
    Text that was written becomes one delta when its part ends, or at `flush`: what came together is shown together.
    """

    def __init__(self) -> None:
        self.events: list[ModelEvent] = []
        self.parts: list[TextPart | ReasoningPart | ToolCallPart] = []
        self.kind: PartKind | None = None
        self._calls = 0
        self._pieces: list[str] = []
        # What was written since the last delta, and the unfinished character before it.
        self._written: list[str] = []
        self._held = ""
        self._origin: Mapping[str, Any] | None = None

    def write(self, kind: PartKind, text: str) -> None:
        """Add text to the open part, or to a new part where the open one is of another kind."""
        if self.kind != kind:
            if not text:
                return
            self.open(kind)
        self._written.append(text)

    def flush(self) -> None:
        """Write the delta of the text since the last one."""
        if self.kind is None or not self._written:
            return
        text = self._held + "".join(self._written)
        self._written.clear()
        self._held = ""
        if not text.isascii() or "\0" in text:
            if (cut := _unfinished_character(text)) is not None:  # the rest of it is in the next piece
                text, self._held = text[:cut], text[cut:]
            text = clean_text(text)
        if text:
            self._pieces.append(text)
            self.events.append(PartDelta(len(self.parts), self.kind, text))

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
        self.flush()
        if self._held:
            held, self._held = clean_text(self._held), ""
            self._pieces.append(held)
            self.events.append(PartDelta(len(self.parts), self.kind, held))
        text = "".join(self._pieces)
        self._end(TextPart(text) if self.kind == "text" else ReasoningPart(text, origin=origin or self._origin))

    def tool_call(
        self,
        name: str,
        raw: str,
        *,
        cut: bool = False,
        fault: str | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a whole tool call. `raw` is the JSON of its arguments.

        `cut` says that the model did not finish it, `fault` why the server refused it: then it is never made.
        Raises `ProviderError` for one call too many.
        """
        self.close()
        self._calls += 1
        check_count(self._calls)
        arguments, malformed = parse_arguments(raw, cut=cut)
        if fault is not None:
            arguments, malformed = {}, clean_text(f"{raw} ({fault})")
        call = ToolCallPart(new_tool_call_id(), name, arguments, malformed=malformed, origin=origin)
        self.events.append(PartStart(len(self.parts), "tool_call"))
        if raw:
            self.events.append(PartDelta(len(self.parts), "tool_call", clean_text(raw)))
        self._end(call)

    def _end(self, part: TextPart | ReasoningPart | ToolCallPart) -> None:
        self.events.append(PartEnd(len(self.parts), part))
        self.parts.append(part)
        check_parts(len(self.parts))
        self.kind = None
        self._origin = None
        self._pieces = []


def check_count(calls: int) -> None:
    """Raises `ProviderError` where an answer has so many calls that its model calls without end."""
    if calls > MOST_CALLS:
        raise ProviderError(f"The model called more than {MOST_CALLS} tools in one answer.")


def check_parts(parts: int) -> None:
    """Raises `ProviderError` where an answer is in more pieces than any model gives."""
    if parts > MOST_PARTS:
        raise ProviderError(f"The model answered in more than {MOST_PARTS:,} parts.")


def parse_arguments(raw: str, *, cut: bool = False) -> tuple[JsonObject, str | None]:
    """The arguments of a tool call, and None; or an empty object, and the raw text where it cannot be read in one way.

    An empty text and `null` mean no arguments, unless the model was stopped (`cut`) before it wrote any. Servers also
    write `{}` before the object, the object twice, the object as a string, and control characters in strings.
    """
    text = raw.strip()
    if not text:
        return ({}, "(cut off)") if cut else ({}, None)
    try:
        arguments = _only_object(_json_values(text))
    except (ValueError, RecursionError):
        arguments = None
    if arguments is None or _deeper_than(arguments, MAX_ARGUMENT_DEPTH) or not _is_json(arguments):
        return {}, clean_text(raw)
    return arguments, None


def raw_arguments(arguments: Any) -> str:
    """The JSON of arguments that the provider sent as an object; arguments that are a text already stay as they are."""
    if isinstance(arguments, str):
        return arguments
    if arguments is None:
        return ""
    try:
        text = json.dumps(clean_json(arguments), ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return "(unreadable)"
    # Such a float may have been an integer that lost its last digits; with words before it, it cannot be read.
    return f"(an integer beyond 64 bits) {text}" if _has_vast_float(arguments) else text


def _json_values(text: str) -> list[Any]:
    """The JSON values that stand one after another in a text. Raises ValueError for anything else in it."""
    values: list[Any] = []
    start = 0
    while start < len(text):
        value, end = _DECODER.raw_decode(text, start)
        values.append(value)
        start = end
        while start < len(text) and text[start].isspace():
            start += 1
    return values


def _only_object(values: list[Any]) -> JsonObject | None:
    """The one object that these values mean; None where they mean none, or several that differ."""
    meant: list[Any] = []
    for value in values:
        found = _json_values(value.strip()) if isinstance(value, str) and value.strip() else [value]
        meant += [each for each in found if each not in ({}, None, "")]
    if not meant:
        return {}
    first = meant[0]
    same = all(json.dumps(each, sort_keys=True) == json.dumps(first, sort_keys=True) for each in meant[1:])
    return clean_json(first) if isinstance(first, dict) and same else None


def _is_json(value: Any) -> bool:
    """Whether the value can be stored and sent: integers have at most 64 bits."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def _has_vast_float(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_vast_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and value.is_integer() and abs(value) >= 2**63


def _unfinished_character(text: str) -> int | None:
    """Where the last character of the text begins if it is unfinished: half a surrogate pair, or the first bytes."""
    if "\ud800" <= text[-1] <= "\udbff":
        return len(text) - 1
    start = len(text)
    while start > max(0, len(text) - 3) and "\udc80" <= text[start - 1] <= "\udcff":
        start -= 1
        # The lead byte of a character says how many bytes it has: C2-DF two, E0-EF three, F0-F4 four.
        lead = ord(text[start]) - 0xDC00
        if lead >= 0xC2:
            length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return start if len(text) - start < length else None
    return None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(strict=False, parse_constant=_no_constant)


def _deeper_than(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_deeper_than(item, depth - 1) for item in inner)
