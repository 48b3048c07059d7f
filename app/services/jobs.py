"""Background jobs, and erasing a user. For admins."""

from collections.abc import Sequence

from ai_agents.core.exceptions import InvalidRequest, JobNotFound
from ai_agents.core.rows import Job, Page
from ai_agents.core.types import JobStatus
from ai_agents.workers.erasure import request_erasure
from app.container import Container
from app.services.access import require_admin
from app.services.arguments import PageArguments, check_id
from app.services.identity import Principal


async def list_jobs(container: Container, user: Principal, status: JobStatus | None, page: PageArguments) -> Page[Job]:
    """A page of jobs. Raises `PermissionDenied`, `InvalidCursor`."""
    require_admin(user)
    return await container.jobs.list(status=status, **page)


async def retry_job(container: Container, user: Principal, job_id: str) -> Job:
    """Start a failed job again. Raises `PermissionDenied`, `JobNotFound`, and `Conflict` if it has not failed."""
    require_admin(user)
    job = await container.jobs.retry(check_id(job_id, JobNotFound))
    _wake(container, [job["id"]])
    return job


async def erase_user(container: Container, user: Principal, user_id: str) -> Job:
    """The job that erases a user. Raises `PermissionDenied`, `InvalidRequest`."""
    require_admin(user)
    if user_id == "*":
        raise InvalidRequest("One user is erased at a time.", loc=("path", "user_id"))
    job = await container.conn.database.write(lambda c: request_erasure(c, user_id))
    _wake(container, [job["id"]])
    return job


def _wake(container: Container, job_ids: Sequence[str]) -> None:
    background = container.conn.executor.background
    if background is not None:
        background.wake(job_ids)
