"""How much each user may use: what was set for the user, else what holds for all users.

Whatever has a limit asks here: rates, streams, runs, quotas and budgets. Asking costs nothing: a process keeps what was
set for single users in memory.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from ai_agents.core.limits import NO_LIMITS, OwnLimits, UserLimits
from ai_agents.store import limits as store
from ai_agents.store.database import Database
from ai_agents.store.in_step import InStep

# A change becomes visible with its commit, so that one may appear which is older than the newest that was read.
_OVERLAP_S = 30.0
# Reading all anew forgets users who were erased.
_ALL_EVERY_S = 600.0


class Limits:
    """The limits of all users. Without `defaults` there are none, for programs without the service.

    The defaults do not hold admins; what was set for a user does, whether or not they are an admin.
    """

    def __init__(self, defaults: UserLimits = NO_LIMITS) -> None:
        self.defaults = defaults
        self._own: dict[str, OwnLimits] = {}

    def of(self, user_id: str, *, is_admin: bool = False) -> UserLimits:
        """Every limit of the user. `is_admin`: the request is an admin's."""
        general = NO_LIMITS if is_admin else self.defaults
        own = self._own.get(user_id)
        return {**general, **own} if own else general

    def own(self, user_id: str) -> OwnLimits:
        """What was set for this user."""
        return self._own.get(user_id, {})

    def load(self, users: Mapping[str, OwnLimits], *, forget: bool = False) -> None:
        """Take what was set for these users. With `forget`, nothing is set for any other."""
        if forget:
            self._own.clear()
        self._own.update(users)


class StoredLimits:
    """Keeps limits as the database has them."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._newest = 0.0
        self._all_read_at: float | None = None
        self._in_step = InStep("limits", self.refresh)
        # What is set while all is read would be forgotten.
        self._busy = asyncio.Lock()

    async def open(self) -> None:
        """Read all and go on reading. A database that does not answer is asked again and again."""
        await self._in_step.start()

    async def refresh(self) -> None:
        """Take what the database has now. Raises `DatabaseUnavailable`."""
        async with self._busy:
            now = time.monotonic()
            whole = self._all_read_at is None or now - self._all_read_at > _ALL_EVERY_S
            since = 0.0 if whole else self._newest - _OVERLAP_S
            changed = await self._database.read(lambda c: store.list_changed(c, since), long=whole)
            self._limits.load(changed.users, forget=whole)
            self._newest = max(self._newest, changed.newest)
            if whole:
                self._all_read_at = now

    async def put(self, user_id: str, own: OwnLimits, record: Callable[[Connection], None]) -> None:
        """Set the limits of a user. They hold here at once. `record` is a step of the same transaction.

        Raises `DatabaseUnavailable`.
        """

        def put(connection: Connection) -> None:
            store.set_limits(connection, user_id, own)
            record(connection)

        async with self._busy:
            await self._database.write(put)
            self._limits.load({user_id: own})

    async def aclose(self) -> None:
        """Stop reading."""
        await self._in_step.stop()
