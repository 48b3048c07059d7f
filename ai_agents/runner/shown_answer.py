"""One response on its way: readers are shown its text while it comes, and its parts are collected."""

from dataclasses import replace

from ai_agents.bus.base import Channel, TextInProgress
from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import ModelEvent, ModelResponse, PartDelta, PartEnd, ReasoningPart, TextPart, ToolCallPart
from ai_agents.providers.assembly import Assembly, check_count, check_parts
from ai_agents.providers.event_order import says_something

# Of one answer. Models that write without end are ended; answers that are whole stay far below.
MOST_CHARACTERS = 4_000_000


class ShownAnswer:
    """The response of one model call.

    `is_empty` until the model has said something: text, reasoning (also where it is not shown) or a call.
    """

    def __init__(self, progress: TextInProgress, channel: Channel, *, shows_reasoning: bool) -> None:
        self.is_empty = True
        self._progress = progress
        self._channel = channel
        self._assembly = Assembly()
        self._shows_reasoning = shows_reasoning
        self._characters = self._calls = self._parts = 0
        self._lengths: dict[int, int] = {}

    def feed(self, event: ModelEvent) -> None:
        """Take one event that may be shown. Raises `ProviderError` where there is too much."""
        if isinstance(event, PartDelta):
            self._characters += len(event.text)
            if self._characters > MOST_CHARACTERS:
                raise ProviderError(f"The answer was ended: it is longer than {MOST_CHARACTERS:,} characters.")
            if event.kind == "text" or (event.kind == "reasoning" and self._shows_reasoning):
                self._lengths[event.index] = self._lengths.get(event.index, 0) + len(event.text)
                self._progress.append(event.kind, event.text)
                self._channel.touch_text()
            return
        if isinstance(event, PartEnd):
            self._calls += isinstance(event.part, ToolCallPart)
            check_count(self._calls)
            self._parts += 1
            check_parts(self._parts)
            self.is_empty = self.is_empty and not says_something(event.part)
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
