"""Background jobs, and the one that erases a user; for admins."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from ai_agents.core.types import JobStatus
from app.dependencies import AppContainer, Paging, User
from app.responses import JsonResponse
from app.routers.documented import answer, problems
from app.schemas.common import UserId
from app.schemas.jobs import JobPage, JobRead
from app.services import jobs

router = APIRouter(tags=["jobs"])


@router.get("/jobs", responses={**answer(200, JobPage, "Jobs."), **problems("forbidden", "invalid_cursor")})
async def list_jobs(
    user: User,
    container: AppContainer,
    page: Paging,
    status: Annotated[JobStatus | None, Query(description="Only those.")] = None,
) -> Response:
    """The background jobs and how they went, newest first."""
    return JsonResponse(await jobs.list_jobs(container, user, status, page))


@router.post(
    "/jobs/{job_id}/retry",
    responses={**answer(200, JobRead, "The job, waiting again."), **problems("forbidden", "not_found", "conflict")},
)
async def retry_job(job_id: str, user: User, container: AppContainer) -> Response:
    """Let a job that was given up begin anew."""
    return JsonResponse(await jobs.retry_job(container, user, job_id))


@router.delete(
    "/users/{user_id}",
    status_code=202,
    responses={
        **answer(202, JobRead, "The job whose result will be the receipt."),
        **problems("forbidden", "invalid_request"),
    },
)
async def erase_user(user: User, container: AppContainer, user_id: Annotated[UserId, Path()]) -> Response:
    """Erase a user: his threads, agents, files, keys and roles, and what he said in the threads of others."""
    return JsonResponse(await jobs.erase_user(container, user, user_id), 202)
