"""Threads, and what a model would get of one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ai_agents.core.rows import SeenThread
from ai_agents.core.types import ThreadOrder
from app.authentication import AppContainer, ScopedUser
from app.dependencies import IfMatch, MetadataIs, Once, OnThread, Paging, Shared, json_body
from app.openapi import BODY, ONCE, PAGE, USER, failures, headers
from app.responses import JsonResponse, created, etag, no_content, versioned
from app.schemas.answers.context import ContextRead
from app.schemas.answers.threads import ThreadPage, ThreadRead
from app.schemas.common import MAX_ID, Searched, UserId
from app.schemas.threads import CreateThread, ForkThread, UpdateThread
from app.services import threads
from app.services.identity import see_thread
from app.strict_routes import StrictRoute
from app.turns import LargeTurn

router = APIRouter(route_class=StrictRoute, tags=["threads"])
_FIRST_VERSION = 1


@router.post(
    "/threads",
    status_code=201,
    response_model=ThreadRead,
    response_description="The new thread.",
    responses={
        201: headers("Location", "ETag"),
        **failures(*USER, *BODY, *ONCE, "not_found", "guardrail_blocked", "quota_exceeded"),
    },
)
async def create_thread(
    request: Request,
    user: ScopedUser,
    container: AppContainer,
    once: Once,
    body: Annotated[CreateThread, json_body(CreateThread)],
) -> Response:
    """Start a conversation with an agent."""

    async def may_see(thread: SeenThread) -> None:
        await see_thread(container, user, thread["id"])

    thread = await once.find_first(may_see)
    if thread is None:
        judged = await threads.judge_thread(container, user, body)
        # Judging may wait for a model, and is no turn's.
        async with request.app.state.turns.large.turn(user):
            thread = await once.create(lambda: threads.create_thread(container, user, judged), may_see=may_see)
    return _created(thread)


@router.get(
    "/threads",
    response_model=ThreadPage,
    response_description="Threads.",
    responses=failures(*USER, *PAGE, "forbidden"),
)
async def list_threads(
    user: ScopedUser,
    container: AppContainer,
    page: Paging,
    metadata: MetadataIs,
    _turn: LargeTurn,
    agent_id: Annotated[
        str | None, Query(json_schema_extra={"maxLength": MAX_ID}, description="Only threads with this agent.")
    ] = None,
    user_id: Annotated[
        UserId | None, Query(description="Only this user's threads; only an admin names another.")
    ] = None,
    q: Annotated[
        Searched | None,
        Query(min_length=1, max_length=200, description="Only threads with this text in their title, in any case."),
    ] = None,
    shared: Shared = False,
    order: Annotated[
        ThreadOrder, Query(description="`activity`: those first in which something happened last.")
    ] = "created",
) -> Response:
    """The threads that the user sees, newest first."""
    found = await threads.list_threads(
        container, user, page, agent_id=agent_id, user_id=user_id, q=q, metadata=metadata, shared=shared, order=order
    )
    return JsonResponse(found)


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
    responses={
        200: headers("ETag"),
        **failures(*USER, *BODY, "not_found", "forbidden", "precondition_failed", "quota_exceeded"),
    },
)
async def update_thread(
    thread: OnThread,
    user: ScopedUser,
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
async def delete_thread(thread: OnThread, user: ScopedUser, container: AppContainer, versions: IfMatch) -> Response:
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
        **failures(*USER, *BODY, *ONCE, "not_found", "forbidden", "agent_deleted", "quota_exceeded"),
    },
)
async def fork_thread(
    thread: OnThread,
    user: ScopedUser,
    container: AppContainer,
    once: Once,
    body: Annotated[ForkThread, json_body(ForkThread)],
    _turn: LargeTurn,
) -> Response:
    """Create a thread with this thread's history up to a message."""

    async def may_see(forked: SeenThread) -> None:
        await see_thread(container, user, forked["id"])

    forked = await once.create(lambda: threads.fork_thread(container, user, thread, body.message_id), may_see=may_see)
    return _created(forked)


def _created(thread: SeenThread) -> Response:
    return created(thread, f"/threads/{thread['id']}", etag(_FIRST_VERSION))


@router.get(
    "/threads/{thread_id}/context",
    response_model=ContextRead,
    response_description="What the model would get.",
    responses=failures(*USER, "invalid_request", "not_found"),
)
async def get_context(
    thread: OnThread,
    user: ScopedUser,
    container: AppContainer,
    _turn: LargeTurn,
    provider: Annotated[
        str | None, Query(min_length=1, max_length=64, description="Instead of the agent's provider; needs no key.")
    ] = None,
    model: Annotated[
        str | None, Query(min_length=1, max_length=200, description="Instead of the agent's model.")
    ] = None,
    strategy: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=2000,
            description='Instead of the agent\'s memory: a name, or JSON: `{"strategy": "last_n", "n": 4}`.',
        ),
    ] = None,
) -> Response:
    """What the model would get if it were called now, what is left out of it, and why.

    A run's request is built in the same way, with the new message at its end. That message is not in this answer yet,
    but it counts: of the last 20 messages, 19 are here.
    """
    found = await threads.read_context(
        container, user, thread.thread_id, provider=provider, model=model, strategy=strategy
    )
    return JsonResponse(found)
