"""Searching messages."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from ai_agents.core.search_words import MAX_QUERY
from app.authentication import AppContainer, ScopedUser
from app.dependencies import Paging, Shared
from app.openapi import PAGE, USER, failures
from app.responses import JsonResponse
from app.schemas.answers.search import SearchPageRead
from app.schemas.common import MAX_ID, Searched
from app.services import search
from app.strict_routes import StrictRoute
from app.turns import LargeTurn

router = APIRouter(route_class=StrictRoute, tags=["messages"])


@router.get(
    "/search",
    response_model=SearchPageRead,
    response_description="Messages.",
    responses=failures(*USER, *PAGE, "not_found"),
)
async def search_messages(
    user: ScopedUser,
    container: AppContainer,
    page: Paging,
    _turn: LargeTurn,
    q: Annotated[
        Searched,
        Query(
            min_length=1,
            max_length=MAX_QUERY,
            description='Words, `"phrases"`, and `-words` or `-"phrases"` that are not to be there.',
        ),
    ],
    agent_id: Annotated[
        str | None, Query(json_schema_extra={"maxLength": MAX_ID}, description="Only in threads with this agent.")
    ] = None,
    thread_id: Annotated[
        str | None, Query(json_schema_extra={"maxLength": MAX_ID}, description="Only in this thread.")
    ] = None,
    shared: Shared = False,
) -> Response:
    """Messages of users and assistants with these words, in the threads that the user sees, best first."""
    found = await search.search_messages(
        container, user, page, q=q, agent_id=agent_id, thread_id=thread_id, shared=shared
    )
    return JsonResponse(found)
