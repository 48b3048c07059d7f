"""Holds the events of any provider to the order that `Provider.stream` promises.

What breaks it is an error of the provider, so that a run ends with that, whatever a provider of a user's own does. The
providers of this package write their events with `assembly.PartWriter`, which keeps the order by itself.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, get_args

from ai_agents.core.exceptions import (
    AIAgentsError,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderTruncated,
)
from ai_agents.core.ids import new_tool_call_id
from ai_agents.core.json import clean_text, dumps
from ai_agents.core.types import (
    JsonObject,
    ModelEvent,
    ModelRequest,
    PartDelta,
    PartEnd,
    PartKind,
    PartStart,
    ReasoningPart,
    ResponseEnd,
    StopReason,
    TextPart,
    ToolCallPart,
    Usage,
)
from ai_agents.providers.assembly import closeable, parse_arguments, raw_arguments
from ai_agents.providers.errors import truncated
from ai_agents.providers.failures import log_failure

AnswerPart = TextPart | ReasoningPart | ToolCallPart
_KINDS: Mapping[type[AnswerPart], PartKind] = {
    TextPart: "text",
    ReasoningPart: "reasoning",
    ToolCallPart: "tool_call",
}
_STOP_REASONS = frozenset(get_args(StopReason))
# The longest id of a call that is stored.
_MAX_ID = 64
_log = logging.getLogger(__name__)


async def in_order(
    events: AsyncIterator[ModelEvent], provider: str, request: ModelRequest
) -> AsyncGenerator[ModelEvent]:
    """The events of a provider, with texts that can be stored.

    Raises what the stream raises, if that is an error of this framework; `ProviderTruncated` for events out of order
    and for an answer that holds less than its stop reason says; `ProviderError` for any other exception.
    """
    order = EventOrder(provider, request)
    try:
        async with aclosing(closeable(events)) as stream:
            async for event in stream:
                yield order.checked(event)
        if not order.ended:
            raise truncated(provider)
    except AIAgentsError as error:
        if isinstance(error, ProviderError):
            log_failure(error, provider=provider, model=request.model)
        raise
    except TimeoutError as error:
        late = ProviderTimeout(f"{provider} took too long.", provider=provider)
        log_failure(late, provider=provider, model=request.model)
        raise late from error
    except Exception as error:
        _log.exception("a provider's own code failed", extra={"provider": provider, "model": request.model})
        raise ProviderError(f"{provider} failed with an error of its own code.", provider=provider) from error


class EventOrder:
    """The order of one response. It knows which part is open, and what its deltas have added up to.

    `ended` once the response has come to its end.
    """

    def __init__(self, provider: str, request: ModelRequest) -> None:
        self._provider = provider
        self._request = request
        self._parts: list[AnswerPart] = []
        self._ids: set[str] = set()
        self._kind: PartKind | None = None
        self._pieces: list[str] = []
        self.ended = False

    def checked(self, event: object) -> ModelEvent:
        """The event with a clean text. Raises `ProviderTruncated` where it is out of order."""
        if self.ended:
            raise self._broken("sent more after the end of its answer")
        match event:
            case PartStart():
                self._start(event)
            case PartDelta():
                return self._delta(event)
            case PartEnd():
                return self._end_part(event)
            case ResponseEnd():
                return self._end(event)
            case _:
                raise self._broken(f"sent {type(event).__name__} in place of an event")
        return event

    def _start(self, event: PartStart) -> None:
        if self._kind is not None or not self._is_current(event.index) or event.kind not in _KINDS.values():
            raise self._broken("began a part out of order")
        self._kind, self._pieces = event.kind, []

    def _delta(self, event: PartDelta) -> PartDelta:
        if event.kind != self._kind or not self._is_current(event.index) or not isinstance(event.text, str):
            raise self._broken("sent a piece of a part that is not open")
        self._pieces.append(event.text)
        text = clean_text(event.text)
        return event if text == event.text else replace(event, text=text)

    def _end_part(self, event: PartEnd) -> PartEnd:
        if not self._is_current(event.index) or self._kind is None or _KINDS.get(type(event.part)) != self._kind:
            raise self._broken("ended a part that is not open")
        part = self._checked_call(event.part) if isinstance(event.part, ToolCallPart) else self._whole(event.part)
        self._kind = None
        self._parts.append(part)
        return PartEnd(event.index, part)

    def _whole(self, part: TextPart | ReasoningPart) -> TextPart | ReasoningPart:
        """The part with the text that its deltas have added up to, and the rest that came without deltas."""
        said = "".join(self._pieces)
        whole: Any = part.text
        if not isinstance(whole, str) or not whole.startswith(said):
            raise self._broken("ended a part with another text than it said before")
        text = "".join(map(clean_text, [*self._pieces, whole[len(said) :]]))
        if isinstance(part, ReasoningPart):
            return replace(part, text=text, origin=_storable(part.origin))
        return replace(part, text=text)

    def _checked_call(self, call: ToolCallPart) -> ToolCallPart:
        name: Any = call.name
        tool_call_id: Any = call.tool_call_id
        arguments: Any = call.arguments
        malformed: Any = call.malformed
        if not isinstance(name, str):
            raise self._broken("called a tool without a name")
        if not isinstance(tool_call_id, str) or not _is_id(tool_call_id) or tool_call_id in self._ids:
            tool_call_id = new_tool_call_id()
        self._ids.add(tool_call_id)
        if malformed is None:
            arguments, malformed = parse_arguments(raw_arguments(arguments))
        elif not isinstance(malformed, str):
            raise self._broken("called a tool with arguments that cannot be read")
        return ToolCallPart(
            tool_call_id,
            clean_text(name),
            arguments,
            malformed=None if malformed is None else clean_text(malformed),
            origin=_storable(call.origin),
        )

    def _end(self, event: ResponseEnd) -> ResponseEnd:
        if self._kind is not None:
            raise self._broken("ended its answer within a part")
        if event.stop_reason not in _STOP_REASONS:
            raise self._broken("ended its answer for a reason that is not known")
        check_complete(self._provider, self._parts, event.stop_reason, self._request)
        self.ended = True
        usage: Any = event.usage
        model: Any = event.model
        return ResponseEnd(
            event.stop_reason,
            usage if isinstance(usage, Usage) else Usage(),
            clean_text(model) if isinstance(model, str) else "",
        )

    def _is_current(self, index: object) -> bool:
        return type(index) is int and index == len(self._parts)

    def _broken(self, how: str) -> ProviderTruncated:
        return truncated(self._provider, how)


def check_complete(provider: str, parts: list[AnswerPart], stop_reason: StopReason, request: ModelRequest) -> None:
    """Check that a response with these parts holds what its stop reason says.

    Raises `ProviderTruncated` where it holds less, `ProviderRejected` for a refusal without words.
    """
    if stop_reason == "tool_use" and not any(isinstance(part, ToolCallPart) for part in parts):
        raise truncated(provider, "said that it calls a tool, and called none")
    if stop_reason == "refusal" and not any(isinstance(part, TextPart) and part.text for part in parts):
        refused = ProviderRejected(f"{provider} refused to answer, without a word.", provider=provider)
        refused.about_content = True
        raise refused
    if any(map(says_something, parts)):
        return
    if stop_reason in {"max_tokens", "context_exceeded"}:
        error = truncated(provider, "used up its tokens before it said anything")
        error.retryable = False  # type: ignore[misc]  # another try ends in the same way
        raise error
    # This may be no first answer: after a tool's result the model may have nothing to add.
    if not request.messages or request.messages[-1].role != "tool":
        raise truncated(provider, "sent an empty answer")


def says_something(part: AnswerPart) -> bool:
    """Whether the part is more than an empty text."""
    if isinstance(part, ToolCallPart) or part.text:
        return True
    return isinstance(part, ReasoningPart) and part.origin is not None


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _MAX_ID and text.isascii() and text.isprintable()


def _storable(origin: Any) -> JsonObject | None:
    """The origin of a part, if it can be stored."""
    try:
        dumps(origin)
    except (TypeError, ValueError):
        return None
    return dict(origin) if isinstance(origin, Mapping) else None
