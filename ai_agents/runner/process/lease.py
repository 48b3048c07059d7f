"""Owning runs: taking over what others left, and being the only process where there is no Redis between processes."""

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from sqlalchemy import Connection, select, text, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from ai_agents.core.exceptions import DatabaseUnavailable, SecondProcess
from ai_agents.core.ids import new_id
from ai_agents.core.rows import Problem, RunRow
from ai_agents.runner.recording import Ended, Ending, Successor, end_owned
from ai_agents.store import pages, runs, thread_log
from ai_agents.store.database import Database
from ai_agents.store.models import RunTable
from ai_agents.store.runs import OwnedRun, owned_run
from ai_agents.store.thread_log import Entry

LEASE_S = 10.0
RENEW_EVERY_S = 3.0
SWEEP_EVERY_S = 2.0
# Keys and tickets that have outlived their time are in nobody's way for a while.
TIDY_EVERY_S = 600.0
# Whoever has waited for a day does not mind a quarter of a minute.
WAITED_OUT_EVERY_S = 15.0
CANCEL_POLL_S = 0.5
# Any number that no other program on the same database server is likely to lock.
_ADVISORY_LOCK = 0x41_49_41_47
_REFUSAL = (
    "Another process already runs agents on this database. Several processes need Redis between them, "
    "so that each sees what the others stream: set AI_AGENTS_REDIS_URL (redis_url in the library)."
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A run that is ours now. `lost` says that its former owner may have been at work on it."""

    run: OwnedRun
    lost: bool


def take_over(
    connection: Connection, run_id: str, thread_id: str, successor: Successor, *, max_attempts: int, expired_only: bool
) -> Taken | Ended | None:
    """Become the owner of an abandoned run, or end it where it was cancelled or tried often enough.

    None where somebody else was quicker. What its former owner streamed and did not record is void from here on.
    """
    thread_log.lock(connection, thread_id)
    row = _claim(connection, run_id, successor, expired_only=expired_only)
    if row is None:
        return None
    owned = owned_run(row, reset_seq=thread_log.last_reset(connection, thread_id, pages.MAX_SEQ), continued=True)
    if row["cancel_requested"]:
        return end_owned(connection, owned, Ending("cancelled", "cancelled"), successor)
    if row["former_owner"] is None:
        # A process that was about to stop let it begin, or go on after an approval: nothing of it is lost.
        return Taken(owned, lost=False)
    if row["attempt"] >= max_attempts:
        error: Problem = {
            "type": "about:blank",
            "title": "RunInterrupted",
            "detail": f"The run was lost with its process {max_attempts} times.",
            "code": "run_interrupted",
        }
        return end_owned(connection, owned, Ending("failed", error=error), successor)
    return Taken(_begin_attempt(connection, owned), lost=True)


class _ClaimedRow(RunRow):
    """A run that was just taken over, and the process that had it before."""

    former_owner: str | None


def _claim(connection: Connection, run_id: str, successor: Successor, *, expired_only: bool) -> _ClaimedRow | None:
    former = connection.execute(
        select(RunTable.fence, RunTable.lease_owner).where(RunTable.id == run_id, RunTable.status == "running")
    ).one_or_none()
    if former is None:
        return None
    now = runs.database_now(connection.dialect.name)
    statement = (
        update(RunTable)
        .where(RunTable.id == run_id, RunTable.status == "running", RunTable.fence == former.fence)
        .values(lease_owner=successor.owner, lease_expires_at=now + successor.lease_s, fence=RunTable.fence + 1)
        .returning(*RunTable.__table__.c)
    )
    if expired_only:
        statement = statement.where(RunTable.lease_expires_at < now)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else cast("_ClaimedRow", {**row, "former_owner": former.lease_owner})


def _begin_attempt(connection: Connection, run: OwnedRun) -> OwnedRun:
    attempt = run.attempt + 1
    seq = thread_log.reserve(connection, run.thread_id, 1)
    row = runs.update_owned(connection, run, {"attempt": attempt, "message_id": new_id()})
    facts = {"attempt": attempt, "reason": "process_lost", "discard": [run.message_id]}
    thread_log.write(connection, run.thread_id, seq, [Entry("run.retrying", run.id, facts, resets=True)])
    return owned_run(row, reset_seq=seq, continued=True)


class SoleProcess(Protocol):
    """The right to run agents on a database without Redis; it goes with the process, however that ends."""

    async def acquire(self) -> None:
        """Get it; it may be ours already. Raises `SecondProcess` where another process has it."""
        ...

    async def keep(self) -> None:
        """See that it is still ours, and get it again where a restart of the database took it. Raises as `acquire`."""
        ...

    async def release(self) -> None:
        """Give it back."""
        ...


class _FileLock:
    """A lock on a file beside the SQLite file."""

    def __init__(self, url: URL) -> None:
        in_memory = url.database in (None, "", ":memory:")
        self._path = None if in_memory else Path(f"{url.database}.lock")
        self._file: int | None = None

    async def acquire(self) -> None:
        if self._path is None or self._file is not None:
            return
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            raise SecondProcess(_REFUSAL) from error
        self._file = file

    async def keep(self) -> None:
        """Nothing takes it but the end of the process."""

    async def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _AdvisoryLock:
    """A session's advisory lock in PostgreSQL, on a connection of its own beside the pool."""

    def __init__(self, url: URL) -> None:
        self._engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._connection: AsyncConnection | None = None

    async def acquire(self) -> None:
        if self._connection is not None:
            return
        try:
            connection = await self._engine.connect()
            got = await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        except (OSError, DBAPIError) as error:
            raise DatabaseUnavailable from error
        if not got:
            await connection.close()
            raise SecondProcess(_REFUSAL)
        self._connection = connection

    async def keep(self) -> None:
        try:
            if self._connection is not None:
                await self._connection.scalar(text("SELECT 1"))
                return
        except (OSError, DBAPIError):
            self._connection = None
        await self.acquire()

    async def release(self) -> None:
        if self._connection is not None:
            with suppress(OSError, DBAPIError):
                await self._connection.close()
            self._connection = None
        await self._engine.dispose()


def sole_process(database: Database) -> SoleProcess:
    """The lock that fits the database."""
    return _FileLock(database.url) if database.dialect == "sqlite" else _AdvisoryLock(database.url)
