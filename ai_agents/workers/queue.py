"""Asking for background jobs. A job is a row of the outbox, so that it is kept however this process ends."""

from typing import Protocol

from sqlalchemy import Connection, select

from ai_agents.core.exceptions import InvalidRequest, ThreadNotFound
from ai_agents.core.types import JsonObject
from ai_agents.runner.connection import latest_connection
from ai_agents.store import jobs
from ai_agents.store.database import Database, HasDatabase
from ai_agents.store.models import Thread


class JobQueue(Protocol):
    """Where jobs are asked for."""

    async def enqueue(self, thread_id: str, kind: str) -> JsonObject:
        """The job, new or asked for before. Raises `ThreadNotFound`."""
        ...


class OutboxQueue:
    """Jobs in the database of a handle."""

    def __init__(self, conn: HasDatabase) -> None:
        self._database: Database = conn.database

    async def enqueue(self, thread_id: str, kind: str) -> JsonObject:
        """Write the job's row."""
        return await self._database.write(lambda c: _enqueue(c, thread_id, kind))


_configured: JobQueue | None = None


def configure_queue(queue: JobQueue | None) -> None:
    """Use this queue in the process; None goes back to the outbox of the database that was connected last."""
    global _configured  # noqa: PLW0603  # one queue per process is what the public functions promise
    _configured = queue


async def queue_summarization(thread_id: str) -> JsonObject:
    """Ask for a summary of what the thread's memory no longer shows in full. Raises `ThreadNotFound`."""
    return await _queue().enqueue(thread_id, "summarize")


async def queue_title_generation(thread_id: str) -> JsonObject:
    """Ask for a title for the thread. Raises `ThreadNotFound`."""
    return await _queue().enqueue(thread_id, "title")


def _queue() -> JobQueue:
    if _configured is not None:
        return _configured
    conn = latest_connection()
    if conn is None:
        raise InvalidRequest("There is no database to queue the job in: call `connect` first, or `configure_queue`.")
    return OutboxQueue(conn)


def _enqueue(connection: Connection, thread_id: str, kind: str) -> JsonObject:
    last_seq = connection.execute(select(Thread.last_seq).where(Thread.id == thread_id)).scalar_one_or_none()
    if last_seq is None:
        raise ThreadNotFound
    # A thread has one title; a summary is asked for anew for each stretch of it.
    return jobs.enqueue(connection, thread_id, kind, "title" if kind == "title" else f"through-{last_seq}")
