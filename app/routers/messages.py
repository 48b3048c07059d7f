"""Messages of a thread: sending one runs the agent."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ai_agents.core.exceptions import RequestError, ThreadNotFound
from ai_agents.core.ids import is_id
from app.authentication import AppContainer, ScopedUser, StreamRight
from app.dependencies import OnThread, Paging, fingerprint, read_model
from app.event_streams import OpenStreams
from app.openapi import PAGE, REF, USER, failures, request_body
from app.replays import IdempotencyKey, sent_key
from app.responses import JSON, JsonResponse
from app.run_answers import Prefer, RepeatedAfter, answer_started, answers, form_of
from app.schemas.answers.messages import MessagePage, MessageRead
from app.schemas.common import MAX_ID
from app.schemas.threads import CreateMessage
from app.services import messages
from app.services.repeats import require_repeated
from app.strict_routes import StrictRoute
from app.turns import LargeTurn

router = APIRouter(route_class=StrictRoute, tags=["messages"])


@router.post(
    "/threads/{thread_id}/messages",
    status_code=201,
    response_model=MessageRead,
    response_description="The assistant's message.",
    responses=answers("queue_full"),
    openapi_extra=request_body(JSON, {"$ref": REF.format(model="CreateMessage")}),
)
async def create_message(
    request: Request,
    thread_id: str,
    user: ScopedUser,
    container: AppContainer,
    key: IdempotencyKey,
    prefer: Prefer = None,
    last_event_id: RepeatedAfter = None,
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
        form = form_of(request, stream=body.stream, prefer=prefer)
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
    return await answer_started(request, container, user, started, form=form, right=right, after=last_event_id)


@router.get(
    "/threads/{thread_id}/messages",
    response_model=MessagePage,
    response_description="The thread's history.",
    responses=failures(*USER, *PAGE, "not_found"),
)
async def list_messages(
    thread: OnThread,
    user: ScopedUser,
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
    return JsonResponse(await messages.list_messages(container, user, thread, page, around=around, order=order))


@router.get(
    "/threads/{thread_id}/messages/{message_id}",
    response_model=MessageRead,
    response_description="The message.",
    responses=failures(*USER, "not_found"),
)
async def get_message(thread: OnThread, user: ScopedUser, message_id: str, container: AppContainer) -> Response:
    """One message."""
    return JsonResponse(await messages.get_message(container, user, thread, message_id))
