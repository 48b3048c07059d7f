"""The user who asks."""

from fastapi import APIRouter
from starlette.responses import Response

from app.dependencies import User
from app.described import USER, failures
from app.responses import JsonResponse
from app.schemas.answers import Me

router = APIRouter(tags=["keys"])


@router.get("/me", response_model=Me, response_description="The user.", responses=failures(*USER))
async def get_me(user: User) -> Response:
    """The user whose key the request carries."""
    return JsonResponse({"user_id": user.user_id, "admin": user.is_admin})
