"""How the service is, for whatever watches over it. Open to everybody."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from ai_agents.core.exceptions import Overloaded
from app.dependencies import AppContainer
from app.responses import JsonResponse
from app.routers.documented import answer, problems
from app.schemas.catalogue import Health
from app.services import health

router = APIRouter(tags=["health"])
_OK = JsonResponse({"status": "ok"})


@router.get("/livez", responses=answer(200, Health, "The process answers."))
async def get_liveness() -> Response:
    """Whether the process is alive. Asks nothing else."""
    return _OK


@router.get(
    "/readyz", responses={**answer(200, Health, "It is ready."), **problems("overloaded", "database_unavailable")}
)
async def get_readiness(request: Request, container: AppContainer) -> Response:
    """Whether requests can be sent here: the database answers, and the process is not about to stop."""
    if request.app.state.draining is not None:
        raise Overloaded("This process is stopping.")
    await health.check_database(container)
    return _OK
