"""Figures for whatever collects them."""

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.dependencies import AppContainer, User
from app.routers.documented import problems
from app.services import metrics

router = APIRouter(tags=["health"])
_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    responses={
        200: {"description": "The figures.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems("forbidden"),
    },
)
async def get_metrics(request: Request, user: User, container: AppContainer) -> Response:
    """Jobs, workers, runs, streams and database connections, in the text form of Prometheus. For admins."""
    text = await metrics.render_metrics(container, user, open_streams=len(request.app.state.streams))
    return PlainTextResponse(text, media_type=_MEDIA_TYPE)
