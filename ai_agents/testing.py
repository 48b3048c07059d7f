"""Fakes for the tests of programs that use the framework: a provider with scripted answers, and a recording queue."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.ids import new_id, new_tool_call_id, utc_now
from ai_agents.core.rows import Job
from ai_agents.core.types import (
    JobKind,
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

    An answer is a text, or a sequence of text chunks, tool calls and events to wait for. An error in place of one,
    or as its last item, is raised. After the last answer it says "(no more answers)".
    """

    name = "scripted"

    def __init__(self, *answers: ScriptedAnswer | Sequence[object], model: str = "scripted") -> None:
        super().__init__(model=model)
        self.answers: list[object] = list(answers)
        self.requests: list[ModelRequest] = []
        self.closed = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Play the next answer."""
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else "(no more answers)"
        items = [answer] if isinstance(answer, str | ProviderError) else list(answer)  # type: ignore[call-overload]  # `ScriptedAnswer` says what the items are
        index, text, calls = 0, "", False
        try:
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
                elif item:
                    if not text:
                        yield PartStart(index, "text")
                    text += str(item)
                    yield PartDelta(index, "text", str(item))
            if text:
                yield PartEnd(index, TextPart(text))
            usage = Usage(input_tokens=10, output_tokens=5)
            yield ResponseEnd("tool_use" if calls else "end", usage, self.model or "scripted")
        finally:
            self.closed += 1


def tool_call(name: str, **arguments: object) -> ToolCallPart:
    """A tool call for a scripted answer."""
    return ToolCallPart(new_tool_call_id(), name, dict(arguments))


class InMemoryJobQueue:
    """Records the jobs that were requested, as `(thread_id, kind)`. Pass it to `workers.queue.configure_queue`."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, str]] = []

    async def enqueue(self, thread_id: str, kind: JobKind) -> Job:
        """Record the job."""
        self.jobs.append((thread_id, kind))
        return {
            "id": new_id(),
            "thread_id": thread_id,
            "kind": kind,
            "range_key": "",
            "status": "queued",
            "attempts": 0,
            "error": None,
            "result": None,
            "created_at": utc_now(),
            "finished_at": None,
        }
