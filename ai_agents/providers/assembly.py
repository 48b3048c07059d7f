"""Folds a stream of model events into the whole response.

Pure, and the only fold there is: streamed and whole answers agree.
"""

from collections.abc import AsyncIterator

from ai_agents.core.exceptions import ProviderTruncated
from ai_agents.core.types import ModelEvent, ModelResponse, PartEnd, ReasoningPart, ResponseEnd, TextPart, ToolCallPart


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
    async for event in events:
        assembly.feed(event)
    return assembly.response()
