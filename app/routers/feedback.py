"""What people think of answers: each user says it of a message, and the agent's owners read it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from ai_agents.core.rows import Rating
from app.authentication import AppContainer, ScopedUser, User
from app.dependencies import OnThread, Paging, json_body
from app.openapi import BODY, PAGE, USER, failures
from app.responses import JsonResponse
from app.schemas.answers.messages import FeedbackPage, FeedbackRead
from app.schemas.common import MAX_ID
from app.schemas.threads import PutFeedback
from app.services import feedback
from app.strict_routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["feedback"])
_RATINGS: dict[str, Rating] = {"1": 1, "-1": -1}


@router.put(
    "/threads/{thread_id}/messages/{message_id}/feedback",
    response_model=FeedbackRead,
    response_description="The feedback.",
    responses=failures(*USER, *BODY, "not_found"),
)
async def put_feedback(
    thread: OnThread,
    user: ScopedUser,
    message_id: str,
    container: AppContainer,
    body: Annotated[PutFeedback, json_body(PutFeedback)],
) -> Response:
    """Say what you think of an answer, in place of what you said before. Each reader of the thread says it once."""
    return JsonResponse(await feedback.put_feedback(container, user, thread, message_id, body))


@router.get(
    "/feedback",
    response_model=FeedbackPage,
    response_description="Feedback.",
    responses=failures(*USER, *PAGE, "not_found", "forbidden"),
)
async def list_feedback(
    user: User,
    container: AppContainer,
    page: Paging,
    agent_id: Annotated[
        str | None, Query(json_schema_extra={"maxLength": MAX_ID}, description="Only on this agent's answers.")
    ] = None,
    rating: Annotated[Literal["1", "-1"] | None, Query(description="Only with this rating.")] = None,
) -> Response:
    """What people think of the answers of the agents that you own, newest first. An admin sees all."""
    wanted = None if rating is None else _RATINGS[rating]
    return JsonResponse(await feedback.list_feedback(container, user, page, agent_id=agent_id, rating=wanted))
