"""Messages of a thread: sending one runs the agent."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ai_agents.core.exceptions import RequestError, RunCancelled, ThreadNotFound
from ai_agents.core.ids import is_id
from ai_agents.core.rows import Run
from ai_agents.runner.runner import RunResult
from ai_agents.streams.cursor import MAX_EVENT_ID
from app.authentication import AppContainer, ScopedUser, StreamRight
from app.dependencies import OnThread, Paging, fingerprint, header_of, read_model
from app.event_streams import MEDIA_TYPE, EventStreamResponse, OpenStreams
from app.middleware import REQUEST_ID
from app.openapi import BODY, EVENTS, ONCE, PAGE, REF, USER, failures, headers, request_body
from app.overload import Overload
from app.problems import problem_of_run
from app.replays import IdempotencyKey, sent_key
from app.responses import JSON, JsonResponse, no_content
from app.schemas.answers import MessagePage, MessageRead, RunRead
from app.schemas.common import MAX_ID
from app.schemas.threads import CreateMessage
from app.services import messages
from app.services.repeats import require_repeated
from app.strict_routes import StrictRoute
from app.turns import LargeTurn

router = APIRouter(route_class=StrictRoute, tags=["messages"])
AnswerForm = Literal["json", "events", "async"]
# How much of a `Prefer` is read.
_MAX_PREFER = 1000


@router.post(
    "/threads/{thread_id}/messages",
    status_code=201,
    response_model=MessageRead,
    response_description="The assistant's message.",
    responses={
        200: {"description": "The run's events, to its last.", "content": EVENTS},
        201: headers("Location"),
        204: {"description": "A repeated stream whose last event the client has already."},
        202: {
            "model": RunRead,
            "description": "The run, active or waiting for approval.",
            **headers("Location", "Preference-Applied"),
        },
        **failures(
            *USER, *BODY, *ONCE, "not_found", "forbidden", "thread_busy", "agent_deleted", "run_cancelled",
            "guardrail_blocked", "invalid_event_id", "context_overflow", "tool_loop_limit", "queue_full",
            "quota_exceeded", "budget_exceeded", "provider_rate_limited", "provider_error", "provider_rejected",
            "provider_truncated", "provider_timeout", "provider_not_configured", "run_interrupted", "overloaded",
        ),
    },
    openapi_extra=request_body(JSON, {"$ref": REF.format(model="CreateMessage")}),
)  # fmt: skip
async def create_message(
    request: Request,
    thread_id: str,
    user: ScopedUser,
    container: AppContainer,
    key: IdempotencyKey,
    prefer: Annotated[
        str | None,
        header_of("Prefer", _MAX_PREFER, "`respond-async`: answer at once, with the run."),
    ] = None,
    last_event_id: Annotated[
        str | None,
        header_of(
            "Last-Event-ID",
            MAX_EVENT_ID,
            "For a stream that is asked for again with its `Idempotency-Key`: go on after this event.",
        ),
    ] = None,
) -> Response:
    """Send a message and get the agent's answer.

    The request waits for the answer. With `Accept: text/event-stream` or `"stream": true` the answer comes as events
    while the agent writes it. With `Prefer: respond-async` the request returns the run at once. The run goes on if the
    client leaves.
    """
    if not is_id(thread_id):
        raise ThreadNotFound
    right = StreamRight(container, user, thread_id)
    try:
        body = await read_model(request, CreateMessage)
        form = _form(request, body, prefer)
        sent = sent_key(request, key, fingerprint(request, without="stream") if key else "")
        await require_repeated(container, user, sent)
        streams: OpenStreams = request.app.state.streams
        if form == "events":
            streams.check(user)
        started = await messages.start_run(
            container,
            user,
            thread_id,
            body,
            sent=sent,
            follow=form == "events",
            right=right,
        )
    except RequestError as error:
        raise await messages.error_for(container, user, thread_id, error) from error
    if form == "events":
        reader = await messages.follow_run(container, started, right, after=last_event_id)
        if reader is None:
            return no_content()
        return EventStreamResponse(reader, user=user, streams=streams, has_begun=True)
    if form == "async":
        return _accepted(started.run, applied=True)
    overload: Overload = request.app.state.overload
    overload.let_go(request.scope)
    result = await messages.wait_for_answer(container, started, right)
    return _answer(request, result)


@router.get(
    "/threads/{thread_id}/messages",
    response_model=MessagePage,
    response_description="The thread's history.",
    responses=failures(*USER, *PAGE, "not_found"),
)
async def list_messages(
    thread: OnThread,
    container: AppContainer,
    page: Paging,
    _turn: LargeTurn,
    order: Annotated[Literal["asc", "desc"], Query(description="`desc`: newest first.")] = "asc",
    around: Annotated[
        str | None,
        Query(
            json_schema_extra={"maxLength": MAX_ID},
            description="The id of a message: the page in whose middle it stands. Not together with `after`.",
        ),
    ] = None,
) -> Response:
    """The history of a thread, including tool calls and their results. Queued messages are not in it yet."""
    return JsonResponse(await messages.list_messages(container, thread, page, around=around, order=order))


@router.get(
    "/threads/{thread_id}/messages/{message_id}",
    response_model=MessageRead,
    response_description="The message.",
    responses=failures(*USER, "not_found"),
)
async def get_message(thread: OnThread, message_id: str, container: AppContainer) -> Response:
    """One message."""
    return JsonResponse(await messages.get_message(container, thread, message_id))


def _form(request: Request, body: CreateMessage, prefer: str | None) -> AnswerForm:
    """The form of the answer that the client asks for."""
    if body.stream or MEDIA_TYPE in request.headers.get("accept", "").lower():
        return "events"
    preferences = () if prefer is None else prefer[:_MAX_PREFER].lower().replace(";", ",").split(",")
    return "async" if "respond-async" in (each.strip() for each in preferences) else "json"


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
