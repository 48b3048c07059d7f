"""The routes of `useChat`: a chat's messages, the stream that a page comes back to, and its end."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ai_agents.core.types import JsonObject
from app.authentication import AppContainer, ScopedUser, StreamRight
from app.container import Container
from app.dependencies import json_body
from app.doors.ai_sdk import service
from app.doors.ai_sdk.schemas import ChatBody, NewChatBody
from app.doors.ai_sdk.translator import HEADERS, ChatChunks
from app.doors.base import DoorRoute, admitted
from app.doors.begun import follow
from app.doors.streams import DoorStream
from app.event_streams import OpenStreams
from app.openapi import BODY, USER, ErrorForm, failures
from app.problems import run_headers
from app.responses import JsonResponse, no_content
from app.services.identity import Principal
from app.turns import LargeTurn

router = APIRouter(route_class=DoorRoute, tags=["ai-sdk"])
FORM = ErrorForm({"content": {"text/plain": {"schema": {"type": "string", "description": "What went wrong."}}}})
_STREAM: dict[str, Any] = {
    "text/event-stream": {"schema": {"type": "string", "description": "A UI message stream, version 1."}}
}
_SENT: dict[int | str, dict[str, Any]] = {
    200: {"content": _STREAM},
    **failures(
        *USER, *BODY, "not_found", "forbidden", "conflict", "thread_busy", "agent_deleted", "guardrail_blocked",
        "quota_exceeded", "budget_exceeded", "overloaded", form=FORM,
    ),
}  # fmt: skip
Version = Annotated[
    str | None,
    Query(alias="v", json_schema_extra={"maxLength": 2}, description="`7`: the page has version 7 of the SDK."),
]


class UiMessageRead(BaseModel):
    """A message as `useChat` takes it."""

    model_config = ConfigDict(extra="forbid")

    id: str
    role: str
    parts: list[JsonObject] = Field(max_length=100_000)


class ChatRead(BaseModel):
    """The messages of a chat, oldest first: the newest 1,000."""

    model_config = ConfigDict(extra="forbid")

    messages: list[UiMessageRead] = Field(max_length=service.MOST_SHOWN)


@router.post(
    "/ai-sdk/threads",
    response_class=Response,
    response_description="The answer as a UI message stream.",
    responses=_SENT,
)
async def send_to_chat(
    request: Request,
    user: ScopedUser,
    container: AppContainer,
    body: Annotated[NewChatBody, json_body(NewChatBody)],
    version: Version = None,
) -> Response:
    """Send the last message of a chat, as `useChat` does by itself: the chat's id is in the body."""
    return await _send(request, container, user, body.id, body, version)


@router.post(
    "/ai-sdk/threads/{thread_id}",
    response_class=Response,
    response_description="The answer as a UI message stream.",
    responses=_SENT,
)
async def send_to_thread(
    request: Request,
    thread_id: str,
    user: ScopedUser,
    container: AppContainer,
    body: Annotated[ChatBody, json_body(ChatBody)],
    version: Version = None,
) -> Response:
    """Send the last message of a chat. Its id is a thread's, or any text of the page's own."""
    return await _send(request, container, user, thread_id, body, version)


async def _send(
    request: Request, container: Container, user: Principal, chat_id: str, body: ChatBody, version: str | None
) -> Response:
    streams: OpenStreams = request.app.state.streams
    streams.check(user)
    begun, ask = await service.send(container, user, chat_id, body)
    admitted(request, begun.run)
    chunks = ChatChunks(begun.run["id"], resets=version == "7", asked=ask.answers.decisions)
    reader = await follow(container, begun, StreamRight(container, user, begun.run["thread_id"]))
    headers = HEADERS | run_headers(begun.run)
    return DoorStream(reader, chunks, user=user, streams=streams, headers=headers)


@router.get(
    "/ai-sdk/threads/{thread_id}/stream",
    response_class=Response,
    response_description="The answer that is under way, from its start.",
    responses={
        200: {"content": _STREAM},
        204: {"description": "Nothing is under way."},
        **failures(*USER, "not_found", form=FORM),
    },
)
async def resume_chat(
    request: Request, thread_id: str, user: ScopedUser, container: AppContainer, version: Version = None
) -> Response:
    """Come back to the answer that is under way, or waits for the page."""
    streams: OpenStreams = request.app.state.streams
    streams.check(user)
    found = await service.find_under_way(container, user, thread_id)
    if found is None:
        return no_content()
    run = found.run
    right = StreamRight(container, user, run["thread_id"])
    reader = await container.runner.read_run(run["thread_id"], run["id"], right=right)
    if reader is None:
        return no_content()
    chunks = ChatChunks(run["id"], resets=version == "7", past_waits=found.past_waits)
    headers = HEADERS | run_headers(run)
    return DoorStream(reader, chunks, user=user, streams=streams, headers=headers, has_begun=False)


@router.get(
    "/ai-sdk/threads/{thread_id}/messages",
    response_model=ChatRead,
    response_description="The messages.",
    responses=failures(*USER, "not_found", form=FORM),
)
async def list_chat(thread_id: str, user: ScopedUser, container: AppContainer, _turn: LargeTurn) -> Response:
    """The messages of a chat, for a page that opens it: `useChat({ messages })`."""
    return JsonResponse({"messages": await service.list_chat(container, user, thread_id)})


@router.post(
    "/ai-sdk/threads/{thread_id}/stop",
    status_code=204,
    response_class=Response,
    response_description="Nothing is under way any more.",
    responses=failures(*USER, "not_found", "forbidden", form=FORM),
)
async def stop_chat(thread_id: str, user: ScopedUser, container: AppContainer) -> Response:
    """End the answer that is under way. What it has said so far is kept. `useChat`'s own `stop()` only disconnects."""
    await service.stop(container, user, thread_id)
    return no_content()
