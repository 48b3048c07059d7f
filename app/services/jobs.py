"""Background jobs, for admins."""

from collections.abc import Sequence

from ai_agents.core.exceptions import InvalidRequest, PermissionDenied
from ai_agents.core.rows import Job, Page
from ai_agents.core.types import JobStatus
from ai_agents.store.jobs import JobNotFound
from ai_agents.workers.erasure import request_erasure
from app.container import Container, Principal
from app.dependencies import PageOf, check_id


async def list_jobs(services: Container, user: Principal, status: JobStatus | None, page: PageOf) -> Page[Job]:
    """A page of jobs. Raises `PermissionDenied`, `InvalidCursor`."""
    _check_admin(user)
    return await services.jobs.list(status=status, **page.arguments())


async def retry_job(services: Container, user: Principal, job_id: str) -> Job:
    """A job that begins anew. Raises `PermissionDenied`, `JobNotFound`, `Conflict` where it was not given up."""
    _check_admin(user)
    job = await services.jobs.retry(check_id(job_id, JobNotFound))
    _wake(services, [job["id"]])
    return job


async def erase_user(services: Container, user: Principal, user_id: str) -> Job:
    """The job that erases a user. Raises `PermissionDenied`, `InvalidRequest`."""
    _check_admin(user)
    if user_id == "*":
        raise InvalidRequest("One user is erased at a time.", loc=("path", "user_id"))
    job = await services.conn.database.write(lambda c: request_erasure(c, user_id))
    _wake(services, [job["id"]])
    return job


def _check_admin(user: Principal) -> None:
    if not user.is_admin:
        raise PermissionDenied("Only an admin may do this.")


def _wake(services: Container, job_ids: Sequence[str]) -> None:
    background = services.conn.executor.background
    if background is not None:
        background.wake(job_ids)
