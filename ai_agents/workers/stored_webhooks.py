"""Which agents have webhooks, in the memory of a process: events of all others cost no statement."""

import asyncio
import logging
from contextlib import suppress

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store.database import Database
from ai_agents.store.webhooks import HookedAgents, list_hooked

# A webhook that was made on one process holds on the others after this time.
REFRESH_S = 2.0
_log = logging.getLogger(__name__)


class StoredWebhooks:
    """Lets a database tell the webhooks of what happens, and keeps the hooked agents as the database has them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hooked = HookedAgents()
        self._refreshing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read them and go on reading. A database that does not answer is asked again and again."""
        # Until they are known, every agent may have one.
        self._hooked.load([None])
        self._database.on_entries = self._hooked.note
        self._task = asyncio.create_task(self._keep_fresh(), name="webhooks")
        with suppress(DatabaseUnavailable):
            await self.refresh()

    async def refresh(self) -> None:
        """Take what the database has now. Raises `DatabaseUnavailable`."""
        async with self._refreshing:
            self._hooked.load(await self._database.read(list_hooked))

    async def aclose(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.refresh()
            except DatabaseUnavailable:
                continue  # whatever needs the database says so
            except Exception:  # noqa: BLE001  # the edge of a task that must not end while the process lives
                _log.exception("the webhooks could not be read")
