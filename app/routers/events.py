"""What happens in a thread."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.dependencies import LastEventId, Paging, ReadsStream, Services
from app.responses import JSON, JsonResponse
from app.routers.documented import answer, problems
from app.routers.sse import MEDIA_TYPE, EventStreamResponse, OpenStreams
from app.schemas.runs import EventPage
from app.services import events as service

router = APIRouter(tags=["events"])


@router.get(
    "/threads/{thread_id}/events",
    responses={
        **answer(200, EventPage, "Events as they happen, or the log as a list.", events=True),
        **problems("invalid_event_id", "rate_limited"),
    },
)
async def stream_thread_events(
    request: Request,
    reads: ReadsStream,
    services: Services,
    last_event_id: LastEventId,
    page: Paging,
    order: Annotated[Literal["asc", "desc"], Query(description="Of the list: `desc` is newest first.")] = "asc",
) -> Response:
    """Everything that happens in a thread from now on, or after the event named, whoever causes it.

    With `Accept: application/json`: the thread's log as a list, where `after` is an event's id.
    """
    accept = request.headers.get("accept", "").lower()
    if JSON in accept and MEDIA_TYPE not in accept:
        found = await service.list_events(services, reads.thread.thread_id, page, newest_first=order == "desc")
        return JsonResponse(found)
    streams: OpenStreams = request.app.state.streams
    streams.check(reads.user)
    reader = await service.read_thread(services, reads, after=last_event_id)
    return EventStreamResponse(reader, user_id=reads.user.user_id, streams=streams)
