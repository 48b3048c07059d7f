"""Hints about all threads of a user, as an event stream."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.authentication import AppContainer, FollowsThreads
from app.dependencies import Shared
from app.event_streams import EventStreamResponse, OpenStreams
from app.openapi import FEED, USER, failures
from app.services import runs
from app.strict_routes import StrictRoute

router = APIRouter(route_class=StrictRoute)


@router.get(
    "/events",
    tags=["events"],
    response_class=EventStreamResponse,
    status_code=200,
    response_description="Hints as things happen.",
    responses={200: {"content": FEED}, **failures(*USER, "invalid_request")},
)
async def follow_threads(
    request: Request, follower: FollowsThreads, container: AppContainer, shared: Shared = False
) -> Response:
    """Hints that something happened in one of the threads that the user sees: list it again, or show it as told.

    They come within about a second, have no ids and may be merged: after a reconnect, list the threads again. An
    EventSource opens this with a ticket from `POST /tickets` `{}`.
    """
    streams: OpenStreams = request.app.state.streams
    streams.check(follower.user)
    reader = await runs.follow_threads(container, follower.user, shared=shared, right=follower.right)
    return EventStreamResponse(reader, user=follower.user, streams=streams)
