"""Runs of a thread: how its messages were answered, and their events."""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from ai_agents.core.exceptions import RunNotFound
from app.bodies import json_body
from app.dependencies import LastEventId, OnThread, Paging, ReadsStream, Services, User, check_id
from app.responses import JsonResponse, no_content
from app.routers.documented import answer, problems
from app.routers.sse import EventStreamResponse, OpenStreams
from app.schemas.runs import Approval, RunPage, RunRead
from app.services import events
from app.services import runs as service

router = APIRouter(tags=["runs"])


@router.get("/threads/{thread_id}/runs", responses=answer(200, RunPage, "The thread's runs."))
async def list_runs(thread: OnThread, services: Services, page: Paging) -> Response:
    """The runs of a thread, newest first."""
    return JsonResponse(await services.runs.list(thread.thread_id, **page.arguments()))


@router.get("/threads/{thread_id}/runs/{run_id}", responses=answer(200, RunRead, "The run."))
async def get_run(thread: OnThread, run_id: str, services: Services) -> Response:
    """One run."""
    return JsonResponse(await services.runs.get(thread.thread_id, check_id(run_id, RunNotFound)))


@router.get(
    "/threads/{thread_id}/runs/{run_id}/events",
    responses={
        **answer(200, None, "The run's events, to its last.", events=True),
        **answer(204, None, "The last event has been sent already."),
        **problems("invalid_event_id", "rate_limited"),
    },
)
async def stream_run_events(
    request: Request, reads: ReadsStream, run_id: str, services: Services, last_event_id: LastEventId
) -> Response:
    """The events of a run from its first, or after the one named; ends with its terminal event."""
    streams: OpenStreams = request.app.state.streams
    check_id(run_id, RunNotFound)
    streams.check(reads.user)
    reader = await events.read_run(services, reads, run_id, after=last_event_id)
    if reader is None:
        return no_content()
    return EventStreamResponse(reader, user_id=reads.user.user_id, streams=streams)


@router.post(
    "/threads/{thread_id}/runs/{run_id}/cancel",
    responses={**answer(200, RunRead, "The run as it ended."), **problems("forbidden")},
)
async def cancel_run(thread: OnThread, run_id: str, user: User, services: Services) -> Response:
    """Stop a run. What was said so far is kept; a run that has ended is answered as it is."""
    return JsonResponse(await service.cancel(services, user, thread, run_id))


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
    services: Services,
    body: Annotated[Approval, json_body(Approval)],
) -> Response:
    """Say whether a tool call that waits for a person may be made. A call that is refused is told to the model."""
    return JsonResponse(await service.decide(services, user, thread, run_id, body))
