"""Users, for admins: what each may use."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from app.authentication import AppContainer, User
from app.dependencies import json_body
from app.openapi import BODY, USER, failures
from app.responses import JsonResponse
from app.schemas.answers import LimitsRead
from app.schemas.common import UserId
from app.schemas.users import SetLimits
from app.services import users
from app.strict_routes import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["users"])
OfUser = Annotated[UserId, Path(description="Any user id; slashes are encoded.")]


@router.get(
    "/users/{user_id:path}/limits",
    response_model=LimitsRead,
    response_description="The limits.",
    responses=failures(*USER, "forbidden", "not_found", "invalid_request"),
)
async def get_user_limits(user: User, container: AppContainer, user_id: OfUser) -> Response:
    """The limits of a user: those that were set for the user, else those of the settings."""
    return JsonResponse(await users.get_limits(container, user, user_id))


@router.put(
    "/users/{user_id:path}/limits",
    response_model=LimitsRead,
    response_description="The limits.",
    responses=failures(*USER, *BODY, "forbidden", "not_found"),
)
async def set_user_limits(
    user: User, container: AppContainer, user_id: OfUser, body: Annotated[SetLimits, json_body(SetLimits)]
) -> Response:
    """Set the limits of a user, in place of all that were set before. They hold within seconds, also for an admin."""
    return JsonResponse(await users.set_limits(container, user, user_id, body))
