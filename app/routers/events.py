"""Events of a thread."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.dependencies import AppContainer, LastEventId, Paging, ReadsThread
from app.described import EVENTS, PAGE, USER, failures
from app.event_streams import MEDIA_TYPE, EventStreamResponse, OpenStreams
from app.responses import JSON, JsonResponse
from app.schemas.answers import EventPage
from app.services import events

router = APIRouter(tags=["events"])


@router.get(
    "/threads/{thread_id}/events",
    response_model=EventPage,
    response_description="Events as they happen, or the log as a list.",
    responses={200: {"content": EVENTS}, **failures(*USER, *PAGE, "invalid_event_id", "not_found")},
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
        found = await events.list_events(container, reader.thread.thread_id, page, newest_first=order == "desc")
        return JsonResponse(found)
    streams: OpenStreams = request.app.state.streams
    streams.check(reader.user)
    stream = await events.read_thread(container, reader, after=last_event_id)
    return EventStreamResponse(stream, user_id=reader.user.user_id, streams=streams)
