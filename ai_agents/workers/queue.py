"""Queueing background jobs. A job is a row of the outbox, so that it outlasts this process."""

from typing import Protocol

from sqlalchemy import Connection

from ai_agents.core import tracing
from ai_agents.core.exceptions import InvalidRequest, ThreadNotFound
from ai_agents.core.rows import Job
from ai_agents.core.types import JobKind
from ai_agents.runner.handle import DatabaseHandle, latest_connection
from ai_agents.store import jobs, summaries, thread_log
from ai_agents.store.database import Database, HasDatabase


class JobQueue(Protocol):
    """Where `queue_summarization` and `queue_title_generation` put jobs."""

    async def enqueue(self, thread_id: str, kind: JobKind) -> Job:
        """Queue a job; the job, which may be one that was queued before. Raises `ThreadNotFound`."""
        ...


class OutboxQueue:
    """The outbox of a database. With a `DatabaseHandle`, its process is woken to carry the jobs out."""

    def __init__(self, conn: HasDatabase) -> None:
        self._database: Database = conn.database
        self._executor = conn.executor if isinstance(conn, DatabaseHandle) else None

    async def enqueue(self, thread_id: str, kind: JobKind) -> Job:
        """See `JobQueue.enqueue`."""
        trace = tracing.current()
        job = await self._database.write(lambda c: _enqueue(c, thread_id, kind, trace))
        if job["status"] == "queued" and self._executor is not None and self._executor.background is not None:
            self._executor.background.wake([job["id"]])
        return job


_configured: JobQueue | None = None


def configure_queue(queue: JobQueue | None) -> None:
    """Use this queue in the whole process; None restores the default, the outbox of the latest `connect`."""
    global _configured  # noqa: PLW0603  # one queue per process is what the public functions promise
    _configured = queue


async def queue_summarization(thread_id: str) -> Job:
    """Queue a summary of the messages that the thread's memory leaves out. Raises `ThreadNotFound`."""
    return await _queue().enqueue(thread_id, "summarize")


async def queue_title_generation(thread_id: str) -> Job:
    """Queue a title for the thread. Raises `ThreadNotFound`."""
    return await _queue().enqueue(thread_id, "title")


def _queue() -> JobQueue:
    if _configured is not None:
        return _configured
    conn = latest_connection()
    if conn is None:
        raise InvalidRequest("There is no database to queue the job in: call `connect` first, or `configure_queue`.")
    return OutboxQueue(conn)


def _enqueue(connection: Connection, thread_id: str, kind: str, trace: str | None) -> Job:
    if not thread_log.exists(connection, thread_id):
        raise ThreadNotFound
    if kind == "title":
        return jobs.enqueue(connection, thread_id, kind, jobs.TITLE_RANGE, trace=trace)
    found = summaries.newest(connection, thread_id)
    covers = found.covers_through_seq if found else 0
    return jobs.enqueue(connection, thread_id, kind, jobs.range_after(covers), trace=trace)
