"""Runs of a thread, and their events."""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.bodies import json_body
from app.dependencies import AppContainer, LastEventId, OnThread, Paging, ReadsThread, User
from app.described import BODY, EVENTS, PAGE, USER, failures, json_request
from app.event_streams import EventStreamResponse, OpenStreams
from app.responses import JsonResponse, no_content
from app.schemas.answers import RunPage, RunRead
from app.schemas.threads import Approval
from app.services import events, runs

router = APIRouter(tags=["runs"])


@router.get(
    "/threads/{thread_id}/runs",
    response_model=RunPage,
    response_description="The thread's runs.",
    responses=failures(*USER, *PAGE, "not_found"),
)
async def list_runs(thread: OnThread, container: AppContainer, page: Paging) -> Response:
    """The runs of a thread, newest first."""
    return JsonResponse(await runs.list_runs(container, thread, page))


@router.get(
    "/threads/{thread_id}/runs/{run_id}",
    response_model=RunRead,
    response_description="The run.",
    responses=failures(*USER, "not_found"),
)
async def get_run(thread: OnThread, run_id: str, container: AppContainer) -> Response:
    """One run."""
    return JsonResponse(await runs.get_run(container, thread, run_id))


@router.get(
    "/threads/{thread_id}/runs/{run_id}/events",
    response_class=EventStreamResponse,
    status_code=200,
    response_description="The run's events, to its last.",
    responses={
        200: {"content": EVENTS},
        204: {"description": "The client has the last event already."},
        **failures(*USER, "invalid_request", "invalid_event_id", "not_found"),
    },
)
async def stream_run_events(
    request: Request, reader: ReadsThread, run_id: str, container: AppContainer, last_event_id: LastEventId
) -> Response:
    """The events of a run from its first, or after the one named. The stream ends with the run's terminal event."""
    streams: OpenStreams = request.app.state.streams
    streams.check(reader.user)
    stream = await events.read_run(container, reader, run_id, after=last_event_id)
    if stream is None:
        return no_content()
    return EventStreamResponse(stream, user_id=reader.user.user_id, streams=streams)


@router.post(
    "/threads/{thread_id}/runs/{run_id}/cancel",
    response_model=RunRead,
    response_description="The run as it ended.",
    responses=failures(*USER, "not_found", "forbidden"),
)
async def cancel_run(thread: OnThread, run_id: str, user: User, container: AppContainer) -> Response:
    """Cancel a run. Its text so far is kept. A run that has ended stays as it is."""
    return JsonResponse(await runs.cancel_run(container, user, thread, run_id))


@router.post(
    "/threads/{thread_id}/runs/{run_id}/approvals",
    response_model=RunRead,
    response_description="The run. It goes on when no tool call waits for approval.",
    responses=failures(*USER, *BODY, "not_found", "forbidden", "conflict", "guardrail_blocked", "overloaded"),
    openapi_extra=json_request(Approval),
)
async def decide_tool_call(
    thread: OnThread,
    run_id: str,
    user: User,
    container: AppContainer,
    body: Annotated[Approval, json_body(Approval)],
) -> Response:
    """Approve or refuse a tool call that waits for a person. The model gets a refusal as the result of the call."""
    return JsonResponse(await runs.decide_tool_call(container, user, thread, run_id, body))
