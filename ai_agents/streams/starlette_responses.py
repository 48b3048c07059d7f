"""The responses of `sse_response`. Only this module imports Starlette."""

from collections.abc import AsyncGenerator, Mapping

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ai_agents.core import json
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.core.problems import problem_of

_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}
# The `Retry-After` of an error that does not say when to try again.
_RETRY_AFTER_S = 1


class EventStreamResponse(StreamingResponse):
    """Frames as an answer. However it ends, their source is closed."""

    def __init__(
        self, frames: AsyncGenerator[bytes], *, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(frames, status_code=status_code, headers={**_HEADERS, **(headers or {})})
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._frames.aclose()


class ProblemResponse(Response):
    """An error of the framework as an answer, `application/problem+json`."""

    def __init__(self, error: AIAgentsError) -> None:
        problem = problem_of(error)
        super().__init__(json.dumps(problem), problem["status"], media_type="application/problem+json")
        if problem["status"] in {429, 503}:
            self.headers["retry-after"] = str(max(1, round(error.retry_after_s or _RETRY_AFTER_S)))
