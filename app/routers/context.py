"""What a model would be sent of a thread now."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.dependencies import AppContainer, OnThread, User
from app.responses import JsonResponse
from app.routers.documented import answer, problems
from app.schemas.context import ContextRead
from app.services import context

router = APIRouter(tags=["threads"])


@router.get(
    "/threads/{thread_id}/context",
    responses={**answer(200, ContextRead, "What the model would be sent."), **problems("invalid_request")},
)
async def get_context(
    thread: OnThread,
    user: User,
    container: AppContainer,
    provider: Annotated[
        str | None, Query(min_length=1, max_length=64, description="In place of the agent's; it needs no key here.")
    ] = None,
    model: Annotated[str | None, Query(min_length=1, max_length=200, description="In place of the agent's.")] = None,
    strategy: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=2000,
            description='In place of the agent\'s: a name, or as JSON: `{"strategy": "last_n", "n": 4}`.',
        ),
    ] = None,
) -> Response:
    """What the model would be sent if it were asked now, what is left out of it, and why.

    A run's request is made in the same way, with the message that it answers at its end: that one is not there yet,
    and it counts, so that of the last 20 messages 19 are here.
    """
    found = await context.read_context(
        container, user, thread.thread_id, provider=provider, model=model, strategy=strategy
    )
    return JsonResponse(found)
