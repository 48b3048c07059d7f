"""Runs of a thread: how its messages were answered, and their events."""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.bodies import json_body
from app.dependencies import AppContainer, LastEventId, OnThread, Paging, ReadsThread, User
from app.responses import JsonResponse, no_content
from app.routers.documented import answer, problems
from app.routers.sse import EventStreamResponse, OpenStreams
from app.schemas.runs import Approval, RunPage, RunRead
from app.services import events, runs

router = APIRouter(tags=["runs"])


@router.get("/threads/{thread_id}/runs", responses=answer(200, RunPage, "The thread's runs."))
async def list_runs(thread: OnThread, container: AppContainer, page: Paging) -> Response:
    """The runs of a thread, newest first."""
    return JsonResponse(await runs.list_runs(container, thread, page))


@router.get("/threads/{thread_id}/runs/{run_id}", responses=answer(200, RunRead, "The run."))
async def get_run(thread: OnThread, run_id: str, container: AppContainer) -> Response:
    """One run."""
    return JsonResponse(await runs.get_run(container, thread, run_id))


@router.get(
    "/threads/{thread_id}/runs/{run_id}/events",
    responses={
        **answer(200, None, "The run's events, to its last.", events=True),
        **answer(204, None, "The last event has been sent already."),
        **problems("invalid_event_id", "rate_limited"),
    },
)
async def stream_run_events(
    request: Request, reader: ReadsThread, run_id: str, container: AppContainer, last_event_id: LastEventId
) -> Response:
    """The events of a run from its first, or after the one named; ends with its terminal event."""
    streams: OpenStreams = request.app.state.streams
    streams.check(reader.user)
    stream = await events.read_run(container, reader, run_id, after=last_event_id)
    if stream is None:
        return no_content()
    return EventStreamResponse(stream, user_id=reader.user.user_id, streams=streams)


@router.post(
    "/threads/{thread_id}/runs/{run_id}/cancel",
    responses={**answer(200, RunRead, "The run as it ended."), **problems("forbidden")},
)
async def cancel_run(thread: OnThread, run_id: str, user: User, container: AppContainer) -> Response:
    """Stop a run. What was said so far is kept; a run that has ended is answered as it is."""
    return JsonResponse(await runs.cancel_run(container, user, thread, run_id))


@router.post(
    "/threads/{thread_id}/runs/{run_id}/approvals",
    responses={
        **answer(200, RunRead, "The run: it goes on once nothing waits any more."),
        **problems("forbidden", "conflict", "guardrail_blocked", "overloaded"),
    },
)
async def decide_tool_call(
    thread: OnThread,
    run_id: str,
    user: User,
    container: AppContainer,
    body: Annotated[Approval, json_body(Approval)],
) -> Response:
    """Say whether a tool call that waits for a person may be made. A call that is refused is told to the model."""
    return JsonResponse(await runs.decide_tool_call(container, user, thread, run_id, body))
