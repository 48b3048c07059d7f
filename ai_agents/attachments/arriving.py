"""Uploads that are under way: their bytes count for their user while they arrive.

So a user who is near the limit cannot fill the disk with uploads that are refused only at their end. What is written
to the database decides; this is what one process can see before.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ai_agents.core.exceptions import QuotaExceeded


class ArrivingFile:
    """The bytes of one upload. Without `most` it is not refused."""

    def __init__(self, arriving: Counter[str], user_id: str, *, used: int, most: int | None) -> None:
        self._arriving = arriving
        self._user_id = user_id
        self._used = used
        self._most = most
        self._size_bytes = 0

    def require(self, size_bytes: int) -> None:
        """Raises `QuotaExceeded` unless so many more bytes have room beside all that arrives for the user now."""
        used = self._used + self._arriving[self._user_id]
        if self._most is not None and used + size_bytes > self._most:
            raise QuotaExceeded("files_bytes", used=used - self._size_bytes, limit=self._most)

    def take(self, size_bytes: int) -> None:
        """Count bytes that have come. Raises `QuotaExceeded`."""
        self.require(size_bytes)
        self._size_bytes += size_bytes
        self._arriving[self._user_id] += size_bytes

    def end(self) -> None:
        """Count it no longer: from here on the database does."""
        self._arriving[self._user_id] -= self._size_bytes
        self._size_bytes = 0
        if not self._arriving[self._user_id]:
            del self._arriving[self._user_id]


class ArrivingFiles:
    """The uploads of this process."""

    def __init__(self) -> None:
        self._arriving: Counter[str] = Counter()

    def of(self, user_id: str) -> int:
        """The bytes that have come so far in this user's uploads."""
        return self._arriving[user_id]

    @contextmanager
    def begin(self, user_id: str, *, used: int, most: int | None) -> Iterator[ArrivingFile]:
        """An upload of a user who has `used` bytes of `most`. It counts until it ends, or the context does."""
        file = ArrivingFile(self._arriving, user_id, used=used, most=most)
        try:
            yield file
        finally:
            file.end()
