"""Running the service: usage and costs, background jobs, erasing a user, metrics, and whether the database answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from ai_agents.core.exceptions import InvalidRequest, JobNotFound
from ai_agents.core.rows import Job, JobCounts, Page, UsageSum
from ai_agents.core.types import JobStatus
from ai_agents.store import audit, processes
from ai_agents.store.runs import count_held
from ai_agents.workers.erasure import request_erasure
from app import metrics
from app.container import Container
from app.errors import invalid_query
from app.metrics import gauge
from app.services.identity import PageArguments, Principal, act_of, check_id, note_admin, require_admin, whose
from app.services.times import parse_time

# A sum reads every call of its period, so the period is limited.
_MAX_DAYS = 366
_DEFAULT_DAYS = 30


async def sum_usage(
    container: Container,
    user: Principal,
    *,
    since: str | None,
    until: str | None,
    group_by: str | None,
    limit: int,
    after: str | None,
) -> Page[UsageSum]:
    """A page of sums. Raises `InvalidFields`, `InvalidCursor`."""
    end = datetime.now(UTC) if until is None else parse_time("to", until)
    start = _days_before(end, _DEFAULT_DAYS) if since is None else parse_time("from", since)
    if start > end:
        raise invalid_query("from", "must not be after `to`")
    if end - start > timedelta(days=_MAX_DAYS):
        raise invalid_query("from", f"must not be more than {_MAX_DAYS} days before `to`")
    try:
        return await container.usage.sums(
            since=start,
            until=end,
            user_id=await whose(container, user, "usage"),
            group_by=[] if group_by is None else group_by.split(","),
            limit=limit,
            after=after,
        )
    except InvalidRequest as error:
        raise invalid_query("group_by", str(error)) from error


def _days_before(end: datetime, days: int) -> datetime:
    try:
        return end - timedelta(days=days)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


async def list_jobs(container: Container, user: Principal, status: JobStatus | None, page: PageArguments) -> Page[Job]:
    """A page of jobs. Raises `PermissionDenied`, `InvalidCursor`."""
    require_admin(user)
    await note_admin(container, user, "job")
    return await container.jobs.list(status=status, **page)


async def get_job(container: Container, user: Principal, job_id: str) -> Job:
    """One job. Raises `PermissionDenied`, `JobNotFound`."""
    require_admin(user)
    await note_admin(container, user, "job", check_id(job_id, JobNotFound))
    return await container.jobs.get(job_id)


async def retry_job(container: Container, user: Principal, job_id: str) -> Job:
    """Start a failed job again. Raises `PermissionDenied`, `JobNotFound`, and `Conflict` if it has not failed."""
    require_admin(user)
    await note_admin(container, user, "job", check_id(job_id, JobNotFound))
    job = await container.jobs.retry(job_id)
    _wake(container, [job["id"]])
    return job


async def erase_user(container: Container, user: Principal, user_id: str) -> Job:
    """The job that erases a user. Raises `PermissionDenied`, `InvalidRequest`."""
    require_admin(user)
    if user_id == "*":
        raise InvalidRequest("One user is erased at a time.", loc=("path", "user_id"))

    def erase(connection: Connection) -> Job:
        job = request_erasure(connection, user_id)
        audit.record(connection, act_of(user, "user.erase", "user", subject_id=user_id, details={"job_id": job["id"]}))
        return job

    job = await container.conn.database.write(erase)
    _wake(container, [job["id"]])
    return job


def _wake(container: Container, job_ids: Sequence[str]) -> None:
    background = container.conn.executor.background
    if background is not None:
        background.wake(job_ids)


@dataclass(frozen=True, slots=True)
class ProcessLoad:
    """What this process has in hand: open streams, requests, and the share of new ones that it refuses."""

    open_streams: int
    in_hand: int
    refused_share: float


async def render_metrics(container: Container, load: ProcessLoad) -> bytes:
    """What this process has counted, how it is now, and the jobs of all processes."""
    conn = container.conn
    slots = conn.executor.slots
    jobs = await container.jobs.count()
    workers, held = await conn.database.read(lambda c: (processes.count_workers(c), count_held(c)))
    states = {status: float(jobs[status]) for status in ("queued", "running", "failed")}
    return metrics.render([
        gauge("jobs", "Background jobs by state; done ones are not counted.", states),
        gauge("jobs_oldest_age_seconds", "Age of the oldest job that is not done.", _age_s(jobs)),
        gauge("workers", "Workers that were alive a moment ago.", workers),
        gauge("runs_held", "Runs that wait until a process has room for them.", held),
        gauge("runs_running", "Runs that this process executes.", conn.executor.running),
        gauge("upstream_connections", "Runs of this process, and its model calls beside them.", slots.used),
        gauge("upstream_connections_limit", "How many it may have before new runs wait.", slots.limit),
        gauge("breakers_open", "Models that this process skips, since they failed.", container.runner.breakers_open),
        gauge("streams_open", "Event streams that this process has open.", load.open_streams),
        gauge("stream_lag_rows", "Rows that the stream furthest behind has not been sent.", conn.readers.lag()),
        gauge("requests_in_hand", "Requests that wait for this process.", load.in_hand),
        gauge("requests_refused_share", "The share of new requests that is refused as overload.", load.refused_share),
        gauge("database_connections_in_use", "Of this process's pool.", conn.database.checked_out()),
        gauge("database_connections_limit", "The size of the pool.", container.settings.database_pool_size),
    ])  # fmt: skip


def _age_s(jobs: JobCounts) -> float:
    made = jobs["oldest_created_at"]
    if made is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(made)).total_seconds())


async def check_database(container: Container) -> None:
    """Raises `DatabaseUnavailable` if the database does not answer."""
    await container.conn.database.ping()
