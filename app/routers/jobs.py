"""Background jobs, and the job that erases a user. For admins."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from ai_agents.core.types import JobStatus
from app.dependencies import AppContainer, Paging, User
from app.described import PAGE, USER, failures
from app.responses import JsonResponse
from app.schemas.answers import JobPage, JobRead
from app.schemas.common import UserId
from app.services import jobs

router = APIRouter(tags=["jobs"])


@router.get(
    "/jobs", response_model=JobPage, response_description="Jobs.", responses=failures(*USER, *PAGE, "forbidden")
)
async def list_jobs(
    user: User,
    container: AppContainer,
    page: Paging,
    status: Annotated[JobStatus | None, Query(description="Only jobs with this status.")] = None,
) -> Response:
    """The background jobs and their results, newest first."""
    return JsonResponse(await jobs.list_jobs(container, user, status, page))


@router.post(
    "/jobs/{job_id}/retry",
    response_model=JobRead,
    response_description="The job, queued again.",
    responses=failures(*USER, "forbidden", "not_found", "conflict"),
)
async def retry_job(job_id: str, user: User, container: AppContainer) -> Response:
    """Start a failed job again."""
    return JsonResponse(await jobs.retry_job(container, user, job_id))


@router.delete(
    "/users/{user_id}",
    status_code=202,
    response_model=JobRead,
    response_description="The job. Its result will be the receipt.",
    responses=failures(*USER, "forbidden", "not_found", "invalid_request"),
)
async def erase_user(user: User, container: AppContainer, user_id: Annotated[UserId, Path()]) -> Response:
    """Erase a user: their threads, agents, files, keys and roles, and what they said in the threads of others."""
    return JsonResponse(await jobs.erase_user(container, user, user_id), 202)
