"""Runs that are admitted while no process has a slot for them: held, as rows, until one has.

A held run is a queued run of position 0: it is the first of its thread, and the thread has no other run under way. No
process owns it. So each process looks for held runs, and a process that dies takes none with it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.core.table_rows import RunKey
from ai_agents.core.upstream import UpstreamSlots
from ai_agents.runner.ending import start_next
from ai_agents.runner.ownership import FollowUp, NewLease
from ai_agents.store import runs, thread_log
from ai_agents.store.database import Database

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """A held run that has begun. To follow up: the run."""

    follow_up: FollowUp


def start_held(connection: Connection, run_id: str, thread_id: str, lease: NewLease) -> Started | None:
    """Begin a held run; None where another process was quicker, or it was cancelled."""
    thread_log.lock(connection, thread_id)
    first = runs.find_next_queued(connection, thread_id)
    if first is None or first["id"] != run_id or first["queue_position"] != runs.HELD_POSITION:
        return None
    started = start_next(connection, thread_id, lease)
    return None if started is None else Started(FollowUp(started, "queued"))


class HeldRuns:
    """Begins held runs as this process gets slots for them, the oldest first.

    `begin` begins one; it gives False where it may not, or another process was quicker.
    """

    def __init__(self, database: Database, slots: UpstreamSlots, begin: Callable[[RunKey], Awaitable[bool]]) -> None:
        self._database = database
        self._slots = slots
        self._begin = begin
        self._wanted = asyncio.Event()
        self._beginning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin held runs from now on, whenever a slot is free."""
        self._slots.on_free = self._wanted.set
        self._task = asyncio.create_task(self._run(), name="ai-agents-held-runs", context=Context())

    async def begin_all(self) -> None:
        """Begin as many as there are slots, and note whether others wait. Raises `DatabaseUnavailable`."""
        async with self._beginning:
            while True:
                most = max(min(self._slots.free, runs.HELD_PAGE), 1)
                held = await self._database.read(partial(runs.list_held, limit=most))
                self._slots.is_crowded = bool(held)
                begun = 0
                # No admission takes a slot meanwhile: while runs wait, new ones do too.
                for key in held:
                    if self._slots.free:
                        begun += await self._begin(key)
                if not begun:
                    return

    async def close(self) -> None:
        """Begin no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.begin_all()
            except DatabaseUnavailable as error:
                _log.warning("database unavailable, trying again later", extra=self._database.explain(error))
            except Exception:  # noqa: BLE001  # the edge of a task that must not end while the process lives
                _log.exception("held runs could not be begun")
