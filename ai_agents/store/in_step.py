"""Keeps what a process holds of the database in step with it: what is changed elsewhere is read a moment later."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ai_agents.core.exceptions import DatabaseUnavailable

# A change on one process holds on the others after this time.
REFRESH_S = 2.0
_log = logging.getLogger(__name__)


class InStep:
    """Calls `refresh` every `REFRESH_S` seconds. `what` names what it reads, in logs."""

    def __init__(self, what: str, refresh: Callable[[], Awaitable[None]]) -> None:
        self._what = what
        self._refresh = refresh
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> bool:
        """Read now, and go on reading. Returns whether the database answered; if not, it is asked again and again."""
        self._task = asyncio.create_task(self._go_on(), name=f"in-step-{self._what}")
        with suppress(DatabaseUnavailable):
            await self._refresh()
            return True
        return False

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self._refresh()
            except DatabaseUnavailable:
                continue  # whatever needs the database says so
            except Exception:  # noqa: BLE001  # the edge of a task that must not end while the process lives
                _log.exception("the %s of the database could not be read", self._what)
