"""How a request that begins a run is answered: with the agent's message, the run's events, or the run at once."""

from typing import Annotated, Any, Literal

from fastapi import Request
from starlette.responses import Response

from ai_agents.core.exceptions import RunCancelled
from ai_agents.core.rows import Run
from ai_agents.runner.outcomes import RunResult, Started
from ai_agents.streams.cursor import MAX_EVENT_ID
from ai_agents.streams.rights import ReadRight
from app.container import Container
from app.dependencies import header_of
from app.event_streams import MEDIA_TYPE, EventStreamResponse, OpenStreams
from app.middleware import REQUEST_ID
from app.openapi import BODY, EVENTS, ONCE, USER, Responses, failures, headers
from app.overload import Overload
from app.problems import problem_of_run
from app.responses import JsonResponse, no_content
from app.schemas.answers.runs import RunRead
from app.services import messages
from app.services.identity import Principal

AnswerForm = Literal["json", "events", "async"]
# How much of a `Prefer` is read.
_MAX_PREFER = 1000
Prefer = Annotated[str | None, header_of("Prefer", _MAX_PREFER, "`respond-async`: answer at once, with the run.")]
RepeatedAfter = Annotated[
    str | None,
    header_of(
        "Last-Event-ID",
        MAX_EVENT_ID,
        "For a stream that is asked for again with its `Idempotency-Key`: go on after this event.",
    ),
]


def answers(*codes: str) -> Responses:
    """What a route that begins a run declares that it answers. `codes` are those of its own problems."""
    found: dict[int | str, dict[str, Any]] = {
        200: {"description": "The run's events, to its last.", "content": EVENTS},
        201: headers("Location"),
        204: {"description": "A repeated stream whose last event the client has already."},
        202: {
            "model": RunRead,
            "description": "The run, active or waiting for approval.",
            **headers("Location", "Preference-Applied"),
        },
        **failures(
            *USER, *BODY, *ONCE, *codes, "not_found", "forbidden", "thread_busy", "agent_deleted", "run_cancelled",
            "guardrail_blocked", "invalid_event_id", "log_trimmed", "context_overflow", "tool_loop_limit",
            "quota_exceeded", "budget_exceeded", "provider_rate_limited", "provider_error", "provider_rejected",
            "provider_truncated", "provider_timeout", "provider_not_configured", "run_interrupted", "overloaded",
        ),
    }  # fmt: skip
    return found


def form_of(request: Request, *, stream: bool, prefer: str | None) -> AnswerForm:
    """The form of the answer that the client asks for; `stream` is what the body says."""
    if stream or MEDIA_TYPE in request.headers.get("accept", "").lower():
        return "events"
    preferences = () if prefer is None else prefer[:_MAX_PREFER].lower().replace(";", ",").split(",")
    return "async" if "respond-async" in (each.strip() for each in preferences) else "json"


async def answer_started(
    request: Request,
    container: Container,
    user: Principal,
    started: Started,
    *,
    form: AnswerForm,
    right: ReadRight,
    after: str | None,
) -> Response:
    """The answer to a request whose run has begun, or is to begin. A repeated stream goes on `after` an event.

    Raises `ThreadNotFound` if the right to read was lost, `RunCancelled`, `InvalidEventId`, `LogTrimmed`.
    """
    if form == "events":
        reader = await messages.follow_run(container, started, right, after=after)
        if reader is None:
            return no_content()
        streams: OpenStreams = request.app.state.streams
        return EventStreamResponse(reader, user=user, streams=streams, has_begun=True)
    if form == "async":
        return _accepted(started.run, applied=True)
    overload: Overload = request.app.state.overload
    overload.let_go(request.scope)
    return _answer(request, await messages.wait_for_answer(container, started, right))


def _accepted(run: Run, *, applied: bool) -> Response:
    headers = {"location": f"/threads/{run['thread_id']}/runs/{run['id']}"}
    if applied:
        headers["preference-applied"] = "respond-async"
    return JsonResponse(run, 202, headers=headers)


def _answer(request: Request, result: RunResult) -> Response:
    """The answer to a message, whose run has perhaps ended or waits for approval. Raises `RunCancelled`."""
    run, message = result.run, result.message
    if result.failure is not None:
        return problem_of_run(run, request_id=request.scope[REQUEST_ID])
    if message is None and run["status"] == "waiting":
        return _accepted(run, applied=False)
    if message is None:
        raise RunCancelled
    location = f"/threads/{run['thread_id']}/messages/{message['id']}"
    return JsonResponse(message, 201, headers={"location": location})
