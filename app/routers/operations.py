"""Running the service: usage and costs, background jobs, the job that erases a user, health and metrics."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import PlainTextResponse, Response

from ai_agents.core.exceptions import Overloaded
from ai_agents.core.types import JobStatus
from app.authentication import AppContainer, User
from app.dependencies import Paging
from app.openapi import PAGE, USER, failures
from app.responses import JsonResponse
from app.schemas.answers.operations import Health, JobPage, JobRead
from app.schemas.answers.usage import UsagePage
from app.schemas.common import UserId
from app.services import operations
from app.services.identity import require_admin
from app.strict_routes import StrictRoute
from app.turns import LargeTurn

router = APIRouter(route_class=StrictRoute)
_OK = JsonResponse({"status": "ok"})
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/usage", tags=["usage"], response_model=UsagePage, response_description="Sums.", responses=failures(*USER, *PAGE)
)
async def get_usage(
    user: User,
    container: AppContainer,
    page: Paging,
    _turn: LargeTurn,
    since: Annotated[
        str | None,
        Query(alias="from", max_length=40, description="A day, or a time with its zone. Default: 30 days before `to`."),
    ] = None,
    until: Annotated[
        str | None,
        Query(alias="to", max_length=40, description="Not included; at most 366 days after `from`. Default: now."),
    ] = None,
    group_by: Annotated[
        str | None,
        Query(
            max_length=40,
            pattern=r"^(agent|model|user|day)(,(agent|model|user|day))*$",
            description="How the calls are grouped: some of `agent`, `model`, `user`, `day`, separated by commas.",
        ),
    ] = None,
) -> Response:
    """Usage and costs of the user's runs; for admins, of all runs.

    Every model call counts at the time when it was made, also if it failed. Deleting a thread changes nothing.
    """
    found = await operations.sum_usage(container, user, since=since, until=until, group_by=group_by, **page)
    return JsonResponse(found)


@router.get(
    "/jobs",
    tags=["jobs"],
    response_model=JobPage,
    response_description="Jobs.",
    responses=failures(*USER, *PAGE, "forbidden"),
)
async def list_jobs(
    user: User,
    container: AppContainer,
    page: Paging,
    status: Annotated[JobStatus | None, Query(description="Only jobs with this status.")] = None,
) -> Response:
    """The background jobs and their results, newest first."""
    return JsonResponse(await operations.list_jobs(container, user, status, page))


@router.get(
    "/jobs/{job_id}",
    tags=["jobs"],
    response_model=JobRead,
    response_description="The job.",
    responses=failures(*USER, "forbidden", "not_found"),
)
async def get_job(job_id: str, user: User, container: AppContainer) -> Response:
    """One background job with its result, such as the receipt of an erasure. For admins."""
    return JsonResponse(await operations.get_job(container, user, job_id))


@router.post(
    "/jobs/{job_id}/retry",
    tags=["jobs"],
    response_model=JobRead,
    response_description="The job, queued again.",
    responses=failures(*USER, "forbidden", "not_found", "conflict"),
)
async def retry_job(job_id: str, user: User, container: AppContainer) -> Response:
    """Start a failed job again."""
    return JsonResponse(await operations.retry_job(container, user, job_id))


@router.delete(
    "/users/{user_id:path}",
    tags=["jobs"],
    status_code=202,
    response_model=JobRead,
    response_description="The job. Its result will be the receipt.",
    responses=failures(*USER, "forbidden", "not_found", "invalid_request"),
)
async def erase_user(user: User, container: AppContainer, user_id: Annotated[UserId, Path()]) -> Response:
    """Erase a user: their threads, agents, files, keys and roles, and what they said in the threads of others."""
    return JsonResponse(await operations.erase_user(container, user, user_id), 202)


@router.get(
    "/livez", tags=["health"], response_model=Health, response_description="The process answers.", responses=failures()
)
async def get_liveness() -> Response:
    """Whether the process is alive. Nothing else is checked."""
    return _OK


@router.get(
    "/readyz",
    tags=["health"],
    response_model=Health,
    response_description="The service is ready.",
    responses=failures("overloaded", "database_unavailable"),
)
async def get_readiness(request: Request, container: AppContainer) -> Response:
    """Whether requests can be sent here: the database answers, and the process is not stopping."""
    if request.app.state.draining is not None:
        raise Overloaded("This process is stopping.")
    await operations.check_database(container)
    return _OK


@router.get(
    "/metrics",
    tags=["health"],
    response_class=PlainTextResponse,
    response_description="The metrics.",
    responses=failures(*USER, "forbidden"),
)
async def get_metrics(request: Request, user: User, container: AppContainer) -> Response:
    """Requests, runs, model calls, tools, streams, jobs and connections, in the text format of Prometheus.

    For admins. Each process tells of itself, and of the jobs and workers of all; of several processes on one port each
    tells of all. The table is in docs/operations.md.
    """
    require_admin(user)
    state = request.app.state
    told = await operations.render_metrics(container, state.load())
    if state.siblings is not None:
        told = await state.siblings.gather(told)
    return PlainTextResponse(told, media_type=_METRICS_TYPE)
