"""Runs of a thread, the events of threads and runs, and tickets for browsers' event streams."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ai_agents.core.types import RunStatus
from app.authentication import AppContainer, ReadsThread, ScopedUser
from app.dependencies import LastEventId, OnThread, Paging, Shared, json_body
from app.event_streams import MEDIA_TYPE, EventStreamResponse, OpenStreams
from app.openapi import BODY, EVENTS, PAGE, USER, failures
from app.responses import JSON, JsonResponse, no_content
from app.schemas.access import CreateTicket
from app.schemas.answers.access import TicketRead
from app.schemas.answers.approvals import ApprovalPage
from app.schemas.answers.runs import EventPage, RunDetails, RunPage, RunRead
from app.schemas.common import MAX_ID
from app.schemas.threads import Approval, ToolResults
from app.services import access, runs
from app.strict_routes import StrictRoute
from app.turns import LargeTurn

router = APIRouter(route_class=StrictRoute)


@router.get(
    "/threads/{thread_id}/runs",
    tags=["runs"],
    response_model=RunPage,
    response_description="The thread's runs.",
    responses=failures(*USER, *PAGE, "not_found"),
)
async def list_runs(
    thread: OnThread, user: ScopedUser, container: AppContainer, page: Paging, _turn: LargeTurn
) -> Response:
    """The runs of a thread, newest first. Admins and editors of the agent see what providers said (`upstream`)."""
    return JsonResponse(await runs.list_runs(container, user, thread, page))


@router.get(
    "/runs",
    tags=["runs"],
    response_model=RunPage,
    response_description="Runs.",
    responses=failures(*USER, *PAGE),
)
async def list_all_runs(
    user: ScopedUser,
    container: AppContainer,
    page: Paging,
    _turn: LargeTurn,
    status: Annotated[RunStatus | None, Query(description="Only runs with this status.")] = None,
    agent_id: Annotated[
        str | None, Query(json_schema_extra={"maxLength": MAX_ID}, description="Only runs of this agent.")
    ] = None,
    shared: Shared = False,
) -> Response:
    """The runs of all threads that the user sees, newest first."""
    return JsonResponse(
        await runs.list_all_runs(container, user, page, status=status, agent_id=agent_id, shared=shared)
    )


@router.get(
    "/threads/{thread_id}/runs/{run_id}",
    tags=["runs"],
    response_model=RunDetails,
    response_description="The run.",
    responses=failures(*USER, "not_found"),
)
async def get_run(thread: OnThread, run_id: str, user: ScopedUser, container: AppContainer) -> Response:
    """One run. Admins and editors of the agent see what providers said (`upstream`)."""
    return JsonResponse(await runs.get_run(container, user, thread, run_id))


@router.get(
    "/threads/{thread_id}/runs/{run_id}/events",
    tags=["runs"],
    response_class=EventStreamResponse,
    status_code=200,
    response_description="The run's events, to its last.",
    responses={
        200: {"content": EVENTS},
        204: {"description": "The client has the last event already."},
        **failures(*USER, "invalid_request", "invalid_event_id", "not_found", "log_trimmed"),
    },
)
async def stream_run_events(
    request: Request, reader: ReadsThread, run_id: str, container: AppContainer, last_event_id: LastEventId
) -> Response:
    """The events of a run from its first, or after the one named. The stream ends with the run's terminal event."""
    streams: OpenStreams = request.app.state.streams
    streams.check(reader.user)
    stream = await runs.read_run(container, reader.thread, run_id, after=last_event_id, right=reader.right)
    if stream is None:
        return no_content()
    return EventStreamResponse(stream, user=reader.user, streams=streams)


@router.post(
    "/threads/{thread_id}/runs/{run_id}/cancel",
    tags=["runs"],
    response_model=RunRead,
    response_description="The run as it ended.",
    responses=failures(*USER, "not_found", "forbidden"),
)
async def cancel_run(thread: OnThread, run_id: str, user: ScopedUser, container: AppContainer) -> Response:
    """Cancel a run. Its text so far is kept. A run that has ended stays as it is."""
    return JsonResponse(await runs.cancel_run(container, user, thread, run_id))


@router.post(
    "/threads/{thread_id}/runs/{run_id}/approvals",
    tags=["runs"],
    response_model=RunRead,
    response_description="The run. It goes on when no tool call waits for approval.",
    responses=failures(*USER, *BODY, "not_found", "forbidden", "conflict", "guardrail_blocked", "overloaded"),
)
async def decide_tool_call(
    thread: OnThread,
    run_id: str,
    user: ScopedUser,
    container: AppContainer,
    body: Annotated[Approval, json_body(Approval)],
) -> Response:
    """Approve or refuse a tool call that waits for a person. The model gets a refusal as the result of the call."""
    return JsonResponse(await runs.decide_tool_call(container, user, thread, run_id, body))


@router.post(
    "/threads/{thread_id}/runs/{run_id}/tool_results",
    tags=["runs"],
    response_model=RunRead,
    response_description="The run. It goes on when no tool call waits any more.",
    responses=failures(
        *USER, *BODY, "not_found", "forbidden", "agent_deleted", "conflict", "budget_exceeded", "overloaded"
    ),
)
async def give_tool_results(
    thread: OnThread,
    run_id: str,
    user: ScopedUser,
    container: AppContainer,
    body: Annotated[ToolResults, json_body(ToolResults)],
) -> Response:
    """Give results of calls of the tools that came with the run's message (`client_calls` of `run.waiting`)."""
    given = await runs.give_results(container, user, thread, run_id, body)
    return JsonResponse(given.run)


@router.get(
    "/approvals",
    tags=["runs"],
    response_model=ApprovalPage,
    response_description="Tool calls that wait.",
    responses=failures(*USER, *PAGE),
)
async def list_approvals(
    user: ScopedUser, container: AppContainer, page: Paging, _turn: LargeTurn, shared: Shared = False
) -> Response:
    """The tool calls that wait for a person and on which the user may decide, in all threads, newest first."""
    return JsonResponse(await runs.list_approvals(container, user, page, shared=shared))


@router.get(
    "/threads/{thread_id}/events",
    tags=["events"],
    response_model=EventPage,
    response_description="Events as they happen, or the log as a list.",
    responses={200: {"content": EVENTS}, **failures(*USER, *PAGE, "invalid_event_id", "not_found", "log_trimmed")},
)
async def stream_thread_events(
    request: Request,
    reader: ReadsThread,
    container: AppContainer,
    last_event_id: LastEventId,
    page: Paging,
    order: Annotated[Literal["asc", "desc"], Query(description="Of the list: `desc` is newest first.")] = "asc",
) -> Response:
    """All events of a thread from now on, or after the event named.

    With `Accept: application/json`: the thread's log as a list, where `after` is an event's id.
    """
    accept = request.headers.get("accept", "").lower()
    if JSON in accept and MEDIA_TYPE not in accept:
        async with request.app.state.turns.large.turn(reader.user):
            found = await runs.list_events(container, reader.thread.thread_id, page, newest_first=order == "desc")
            return JsonResponse(found)
    streams: OpenStreams = request.app.state.streams
    streams.check(reader.user)
    stream = await runs.read_thread(container, reader.thread, after=last_event_id, right=reader.right)
    return EventStreamResponse(stream, user=reader.user, streams=streams)


@router.post(
    "/tickets",
    tags=["events"],
    status_code=201,
    response_model=TicketRead,
    response_description="The ticket. It is shown only in this answer.",
    responses=failures(*USER, *BODY, "not_found"),
)
async def create_ticket(
    user: ScopedUser, container: AppContainer, body: Annotated[CreateTicket, json_body(CreateTicket)]
) -> Response:
    """Create a ticket that reads one thread's streams, as `?ticket=` in the address of an EventSource.

    Without `thread_id` it opens `GET /events` instead.

    It is valid for 10 minutes. A use, and an open stream, extends it, up to 24 hours in all.
    """
    return JsonResponse(await access.create_ticket(container, user, body), 201)
