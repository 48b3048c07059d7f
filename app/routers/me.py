"""Who one is."""

from fastapi import APIRouter
from starlette.responses import Response

from app.dependencies import User
from app.responses import JsonResponse
from app.routers.documented import answer
from app.schemas.keys import Me

router = APIRouter(tags=["keys"])


@router.get("/me", responses=answer(200, Me, "The user."))
async def get_me(user: User) -> Response:
    """Whom the request's key belongs to."""
    return JsonResponse({"user_id": user.user_id, "admin": user.is_admin})
