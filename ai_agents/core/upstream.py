"""How many connections to providers a process has, and may have."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

DEFAULT_MAX_CONNECTIONS = 10_000
DEFAULT_MAX_HELD_RUNS = 1_000


class UpstreamSlots:
    """Counts what this process asks providers at once. Each run under way counts as one, from its begin to its end.

    Only a run that is admitted waits for a slot, as a row of the database. A call beside an answer (of a judge, for a
    title or a summary) counts and never waits: a run may wait for that call, and would hold its own slot meanwhile.
    A run that goes on, after an approval or a takeover, does not wait either. So `used` may exceed `limit`.

    `max_held` is how many admitted runs may wait, in all processes together. `is_crowded` says that some wait; then
    `on_free` is called when a slot becomes free.
    """

    def __init__(self, limit: int = DEFAULT_MAX_CONNECTIONS, *, max_held: int = DEFAULT_MAX_HELD_RUNS) -> None:
        self.limit = limit
        self.max_held = max_held
        self.used = 0
        self.is_crowded = False
        self.on_free: Callable[[], None] = lambda: None

    @property
    def free(self) -> int:
        """How many slots are free."""
        return max(0, self.limit - self.used)

    def take(self) -> None:
        """Count one connection, without waiting."""
        self.used += 1

    def release(self) -> None:
        """The connection is closed."""
        self.used -= 1
        if self.is_crowded and self.free:
            self.on_free()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count one connection, without waiting."""
        self.take()
        try:
            yield
        finally:
            self.release()

    @contextmanager
    def reserved(self) -> Iterator[bool]:
        """Keep a slot for a run that may begin in this block. False if the run has to wait: none is free, or others
        have waited for longer.
        """
        if self.is_crowded or not self.free:
            yield False
            return
        with self.counted():
            yield True

    def note_waiting(self) -> None:
        """A run waits, perhaps for a slot that has become free meanwhile."""
        self.is_crowded = True
        if self.free:
            self.on_free()
