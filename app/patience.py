"""How a process that starts waits for a database that is just coming back.

After a restart of all machines, an update of the database or a failover, the service is often there first. What would
be refused in the same way later is not waited for.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store.database import normalize_url
from ai_agents.store.opening import may_pass

T = TypeVar("T")
log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")
# Longer than PgBouncer refuses everything after its server was away (15 s by default), shorter than an orchestrator
# waits for a process to start.
PATIENCE_S = 20.0
_LOOK_AGAIN_S = 0.5


def _log_waiting(reason: str) -> None:
    log.warning("waiting for the database", reason=reason, longest_s=PATIENCE_S)


class Patience:
    """The wait of one start, `PATIENCE_S` at most. `say` is told once why it waits; by default the log is."""

    def __init__(self, url: str, say: Callable[[str], object] = _log_waiting) -> None:
        self._url = normalize_url(url)
        self._say = say
        self._ends_at: float | None = None

    def pause_after(self, error: DatabaseUnavailable) -> float:
        """The seconds until the next attempt. Raises the error where no other one is due."""
        if not may_pass(error, self._url):
            raise error
        now = time.monotonic()
        if self._ends_at is None:
            self._ends_at = now + PATIENCE_S
            self._say(str(error))
        if now + _LOOK_AGAIN_S > self._ends_at:
            raise error
        return _LOOK_AGAIN_S

    def until_done(self, attempt: Callable[[], T]) -> T:
        """The result of the first attempt that succeeds. Raises `DatabaseUnavailable`."""
        while True:
            try:
                return attempt()
            except DatabaseUnavailable as error:
                time.sleep(self.pause_after(error))

    async def until_opened(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The same for what is awaited."""
        while True:
            try:
                return await attempt()
            except DatabaseUnavailable as error:
                pause_s = self.pause_after(error)
            await asyncio.sleep(pause_s)
