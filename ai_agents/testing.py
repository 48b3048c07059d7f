"""Fakes for tests of programs that use the framework: a provider that says what it is told to, and a queue that only
remembers.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.ids import new_id, new_tool_call_id
from ai_agents.core.types import (
    JsonObject,
    ModelEvent,
    ModelRequest,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    TextPart,
    ToolCallPart,
    Usage,
)
from ai_agents.providers.base import Provider

ScriptedAnswer = str | Sequence[str | ToolCallPart | asyncio.Event] | ProviderError


class ScriptedProvider(Provider):
    """Answers each request with the next of its answers, and keeps the requests.

    An answer is a text, or a sequence of text chunks, tool calls and events to wait for; an error in place of an
    answer, or as
    the last item of one, is raised. After the last answer it says "(no more answers)".
    """

    name: ClassVar[str] = "scripted"

    def __init__(self, *answers: ScriptedAnswer | Sequence[object], model: str = "scripted") -> None:
        super().__init__(model=model)
        self.answers: list[object] = list(answers)
        self.requests: list[ModelRequest] = []
        self.closed = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Play the next answer."""
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else "(no more answers)"
        items = [answer] if isinstance(answer, str | ProviderError) else list(answer)  # type: ignore[call-overload]  # the answers' type says what is in them
        try:
            async for event in self._play(items):
                yield event
        finally:
            self.closed += 1

    async def _play(self, items: Sequence[object]) -> AsyncIterator[ModelEvent]:
        index, text, calls = 0, "", False
        for item in items:
            if isinstance(item, asyncio.Event):
                await item.wait()
            elif isinstance(item, ProviderError):
                raise item
            elif isinstance(item, ToolCallPart):
                if text:
                    yield PartEnd(index, TextPart(text))
                    index, text = index + 1, ""
                calls = True
                yield PartStart(index, "tool_call")
                yield PartEnd(index, item)
                index += 1
            else:
                if not text:
                    yield PartStart(index, "text")
                text += str(item)
                yield PartDelta(index, "text", str(item))
        if text:
            yield PartEnd(index, TextPart(text))
        usage = Usage(input_tokens=10, output_tokens=5)
        yield ResponseEnd("tool_use" if calls else "end", usage, self.model or "scripted")


def tool_call(name: str, **arguments: object) -> ToolCallPart:
    """A tool call for a scripted answer."""
    return ToolCallPart(new_tool_call_id(), name, dict(arguments))


class InMemoryJobQueue:
    """Remembers the jobs that were asked for, as `(thread_id, kind)`; give it to
    `ai_agents.workers.queue.configure_queue`.
    """

    def __init__(self) -> None:
        self.jobs: list[tuple[str, str]] = []

    async def enqueue(self, thread_id: str, kind: str) -> JsonObject:
        """Remember the job."""
        self.jobs.append((thread_id, kind))
        return {"id": new_id(), "thread_id": thread_id, "kind": kind, "status": "queued"}
