"""Retries: the message of a thread's last run is answered anew."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.authentication import AppContainer, ScopedUser, StreamRight
from app.dependencies import OnThread, fingerprint, read_model_or_nothing
from app.event_streams import OpenStreams
from app.openapi import REF, request_body
from app.replays import IdempotencyKey, sent_key
from app.responses import JSON
from app.run_answers import Prefer, RepeatedAfter, answer_started, answers, form_of
from app.schemas.answers.messages import MessageRead
from app.schemas.threads import RetryRun
from app.services import messages, runs
from app.services.repeats import require_repeated
from app.strict_routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["runs"])


@router.post(
    "/threads/{thread_id}/runs/{run_id}/retry",
    status_code=201,
    response_model=MessageRead,
    response_description="The assistant's message.",
    responses=answers("conflict"),
    openapi_extra=request_body(JSON, {"$ref": REF.format(model="RetryRun")}, required=False),
)
async def retry_run(
    request: Request,
    thread: OnThread,
    run_id: str,
    user: ScopedUser,
    container: AppContainer,
    key: IdempotencyKey,
    prefer: Prefer = None,
    last_event_id: RepeatedAfter = None,
) -> Response:
    """Answer the message of the thread's last run anew, in a new run.

    What the run had answered stays in the history, marked `superseded`, and no model is sent it any more. The request
    is answered in the same forms as a new message.
    """
    body = await read_model_or_nothing(request, RetryRun)
    await runs.get_run(container, user, thread, run_id)
    right = StreamRight(container, user, thread.thread_id)
    form = form_of(request, stream=body.stream, prefer=prefer)
    sent = sent_key(request, key, fingerprint(request, without="stream") if key else "")
    await require_repeated(container, user, sent)
    if form == "events":
        streams: OpenStreams = request.app.state.streams
        streams.check(user)
    started = await messages.start_retry(
        container, user, thread.thread_id, run_id, sent=sent, follow=form == "events", right=right
    )
    return await answer_started(request, container, user, started, form=form, right=right, after=last_event_id)
