"""One at a time for each user, within a process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class _UserLock(asyncio.Lock):
    users = 0


class UserLocks:
    """A lock per user, for work that locks something of the user in the database.

    Those of one user would wait for each other there anyway, each with a connection of the pool. Here they wait without
    one, so that other users find connections. SQLite, with one writer, needs no such locks.
    """

    def __init__(self, dialect: str) -> None:
        self._needed = dialect == "postgresql"
        self._locks: dict[str, _UserLock] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def hold(self, user_id: str) -> AsyncGenerator[None]:
        """Hold the user's lock."""
        if not self._needed:
            yield
            return
        lock = self._locks.setdefault(user_id, _UserLock())
        lock.users += 1
        try:
            async with lock:
                yield
        finally:
            lock.users -= 1
            if not lock.users:
                del self._locks[user_id]
