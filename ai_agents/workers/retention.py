"""Removing what has been kept for long enough: threads in which nothing happens, files that nothing refers to."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, select

from ai_agents.core.exceptions import Conflict, FileNotFound, ThreadNotFound
from ai_agents.core.ids import format_time
from ai_agents.core.types import JsonObject
from ai_agents.store import jobs, periodic, thread_log
from ai_agents.store.jobs import ClaimedJob
from ai_agents.store.models import FileTable, JobTable, MessageFileTable, RunTable, ThreadEventTable, ThreadTable
from ai_agents.store.threads import delete_thread
from ai_agents.workers.work import Effect, Work

KIND = "retention"
LOOK_EVERY_S = 60.0
EVERY_S = 3600.0
_PAGE = 100
# The receipts of old retention jobs, and finished jobs of threads, are of no use for longer than this.
_JOBS_KEPT = timedelta(days=30)


def request_retention(connection: Connection, periods: Mapping[str, int | None]) -> str | None:
    """The id of the job that removes what is older than so many days; None where it is not due yet.

    `periods`: days for `threads` and `files`, None for ever. The database says in which process it is due.
    """
    if not any(periods.values()) or not periodic.take_turn(connection, KIND, every_s=EVERY_S):
        return None
    if (waiting := jobs.find_open(connection, KIND, KIND)) is not None:
        return str(waiting["id"])
    return str(jobs.insert_loose(connection, KIND, KIND, dict(periods))["id"])


async def remove_expired(work: Work, job: ClaimedJob) -> Effect:
    """Remove what the job's periods say; the receipt has `threads` and `files`, how many of each."""
    removed = {"threads": await _remove_threads(work, job), "files": await _remove_files(work, job)}

    def end(connection: Connection) -> JsonObject:
        before = format_time(datetime.now(UTC) - _JOBS_KEPT)
        connection.execute(
            delete(JobTable).where(JobTable.status == "completed", JobTable.kind == KIND, JobTable.finished_at < before)
        )
        return dict(removed)

    return end


async def _remove_threads(work: Work, job: ClaimedJob) -> int:
    before = _before(job.payload.get("threads"))
    removed, last_id = 0, ""
    while before is not None:
        ids = await work.database.read(partial(_idle_threads, before=before, after_id=last_id))
        for thread_id in ids:
            removed += await work.database.write(partial(_remove_if_idle, thread_id=thread_id, before=before))
        if not ids:
            break
        last_id = ids[-1]
    return removed


def _idle_threads(connection: Connection, before: str, after_id: str) -> list[str]:
    found = select(ThreadTable.id).where(ThreadTable.created_at < before, ThreadTable.id > after_id, _is_idle(before))
    return list(connection.execute(found.order_by(ThreadTable.id).limit(_PAGE)).scalars())


def _is_idle(before: str) -> ColumnElement[bool]:
    newest = exists().where(
        ThreadEventTable.thread_id == ThreadTable.id,
        ThreadEventTable.seq == ThreadTable.last_seq,
        ThreadEventTable.created_at >= before,
    )
    active = exists().where(RunTable.thread_id == ThreadTable.id, RunTable.status.in_(("running", "waiting", "queued")))
    return and_(ThreadTable.updated_at < before, ~newest, ~active)


def _remove_if_idle(connection: Connection, thread_id: str, before: str) -> bool:
    """Whether it was still idle, and is gone."""
    try:
        thread_log.lock(connection, thread_id)
    except ThreadNotFound:
        return False
    idle = select(ThreadTable.id).where(ThreadTable.id == thread_id, _is_idle(before))
    if connection.execute(idle).scalar_one_or_none() is None:
        return False
    delete_thread(connection, thread_id)
    return True


async def _remove_files(work: Work, job: ClaimedJob) -> int:
    before = _before(job.payload.get("files"))
    removed, last_id = 0, ""
    while before is not None and work.attachments is not None:
        ids = await work.database.read(partial(_loose_files, before=before, after_id=last_id))
        for file_id in ids:
            try:
                await work.attachments.delete(file_id)
            except (Conflict, FileNotFound):
                continue
            removed += 1
        if not ids:
            break
        last_id = ids[-1]
    return removed


def _loose_files(connection: Connection, before: str, after_id: str) -> list[str]:
    referred = exists().where(MessageFileTable.file_id == FileTable.id)
    found = select(FileTable.id).where(FileTable.created_at < before, FileTable.id > after_id, ~referred)
    return list(connection.execute(found.order_by(FileTable.id).limit(_PAGE)).scalars())


def _before(days: int | None) -> str | None:
    return None if days is None else format_time(datetime.now(UTC) - timedelta(days=days))
