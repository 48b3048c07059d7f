"""The routes of responses."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ai_agents.core.types import JsonObject
from app.authentication import AppContainer, ScopedUser, StreamRight
from app.dependencies import json_body
from app.doors.base import DoorRoute, RetryCount, admitted, key_of
from app.doors.openai_errors import FORM
from app.doors.responses import service
from app.doors.responses.lists import ItemPage, Items, page_of
from app.doors.responses.reading import StoredResponse, input_of
from app.doors.responses.schemas import CreateResponse
from app.doors.responses.stream import ResponseStream, frames_after
from app.doors.streams import DoorStream
from app.event_streams import OpenStreams
from app.openapi import BODY, EVENTS, ONCE, USER, failures
from app.overload import Overload
from app.problems import run_headers
from app.replays import IdempotencyKey
from app.responses import JsonResponse

router = APIRouter(route_class=DoorRoute, tags=["openai"])


async def seen_response(response_id: str, user: ScopedUser, container: AppContainer) -> StoredResponse:
    """The response of the path. Raises `ResponseNotFound`."""
    return await service.find_response(container, user, response_id)


OnResponse = Annotated[StoredResponse, Depends(seen_response)]


class ResponseRead(BaseModel):
    """A response, with every member that the protocol knows; null, or its default, where there is nothing to say."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: str
    created_at: int
    completed_at: int | None
    status: str
    model: str
    output: list[JsonObject] = Field(max_length=10_000)
    usage: JsonObject | None
    error: JsonObject | None
    incomplete_details: JsonObject | None
    previous_response_id: str | None
    metadata: dict[str, str]


class DeletedResponse(BaseModel):
    """A response that was deleted."""

    id: str
    object: str
    deleted: bool


@router.post(
    "/v1/responses",
    response_model=ResponseRead,
    response_description="The response, or its events.",
    responses={
        200: {"content": EVENTS},
        **failures(
            *USER, *BODY, *ONCE, "not_found", "forbidden", "thread_busy", "agent_deleted", "guardrail_blocked",
            "model_not_found", "conflict", "quota_exceeded", "budget_exceeded", "overloaded", "run_cancelled",
            form=FORM,
        ),
    },
)  # fmt: skip
async def create_response(
    request: Request,
    user: ScopedUser,
    container: AppContainer,
    key: IdempotencyKey,
    body: Annotated[CreateResponse, json_body(CreateResponse)],
    *,
    retry_count: RetryCount = None,
) -> Response:
    """Say something to an agent, or answer its calls, and get the response: whole, as events, or in the background."""
    streams: OpenStreams = request.app.state.streams
    if body.stream:
        streams.check(user)
    begun = await service.begin(
        container,
        user,
        body,
        sent=key_of(request, key, retry_count),
        follow=bool(body.stream),
    )
    admitted(request, begun.run)
    headers = run_headers(begun.run)
    if body.stream:
        reader = await service.follow(container, begun)
        stream = ResponseStream(begun.frames(), is_part=begun.started is None)
        return DoorStream(reader, stream, user=user, streams=streams, headers=headers)
    if body.background:
        return JsonResponse(await service.now(container, begun), headers=headers)
    overload: Overload = request.app.state.overload
    overload.let_go(request.scope)
    return JsonResponse(await service.wait(container, begun), headers=headers)


@router.get(
    "/v1/responses/{response_id}",
    response_model=ResponseRead,
    response_description="The response, or its events.",
    responses={200: {"content": EVENTS}, **failures(*USER, "invalid_request", "not_found", "log_trimmed", form=FORM)},
)
async def get_response(
    request: Request,
    found: OnResponse,
    user: ScopedUser,
    container: AppContainer,
    *,
    stream: Annotated[bool, Query(description="As events: those that came and those that come.")] = False,
    starting_after: Annotated[
        int | None, Query(ge=0, le=2**53, description="Only events after this `sequence_number`.")
    ] = None,
) -> Response:
    """A response, as far as it has come. Its events can be asked for again at any time, under the same numbers."""
    if not stream:
        return JsonResponse(service.to_read(found))
    streams: OpenStreams = request.app.state.streams
    streams.check(user)
    frames = found.frames() if starting_after is None else frames_after(found, starting_after)
    right = StreamRight(container, user, found.run["thread_id"])
    reader = await service.read_part(container, found.run, found.id, right)
    translator = ResponseStream(frames, is_part=bool(found.id.after_seq))
    headers = run_headers(found.run)
    return DoorStream(reader, translator, user=user, streams=streams, headers=headers, has_begun=False)


@router.delete(
    "/v1/responses/{response_id}",
    response_model=DeletedResponse,
    response_description="The response is deleted.",
    responses=failures(*USER, "not_found", "forbidden", "conflict", form=FORM),
)
async def delete_response(found: OnResponse, user: ScopedUser, container: AppContainer) -> Response:
    """Delete a response. What was said stays in its conversation."""
    await service.delete(container, user, found)
    return JsonResponse({"id": str(found.id), "object": "response", "deleted": True})


@router.post(
    "/v1/responses/{response_id}/cancel",
    response_model=ResponseRead,
    response_description="The response as it ended.",
    responses=failures(*USER, "not_found", "forbidden", "log_trimmed", form=FORM),
)
async def cancel_response(found: OnResponse, user: ScopedUser, container: AppContainer) -> Response:
    """Cancel a response. What it has said so far is kept. One that has ended stays as it is."""
    return JsonResponse(await service.cancel(container, user, found))


@router.get(
    "/v1/responses/{response_id}/input_items",
    response_model=ItemPage,
    response_description="What was said.",
    responses=failures(*USER, "invalid_request", "invalid_cursor", "not_found", "log_trimmed", form=FORM),
)
async def list_input_items(found: OnResponse, container: AppContainer, page: Items) -> Response:
    """What the request of a response said: a message, or answers to calls."""
    said = await container.conn.database.read(lambda c: input_of(c, found))
    return JsonResponse(page_of(said, page))
