"""The outbox: one row for each background job, however often it is requested.

A job is written in the transaction that makes it necessary. A process claims it before it does it, under a lease by the
database's clock, and every write of a claim checks the job's fence. So one process does the job even if a queue told
several, and a process that was thought dead cannot write any more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.exceptions import Conflict, JobNotFound
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.rows import Job, JobCounts, Page, only
from ai_agents.core.types import JobStatus, JsonObject
from ai_agents.store import pages
from ai_agents.store.clock import database_now
from ai_agents.store.database import Store, reading, writing
from ai_agents.store.job_tables import JobTable

MAX_ATTEMPTS = 5
# A thread has one title.
TITLE_RANGE = "title"
# How long after its first failure a job is tried again. Each further wait is twice as long.
_BACKOFF_S = 2.0
_LONGEST_BACKOFF_S = 300.0
_LOST = f"The process that did it was lost {MAX_ATTEMPTS} times."
_JOBS = cast(Table, JobTable.__table__)
# A job that was requested and not begun.
_ANEW = {
    "status": "queued",
    "attempts": 0,
    "error": None,
    "result": None,
    "finished_at": None,
    "lease_owner": None,
    "lease_expires_at": None,
    "due_at": 0.0,
}
# Without an owner, and not sent to a queue.
_RELEASED = {"status": "queued", "lease_owner": None, "lease_expires_at": None, "sent_at": None}


class JobLost(Exception):
    """Another process has claimed the job, or it is deleted. This process writes nothing more for it."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job as the process sees it that does it. `attempts` includes this one."""

    id: str
    thread_id: str | None
    kind: str
    range_key: str
    payload: JsonObject
    attempts: int
    fence: int
    created_at: str
    trace: str | None


@cache
def _enqueue(dialect: str) -> Any:
    """Built once, since turns run it. `sent_at` is now: after the commit, this process sends the job or does it."""
    names = ("id", "thread_id", "kind", "range_key", "payload", "created_at", "trace")
    values: dict[str, Any] = {name: bindparam(f"b_{name}", type_=_JOBS.c[name].type) for name in names}
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(_JOBS).values(
        **values, status="queued", attempts=0, fence=0, due_at=0.0, sent_at=database_now(dialect)
    )
    # A completed job is begun again. One that is open or has failed stays as it is.
    return statement.on_conflict_do_update(
        index_elements=["thread_id", "kind", "range_key"],
        set_={**_ANEW, "sent_at": statement.excluded.sent_at, "trace": statement.excluded.trace},
        where=_JOBS.c.status == "completed",
    ).returning(_JOBS.c.id)


def request(
    connection: Connection,
    thread_id: str | None,
    kind: str,
    range_key: str,
    *,
    payload: JsonObject | None = None,
    trace: str | None = None,
) -> str | None:
    """Write a job that is needed. Returns its id, or None if it is queued, running or failed already.

    `trace` is the `traceparent` of what makes it necessary.
    """
    values = {
        "b_id": new_id(),
        "b_thread_id": thread_id,
        "b_kind": kind,
        "b_range_key": range_key,
        "b_payload": payload,
        "b_created_at": utc_now(),
        "b_trace": trace,
    }
    found: str | None = connection.execute(_enqueue(connection.dialect.name), values).scalar_one_or_none()
    return found


def enqueue(connection: Connection, thread_id: str, kind: str, range_key: str, *, trace: str | None = None) -> Job:
    """The job for this thread, kind and range: a new one, or the one that exists."""
    request(connection, thread_id, kind, range_key, trace=trace)
    found = select(_JOBS).where(JobTable.thread_id == thread_id, JobTable.kind == kind, JobTable.range_key == range_key)
    return to_public(connection.execute(found).mappings().one())


def range_after(covers_through_seq: int) -> str:
    """The range of a job that summarizes what lies after this `seq`, which the newest summary covers."""
    return f"after-{covers_through_seq}"


def to_public(row: Mapping[Any, Any]) -> Job:
    """A job as clients see it."""
    return only(Job, row)


# Doing jobs.


def _is_due(now: ColumnElement[float]) -> ColumnElement[bool]:
    """Whether a job can be claimed now: it is queued and due, or it runs under a lease that has expired."""
    abandoned = and_(_JOBS.c.status == "running", _JOBS.c.lease_expires_at < now)
    return or_(and_(_JOBS.c.status == "queued", _JOBS.c.due_at <= now), abandoned)


def claim(connection: Connection, job_id: str, *, owner: str, lease_s: float) -> ClaimedJob | None:
    """Claim a job; None if it is done, claimed by another process, not due yet, or deleted.

    A job whose process was lost too often fails instead.
    """
    now = database_now(connection.dialect.name)
    values = {
        "status": "running",
        "attempts": _JOBS.c.attempts + 1,
        "fence": _JOBS.c.fence + 1,
        "lease_owner": owner,
        "lease_expires_at": now + lease_s,
    }
    statement = update(_JOBS).where(_JOBS.c.id == job_id, _is_due(now)).values(values).returning(_JOBS)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        return None
    claimed = {each.name: row[each.name] for each in fields(ClaimedJob)}
    job = ClaimedJob(**{**claimed, "payload": row["payload"] or {}})
    if job.attempts > MAX_ATTEMPTS:
        _park(connection, job, _LOST, attempts=MAX_ATTEMPTS)
        return None
    return job


def list_due(connection: Connection, *, limit: int, untried: bool = False, without: Collection[str] = ()) -> list[str]:
    """Ids of jobs that can be claimed now, oldest first; with `untried`, only those that were never begun.

    Jobs of the kinds `without` are left out.
    """
    statement = select(_JOBS.c.id).where(_is_due(database_now(connection.dialect.name)))
    if without:
        statement = statement.where(_JOBS.c.kind.not_in(without))
    if untried:
        statement = statement.where(_JOBS.c.attempts == 0)
    return list(connection.execute(statement.order_by(_JOBS.c.created_at, _JOBS.c.id).limit(limit)).scalars())


def renew(connection: Connection, job: ClaimedJob, *, lease_s: float) -> None:
    """Renew the lease of a claim. Raises `JobLost`."""
    _write(connection, job, {"lease_expires_at": database_now(connection.dialect.name) + lease_s})


def note(connection: Connection, job: ClaimedJob, payload: JsonObject) -> None:
    """Record the progress of a job in each of its transactions. Raises `JobLost`."""
    _write(connection, job, {"payload": payload})


def finish(connection: Connection, job: ClaimedJob, result: JsonObject | None, *, keep: bool = True) -> None:
    """Record that the job is done, in the same transaction as its effect. Raises `JobLost`.

    Without `keep`, nothing is left of it: something else tells what it did.
    """
    _write(connection, job, _ended("completed", result=result, error=None))
    if not keep:
        connection.execute(delete(_JOBS).where(_JOBS.c.id == job.id))


def fail(connection: Connection, job: ClaimedJob, reason: str, *, retryable: bool = True) -> bool:
    """Record that an attempt failed. The job is tried again later, or fails for good after its last attempt.

    Returns whether it failed for good. Raises `JobLost`.
    """
    if not retryable or job.attempts >= MAX_ATTEMPTS:
        _park(connection, job, reason, attempts=job.attempts)
        return True
    wait_s = min(_BACKOFF_S * 2 ** (job.attempts - 1), _LONGEST_BACKOFF_S)
    due_at = database_now(connection.dialect.name) + wait_s
    _write(connection, job, {**_RELEASED, "due_at": due_at, "error": reason})
    return False


def put_off(connection: Connection, job: ClaimedJob, reason: str, *, wait_s: float) -> None:
    """Return the job to the queue for a later time, as if it had not been begun. Raises `JobLost`."""
    due_at = database_now(connection.dialect.name) + wait_s
    _write(connection, job, {**_RELEASED, "due_at": due_at, "attempts": job.attempts - 1, "error": reason})


def give_back(connection: Connection, job: ClaimedJob) -> None:
    """Return the job to the queue, as if it had not been begun here. Raises `JobLost`."""
    _write(connection, job, {**_RELEASED, "due_at": 0.0, "attempts": job.attempts - 1})


def _park(connection: Connection, job: ClaimedJob, reason: str, *, attempts: int) -> None:
    _write(connection, job, {**_ended("failed", result=None, error=reason), "attempts": attempts})


def _ended(status: JobStatus, *, result: JsonObject | None, error: str | None) -> JsonObject:
    return {
        "status": status,
        "result": result,
        "error": error,
        "finished_at": utc_now(),
        "lease_owner": None,
        "lease_expires_at": None,
    }


def _write(connection: Connection, job: ClaimedJob, values: Mapping[str, Any]) -> None:
    mine = (_JOBS.c.id == job.id, _JOBS.c.fence == job.fence, _JOBS.c.status == "running")
    if not connection.execute(update(_JOBS).where(*mine).values(dict(values))).rowcount:
        raise JobLost


# Sending.


def take_unsent(connection: Connection, *, again_after_s: float, limit: int) -> list[str]:
    """Ids of due jobs that were not sent to a queue, or so long ago that the queue must have lost them.

    They count as sent from now on. If several processes ask at once, each id goes to one of them.
    """
    now = database_now(connection.dialect.name)
    waiting = (_is_due(now), or_(_JOBS.c.sent_at.is_(None), _JOBS.c.sent_at < now - again_after_s))
    found = select(_JOBS.c.id).where(*waiting).order_by(_JOBS.c.created_at).limit(limit)
    if connection.dialect.name == "postgresql":
        found = found.with_for_update(skip_locked=True)
    statement = update(_JOBS).where(_JOBS.c.id.in_(found), *waiting).values(sent_at=now).returning(_JOBS.c.id)
    return list(connection.execute(statement).scalars())


def put_back(connection: Connection, job_ids: Sequence[str], **columns: Any) -> None:
    """Mark these jobs as not sent, so that the next process that looks takes them. `columns` are changed, too."""
    connection.execute(update(_JOBS).where(_JOBS.c.id.in_(job_ids)).values(sent_at=None, **columns))


# For operators.


def list_jobs(
    connection: Connection, *, status: JobStatus | None = None, limit: int = 20, after: str | None = None
) -> Page[Job]:
    """A page of all jobs (of this status), newest first: `{"data", "next"}`. Raises `InvalidCursor`."""
    statement = select(_JOBS) if status is None else select(_JOBS).where(_JOBS.c.status == status)
    return pages.newest_first(connection, statement, JobTable, limit=limit, after=after, to_dict=to_public)


def get_job(connection: Connection, job_id: str) -> Job:
    """One job. Raises `JobNotFound`."""
    row = connection.execute(select(_JOBS).where(_JOBS.c.id == job_id)).mappings().one_or_none()
    if row is None:
        raise JobNotFound
    return to_public(row)


def retry(connection: Connection, job_id: str, *, send_now: bool = True) -> Job:
    """Begin a failed job again. Returns the job. Without `send_now`, the next process that looks for jobs takes it.

    Raises `JobNotFound`, `Conflict` if it has not failed.
    """
    values = {**_ANEW, "sent_at": database_now(connection.dialect.name) if send_now else None}
    statement = update(_JOBS).where(_JOBS.c.id == job_id, _JOBS.c.status == "failed").values(values)
    job = get_job(connection, job_id)
    if not connection.execute(statement).rowcount:
        raise Conflict(f"Only a failed job can be tried again; this one is {job['status']}.")
    return get_job(connection, job_id)


def list_failed(connection: Connection) -> list[str]:
    """Ids of all failed jobs, oldest first."""
    found = select(_JOBS.c.id).where(_JOBS.c.status == "failed").order_by(_JOBS.c.created_at)
    return list(connection.execute(found).scalars())


def count(connection: Connection) -> JobCounts:
    """How many jobs there are of each status that is not `completed`."""
    found = select(_JOBS.c.status, func.count(), func.min(_JOBS.c.created_at)).group_by(_JOBS.c.status)
    rows = connection.execute(found.where(_JOBS.c.status.in_(("queued", "running", "failed")))).all()
    counts = {status: number for status, number, _ in rows}
    open_since = [oldest for status, _, oldest in rows if status != "failed"]
    return {
        "queued": counts.get("queued", 0),
        "running": counts.get("running", 0),
        "failed": counts.get("failed", 0),
        "oldest_created_at": min(open_since, default=None),
    }


class JobStore(Store):
    """Jobs, for operators."""

    get = reading(get_job)
    list = reading(list_jobs, long=True)
    retry = writing(retry)
    count = reading(count, long=True)


def insert_loose(connection: Connection, kind: str, range_key: str, payload: JsonObject) -> Job:
    """Write a job that belongs to no thread. Returns the job."""
    return get_job(connection, str(request(connection, None, kind, range_key, payload=payload)))


def find_open(connection: Connection, kind: str, range_key: str) -> Job | None:
    """A job of this kind and range that belongs to no thread and is not done yet."""
    found = select(_JOBS).where(
        _JOBS.c.thread_id.is_(None), _JOBS.c.kind == kind, _JOBS.c.range_key == range_key, _JOBS.c.finished_at.is_(None)
    )
    row = connection.execute(found.limit(1)).mappings().one_or_none()
    return None if row is None else to_public(row)
