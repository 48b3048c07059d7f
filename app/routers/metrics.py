"""Metrics for Prometheus."""

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.dependencies import AppContainer, User
from app.described import USER, failures
from app.services import metrics

router = APIRouter(tags=["health"])
_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    response_description="The metrics.",
    responses=failures(*USER, "forbidden"),
)
async def get_metrics(request: Request, user: User, container: AppContainer) -> Response:
    """Jobs, workers, runs, streams and database connections, in the text format of Prometheus. For admins."""
    text = await metrics.render_metrics(container, user, open_streams=len(request.app.state.streams))
    return PlainTextResponse(text, media_type=_MEDIA_TYPE)
