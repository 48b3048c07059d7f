"""Threads."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ai_agents.core.exceptions import MessageNotFound
from ai_agents.core.rows import Thread
from app.bodies import fingerprint, json_body
from app.dependencies import IdempotencyKey, IfMatch, OnThread, Paging, Services, User, check_id
from app.responses import JsonResponse, created, etag, no_content, versioned
from app.routers.documented import answer, problems
from app.schemas.threads import CreateThread, ForkThread, ThreadPage, ThreadRead, UpdateThread
from app.services import threads as service
from app.services.repeats import create_once

router = APIRouter(tags=["threads"])
_CREATED = answer(201, ThreadRead, "The new thread.", headers=("Location", "ETag"))
_THREAD = answer(200, ThreadRead, "The thread.", headers=("ETag",))
# A new thread has not been changed yet.
_FIRST = 1


@router.post(
    "/threads",
    status_code=201,
    responses={**_CREATED, **problems("not_found", "idempotency_key_reused", "guardrail_blocked")},
)
async def create_thread(
    request: Request,
    user: User,
    services: Services,
    key: IdempotencyKey,
    body: Annotated[CreateThread, json_body(CreateThread)],
) -> Response:
    """Begin a conversation with an agent."""
    judged = await service.judged_beginning(services, user, body, key=key)
    thread = await create_once(
        services,
        user,
        lambda: service.create_thread(services, user, judged),
        key=key,
        fingerprint=fingerprint(request),
    )
    return _created(thread)


@router.get("/threads", responses=answer(200, ThreadPage, "Threads."))
async def list_threads(
    user: User,
    services: Services,
    page: Paging,
    agent_id: Annotated[str | None, Query(description="Only those with this agent.")] = None,
) -> Response:
    """The threads that the user may see, newest first."""
    return JsonResponse(await service.list_threads(services, user, page, agent_id=agent_id))


@router.get("/threads/{thread_id}", responses=_THREAD)
async def get_thread(thread: OnThread, services: Services) -> Response:
    """One thread."""
    return versioned(*await services.threads.get_with_version(thread.thread_id))


@router.patch("/threads/{thread_id}", responses={**_THREAD, **problems("forbidden", "precondition_failed")})
async def update_thread(
    thread: OnThread,
    user: User,
    services: Services,
    versions: IfMatch,
    body: Annotated[UpdateThread, json_body(UpdateThread)],
) -> Response:
    """Change a thread's title, summary or metadata."""
    return versioned(*await service.update_thread(services, user, thread, body, versions=versions))


@router.delete(
    "/threads/{thread_id}",
    status_code=204,
    responses={**answer(204, None, "It is gone."), **problems("forbidden", "precondition_failed")},
)
async def delete_thread(thread: OnThread, user: User, services: Services, versions: IfMatch) -> Response:
    """Delete a thread with all that is in it: its run is cancelled, its streams end."""
    await service.delete_thread(services, user, thread, versions=versions)
    return no_content()


@router.post(
    "/threads/{thread_id}/fork",
    status_code=201,
    responses={**_CREATED, **problems("forbidden", "agent_deleted", "idempotency_key_reused")},
)
async def fork_thread(
    request: Request,
    thread: OnThread,
    user: User,
    services: Services,
    key: IdempotencyKey,
    body: Annotated[ForkThread, json_body(ForkThread)],
) -> Response:
    """A new thread with this one's history up to a message."""
    message_id = check_id(body.message_id, MessageNotFound)
    forked = await create_once(
        services,
        user,
        lambda: service.fork_thread(services, user, thread, message_id),
        key=key,
        fingerprint=fingerprint(request),
    )
    return _created(forked)


def _created(thread: Thread) -> Response:
    return created(thread, f"/threads/{thread['id']}", etag(_FIRST))
