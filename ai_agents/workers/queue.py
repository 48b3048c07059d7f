"""Asking for background jobs. A job is a row of the outbox, so that it is kept however this process ends."""

from typing import Protocol

from sqlalchemy import Connection, select

from ai_agents.core.exceptions import InvalidRequest, ThreadNotFound
from ai_agents.core.rows import Job
from ai_agents.runner.handle import DatabaseHandle, latest_connection
from ai_agents.store import jobs, summaries
from ai_agents.store.database import Database, HasDatabase
from ai_agents.store.models import ThreadTable


class JobQueue(Protocol):
    """Where jobs are asked for."""

    async def enqueue(self, thread_id: str, kind: str) -> Job:
        """The job, new or asked for before. Raises `ThreadNotFound`."""
        ...


class OutboxQueue:
    """Jobs in the database of a handle."""

    def __init__(self, conn: HasDatabase) -> None:
        self._database: Database = conn.database
        self._executor = conn.executor if isinstance(conn, DatabaseHandle) else None

    async def enqueue(self, thread_id: str, kind: str) -> Job:
        """Write the job's row, and see to it that it is carried out."""
        job = await self._database.write(lambda c: _enqueue(c, thread_id, kind))
        if job["status"] == "queued" and self._executor is not None and self._executor.background is not None:
            self._executor.background.wake([job["id"]])
        return job


_configured: JobQueue | None = None


def configure_queue(queue: JobQueue | None) -> None:
    """Use this queue in the process; None goes back to the outbox of the database that was connected last."""
    global _configured  # noqa: PLW0603  # one queue per process is what the public functions promise
    _configured = queue


async def queue_summarization(thread_id: str) -> Job:
    """Ask for a summary of what the thread's memory no longer shows in full. Raises `ThreadNotFound`."""
    return await _queue().enqueue(thread_id, "summarize")


async def queue_title_generation(thread_id: str) -> Job:
    """Ask for a title for the thread. Raises `ThreadNotFound`."""
    return await _queue().enqueue(thread_id, "title")


def _queue() -> JobQueue:
    if _configured is not None:
        return _configured
    conn = latest_connection()
    if conn is None:
        raise InvalidRequest("There is no database to queue the job in: call `connect` first, or `configure_queue`.")
    return OutboxQueue(conn)


def _enqueue(connection: Connection, thread_id: str, kind: str) -> Job:
    if connection.execute(select(ThreadTable.id).where(ThreadTable.id == thread_id)).scalar_one_or_none() is None:
        raise ThreadNotFound
    if kind == "title":
        return jobs.enqueue(connection, thread_id, kind, jobs.TITLE_RANGE)
    found = summaries.newest(connection, thread_id)
    covers = found.covers_through_seq if found else 0
    return jobs.enqueue(connection, thread_id, kind, jobs.range_after(covers))
