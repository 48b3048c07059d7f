"""What a model would get of a thread now."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.dependencies import AppContainer, OnThread, User
from app.described import USER, failures
from app.responses import JsonResponse
from app.schemas.answers import ContextRead
from app.services import context

router = APIRouter(tags=["threads"])


@router.get(
    "/threads/{thread_id}/context",
    response_model=ContextRead,
    response_description="What the model would get.",
    responses=failures(*USER, "invalid_request", "not_found"),
)
async def get_context(
    thread: OnThread,
    user: User,
    container: AppContainer,
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
    found = await context.read_context(
        container, user, thread.thread_id, provider=provider, model=model, strategy=strategy
    )
    return JsonResponse(found)
