"""The writes of one run: each goes on to its end, even if its task is cancelled meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy import Connection

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store.database import Database

T = TypeVar("T")
_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 2.0
_log = logging.getLogger(__name__)


class Writes:
    """Writes and reads that wait until the database is there.

    `is_stopped` tells whether this process stopped the run on purpose: then a cancellation does not end a write.
    """

    def __init__(self, database: Database, run_id: str, *, is_stopped: Callable[[], bool]) -> None:
        self._database = database
        self._run_id = run_id
        self._is_stopped = is_stopped
        self._under_way: asyncio.Future[Any] | None = None

    async def record(self, work: Callable[[Connection], T], find_recorded: Callable[[Connection], T | None]) -> T:
        """Write until it is committed. `find_recorded` looks whether a commit happened whose answer was lost."""
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                return await self._database.write(work)
            except DatabaseUnavailable:
                self._log_unavailable()
            while True:
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
                try:
                    recorded = await self._database.read(find_recorded)
                except DatabaseUnavailable:
                    continue
                if recorded is not None:
                    return recorded
                break

    async def once_available(self, read: Callable[[], Awaitable[T]]) -> T:
        """The result of a read, once the database is there: a run waits for it as for a slow model."""
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                return await read()
            except DatabaseUnavailable:
                self._log_unavailable()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _LONGEST_DELAY_S)

    async def to_the_end(self, writing: Coroutine[Any, Any, T]) -> T:
        """Finish writing even if this task is cancelled meanwhile; then raise the cancellation."""
        task = self._under_way = asyncio.ensure_future(writing)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await self.finish()
            raise

    async def finish(self) -> None:
        """Wait for a write under way, even if this task is cancelled again and again."""
        while self._under_way is not None and not self._under_way.done():
            try:
                await asyncio.wait({self._under_way})
            except asyncio.CancelledError:
                if not self._is_stopped():
                    raise

    async def last(self, writing: Coroutine[Any, Any, T]) -> T:
        """Finish writing even if this task is cancelled meanwhile; then raise a cancellation that was no stop."""
        task: asyncio.Future[T] = asyncio.ensure_future(writing)
        self._under_way = task
        foreign: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                foreign = foreign if self._is_stopped() else error
        if foreign is not None:
            raise foreign
        return task.result()

    def _log_unavailable(self) -> None:
        _log.warning("database unavailable, trying again", extra={"run_id": self._run_id})
