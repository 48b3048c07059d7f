"""Threads."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ai_agents.core.rows import Thread
from app.bodies import fingerprint, json_body
from app.dependencies import AppContainer, IdempotencyKey, IfMatch, OnThread, Paging, User
from app.responses import JsonResponse, created, etag, no_content, versioned
from app.routers.documented import answer, problems
from app.schemas.threads import CreateThread, ForkThread, ThreadPage, ThreadRead, UpdateThread
from app.services import threads
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
    container: AppContainer,
    key: IdempotencyKey,
    body: Annotated[CreateThread, json_body(CreateThread)],
) -> Response:
    """Begin a conversation with an agent."""
    judged = await threads.judge_thread(container, user, body, key=key)
    thread = await create_once(
        container,
        user,
        lambda: threads.create_thread(container, user, judged),
        key=key,
        fingerprint=fingerprint(request),
    )
    return _created(thread)


@router.get("/threads", responses=answer(200, ThreadPage, "Threads."))
async def list_threads(
    user: User,
    container: AppContainer,
    page: Paging,
    agent_id: Annotated[str | None, Query(description="Only those with this agent.")] = None,
) -> Response:
    """The threads that the user may see, newest first."""
    return JsonResponse(await threads.list_threads(container, user, page, agent_id=agent_id))


@router.get("/threads/{thread_id}", responses=_THREAD)
async def get_thread(thread: OnThread, container: AppContainer) -> Response:
    """One thread."""
    return versioned(*await threads.get_thread(container, thread))


@router.patch("/threads/{thread_id}", responses={**_THREAD, **problems("forbidden", "precondition_failed")})
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
    responses={**answer(204, None, "It is gone."), **problems("forbidden", "precondition_failed")},
)
async def delete_thread(thread: OnThread, user: User, container: AppContainer, versions: IfMatch) -> Response:
    """Delete a thread with all that is in it: its run is cancelled, its streams end."""
    await threads.delete_thread(container, user, thread, versions=versions)
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
    container: AppContainer,
    key: IdempotencyKey,
    body: Annotated[ForkThread, json_body(ForkThread)],
) -> Response:
    """A new thread with this one's history up to a message."""
    forked = await create_once(
        container,
        user,
        lambda: threads.fork_thread(container, user, thread, body.message_id),
        key=key,
        fingerprint=fingerprint(request),
    )
    return _created(forked)


def _created(thread: Thread) -> Response:
    return created(thread, f"/threads/{thread['id']}", etag(_FIRST))
