"""The state of the service, for whatever monitors it. Open to everyone."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from ai_agents.core.exceptions import Overloaded
from app.dependencies import AppContainer
from app.described import failures
from app.responses import JsonResponse
from app.schemas.answers import Health
from app.services import health

router = APIRouter(tags=["health"])
_OK = JsonResponse({"status": "ok"})


@router.get("/livez", response_model=Health, response_description="The process answers.", responses=failures())
async def get_liveness() -> Response:
    """Whether the process is alive. Nothing else is checked."""
    return _OK


@router.get(
    "/readyz",
    response_model=Health,
    response_description="The service is ready.",
    responses=failures("overloaded", "database_unavailable"),
)
async def get_readiness(request: Request, container: AppContainer) -> Response:
    """Whether requests can be sent here: the database answers, and the process is not stopping."""
    if request.app.state.draining is not None:
        raise Overloaded("This process is stopping.")
    await health.check_database(container)
    return _OK
