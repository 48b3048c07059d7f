"""Threads."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ai_agents.core.rows import Thread
from app.bodies import fingerprint, json_body
from app.dependencies import AppContainer, IdempotencyKey, IfMatch, OnThread, Paging, User
from app.described import BODY, ONCE, PAGE, USER, failures, headers, json_request
from app.responses import JsonResponse, created, etag, no_content, versioned
from app.schemas.answers import ThreadPage, ThreadRead
from app.schemas.threads import CreateThread, ForkThread, UpdateThread
from app.services import threads
from app.services.repeats import create_once

router = APIRouter(tags=["threads"])
_FIRST_VERSION = 1


@router.post(
    "/threads",
    status_code=201,
    response_model=ThreadRead,
    response_description="The new thread.",
    responses={
        201: headers("Location", "ETag"),
        **failures(*USER, *BODY, *ONCE, "not_found", "guardrail_blocked"),
    },
    openapi_extra=json_request(CreateThread),
)
async def create_thread(
    request: Request,
    user: User,
    container: AppContainer,
    key: IdempotencyKey,
    body: Annotated[CreateThread, json_body(CreateThread)],
) -> Response:
    """Start a conversation with an agent."""
    judged = await threads.judge_thread(container, user, body, key=key)
    thread = await create_once(
        container,
        user,
        lambda: threads.create_thread(container, user, judged),
        key=key,
        fingerprint=fingerprint(request),
    )
    return _created(thread)


@router.get("/threads", response_model=ThreadPage, response_description="Threads.", responses=failures(*USER, *PAGE))
async def list_threads(
    user: User,
    container: AppContainer,
    page: Paging,
    agent_id: Annotated[str | None, Query(description="Only threads with this agent.")] = None,
) -> Response:
    """The threads that the user sees, newest first."""
    return JsonResponse(await threads.list_threads(container, user, page, agent_id=agent_id))


@router.get(
    "/threads/{thread_id}",
    response_model=ThreadRead,
    response_description="The thread.",
    responses={200: headers("ETag"), **failures(*USER, "not_found")},
)
async def get_thread(thread: OnThread, container: AppContainer) -> Response:
    """One thread."""
    return versioned(*await threads.get_thread(container, thread))


@router.patch(
    "/threads/{thread_id}",
    response_model=ThreadRead,
    response_description="The thread.",
    responses={200: headers("ETag"), **failures(*USER, *BODY, "not_found", "forbidden", "precondition_failed")},
    openapi_extra=json_request(UpdateThread),
)
async def update_thread(
    thread: OnThread,
    user: User,
    container: AppContainer,
    versions: IfMatch,
    body: Annotated[UpdateThread, json_body(UpdateThread)],
) -> Response:
    """Change a thread's title, summary or metadata."""
    return versioned(*await threads.update_thread(container, user, thread, body, versions=versions))


@router.delete(
    "/threads/{thread_id}",
    status_code=204,
    response_description="The thread is deleted.",
    responses=failures(*USER, "not_found", "forbidden", "precondition_failed"),
)
async def delete_thread(thread: OnThread, user: User, container: AppContainer, versions: IfMatch) -> Response:
    """Delete a thread and everything in it. Its run is cancelled and its streams end."""
    await threads.delete_thread(container, user, thread, versions=versions)
    return no_content()


@router.post(
    "/threads/{thread_id}/fork",
    status_code=201,
    response_model=ThreadRead,
    response_description="The new thread.",
    responses={
        201: headers("Location", "ETag"),
        **failures(*USER, *BODY, *ONCE, "not_found", "forbidden", "agent_deleted"),
    },
    openapi_extra=json_request(ForkThread),
)
async def fork_thread(
    request: Request,
    thread: OnThread,
    user: User,
    container: AppContainer,
    key: IdempotencyKey,
    body: Annotated[ForkThread, json_body(ForkThread)],
) -> Response:
    """Create a thread with this thread's history up to a message."""
    forked = await create_once(
        container,
        user,
        lambda: threads.fork_thread(container, user, thread, body.message_id),
        key=key,
        fingerprint=fingerprint(request),
    )
    return _created(forked)


def _created(thread: Thread) -> Response:
    return created(thread, f"/threads/{thread['id']}", etag(_FIRST_VERSION))
