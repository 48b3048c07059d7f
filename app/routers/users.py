"""The user of a request, with limits; for admins: all users, and what each may use."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from app.authentication import AppContainer, ScopedUser, User
from app.dependencies import Paging, json_body
from app.openapi import BODY, PAGE, USER, failures
from app.responses import JsonResponse
from app.schemas.answers.users import LimitsRead, Me, UserPage
from app.schemas.common import Searched, UserId
from app.schemas.users import SetLimits
from app.services import users
from app.strict_routes import StrictRoute
from app.turns import LargeTurn

router = APIRouter(route_class=StrictRoute)
OfUser = Annotated[UserId, Path(description="Any user id; slashes are encoded.")]


@router.get("/me", tags=["keys"], response_model=Me, response_description="The user.", responses=failures(*USER))
async def get_me(request: Request, user: ScopedUser, container: AppContainer, _turn: LargeTurn) -> Response:
    """The user whose key or token the request carries, with the user's limits and what is used of them."""
    state = request.app.state
    requests, streams = state.rates.use_of(user), state.streams.of(user)
    return JsonResponse(await users.get_me(container, user, requests=requests, streams=streams))


@router.get(
    "/users",
    tags=["users"],
    response_model=UserPage,
    response_description="Users.",
    responses=failures(*USER, *PAGE, "forbidden"),
)
async def list_users(
    user: User,
    container: AppContainer,
    page: Paging,
    _turn: LargeTurn,
    q: Annotated[
        Searched | None,
        Query(min_length=1, max_length=200, description="Only users with this in their id, in any case."),
    ] = None,
) -> Response:
    """The users who have something here, by their ids, with how much each has."""
    return JsonResponse(await users.list_users(container, user, page, q=q))


@router.get(
    "/users/{user_id:path}/limits",
    tags=["users"],
    response_model=LimitsRead,
    response_description="The limits.",
    responses=failures(*USER, "forbidden", "not_found", "invalid_request"),
)
async def get_user_limits(user: User, container: AppContainer, user_id: OfUser) -> Response:
    """The limits of a user: those that were set for the user, else those of the settings."""
    return JsonResponse(await users.get_limits(container, user, user_id))


@router.put(
    "/users/{user_id:path}/limits",
    tags=["users"],
    response_model=LimitsRead,
    response_description="The limits.",
    responses=failures(*USER, *BODY, "forbidden", "not_found"),
)
async def set_user_limits(
    user: User, container: AppContainer, user_id: OfUser, body: Annotated[SetLimits, json_body(SetLimits)]
) -> Response:
    """Set the limits of a user, in place of all that were set before. They hold within seconds, also for an admin."""
    return JsonResponse(await users.set_limits(container, user, user_id, body))
