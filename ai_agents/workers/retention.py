"""Retention: idle threads, rows of their logs, files without a message, and temporary files go after their time."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, or_, select

from ai_agents.core.exceptions import Conflict
from ai_agents.core.ids import format_time, utc_now
from ai_agents.core.types import JsonObject
from ai_agents.runner.process.periodic import PeriodicTask
from ai_agents.store import audit, idempotency, jobs, log_trimming, processes, thread_log
from ai_agents.store.database import Database
from ai_agents.store.job_tables import JobTable
from ai_agents.store.jobs import ClaimedJob
from ai_agents.store.models import FileTable, MessageFileTable, RunTable, ThreadEventTable, ThreadTable
from ai_agents.store.threads import delete_thread
from ai_agents.workers.job_context import Effect, FileRemoval, JobContext, all_ids, next_ids

KIND = "retention"
_LOOK_EVERY_S = 60.0
EVERY_S = 3600.0
# Trimming logs takes so much of a job's time at most; the next job goes on.
_LOGS_S = 120.0
_THREADS_AT_ONCE = 100
# Others read and write meanwhile.
_PAUSE_S = 0.02
# For so long requests may be repeated, by the clock of any process.
_REPEATED = idempotency.KEPT + timedelta(hours=1)
# After this, the receipts of retention jobs are removed.
_JOBS_KEPT = timedelta(days=30)


def request_retention(connection: Connection, periods: Mapping[str, int | None]) -> str | None:
    """The id of the job that removes what is older than its period; None if retention is not due yet.

    `periods`: days for `threads`, `files` and `log`; None keeps them for ever. Of all processes that ask, one gets the
    id each hour.
    """
    due = any(periods.values()) or connection.scalar(select(exists().where(*_is_expired())))
    if not due or not processes.claim_periodic_task(connection, KIND, every_s=EVERY_S):
        return None
    if (waiting := jobs.find_open(connection, KIND, KIND)) is not None:
        return str(waiting["id"])
    return jobs.request(connection, None, KIND, KIND, payload=dict(periods))


def retention_tasks(
    database: Database, periods: Mapping[str, int | None], wake: Callable[[Sequence[str]], None]
) -> list[PeriodicTask]:
    """The periodic task that requests the retention job."""

    async def request() -> None:
        job_id = await database.write(lambda c: request_retention(c, periods))
        if job_id is not None:
            wake([job_id])

    return [PeriodicTask(_LOOK_EVERY_S, request)]


async def remove_expired(context: JobContext, job: ClaimedJob) -> Effect:
    """Remove what is older than the job's periods; the result counts `threads`, `files` and `log_rows`.

    Raises `StorageUnavailable` where the content of a file could not be removed.
    """
    removed = {"threads": await _remove_threads(context, job)}
    removed["log_rows"], is_left = await _trim_logs(context, job)
    removed["files"] = await _remove_files(context, job)

    def end(connection: Connection) -> JsonObject:
        before = format_time(datetime.now(UTC) - _JOBS_KEPT)
        connection.execute(
            delete(JobTable).where(JobTable.status == "completed", JobTable.kind == KIND, JobTable.finished_at < before)
        )
        if is_left:
            processes.make_due(connection, KIND)
        if any(removed.values()):
            audit.record(connection, audit.Act("retention.remove", None, details=removed))
        return dict(removed)

    return end


async def _remove_threads(context: JobContext, job: ClaimedJob) -> int:
    before, removed = _before(job.payload.get("threads")), 0
    if before is not None:
        async for thread_id in all_ids(context.database, partial(_idle_threads, before=before)):
            remove = partial(_remove_if_idle, thread_id=thread_id, before=before)
            removed += await context.database.write(remove, long=True)
    return removed


def _idle_threads(connection: Connection, before: str, after_id: str) -> list[str]:
    return next_ids(connection, ThreadTable.id, after_id, ThreadTable.created_at < before, _is_idle(before))


def _is_idle(before: str) -> ColumnElement[bool]:
    newest = exists().where(
        ThreadEventTable.thread_id == ThreadTable.id,
        ThreadEventTable.seq == ThreadTable.last_seq,
        ThreadEventTable.created_at >= before,
    )
    active = exists().where(RunTable.thread_id == ThreadTable.id, RunTable.status.in_(("running", "waiting", "queued")))
    return and_(ThreadTable.updated_at < before, ~newest, ~active)


def _remove_if_idle(connection: Connection, thread_id: str, before: str) -> bool:
    """Remove the thread if it is still idle; whether it was."""
    idle = select(ThreadTable.id).where(ThreadTable.id == thread_id, _is_idle(before))
    if not thread_log.try_lock(connection, thread_id) or connection.scalar(idle) is None:
        return False
    delete_thread(connection, thread_id)
    return True


async def _trim_logs(context: JobContext, job: ClaimedJob) -> tuple[int, bool]:
    """How many rows are gone, and whether there is more to do than fits into the time of a job."""
    before, removed, ends_at = log_border(job.payload.get("log")), 0, time.monotonic() + _LOGS_S
    if before is None:
        return 0, False
    find = partial(log_trimming.threads_to_trim, before=before, limit=_THREADS_AT_ONCE)
    while found := await context.database.read(find, long=True):
        for thread_id in found:
            step = partial(log_trimming.trim, thread_id=thread_id, before=before)
            while (trimmed := await context.database.write(step, long=True)).more:
                removed += trimmed.rows
                await asyncio.sleep(_PAUSE_S)
            removed += trimmed.rows
            if time.monotonic() > ends_at:
                return removed, True
    return removed, False


async def _remove_files(context: JobContext, job: ClaimedJob) -> int:
    """How many files are gone. Raises `StorageUnavailable` where one could not be removed, after all others."""
    before, removed = _before(job.payload.get("files")), 0
    removal = FileRemoval(context.attachments)
    async for file_id in all_ids(context.database, partial(_unused_files, before=before)):
        with suppress(Conflict):  # a message has come to refer to it
            removed += await removal.remove(file_id)
    removal.check()
    return removed


def _unused_files(connection: Connection, before: str | None, after_id: str) -> list[str]:
    """Files from before this time (None: only temporary ones whose time has come) to which no message refers."""
    expired, unused = _is_expired()
    old = expired if before is None else or_(expired, FileTable.created_at < before)
    return next_ids(connection, FileTable.id, after_id, old, unused)


def _is_expired() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The time of a temporary file has come, and no message refers to it."""
    referred = exists().where(MessageFileTable.file_id == FileTable.id)
    return FileTable.expires_at <= utc_now(), ~referred


def log_border(days: int | None) -> str | None:
    """The time before which rows of logs go. What the repetition of a request is answered with stays."""
    border = _before(days)
    return None if border is None else min(border, format_time(datetime.now(UTC) - _REPEATED))


def _before(days: int | None) -> str | None:
    return None if days is None else format_time(datetime.now(UTC) - timedelta(days=days))
