"""Rights that are used for a while: open streams, and requests that wait for an answer.

A right is asked for again when something that it hangs on was taken away, and when it ends by itself. Nothing is asked
as long as neither happens, however many streams are open and whatever goes through them.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import Connection

from ai_agents.bus.base import Bus
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store import revocations
from ai_agents.store.database import Database

# A row of `revocations` is committed some time after its time was taken, and read until it is this old.
_OVERLAP_S = 30.0
_RETRY_S = 0.5
# A timer may fire a moment early, and the right must have ended by then.
_LATE_S = 0.01
_log = logging.getLogger(__name__)


class ReadRight(Protocol):
    """A right to read a thread.

    It hangs on `subjects`: see `store.revocations`. `ask_at` is when to ask again although nothing was taken away, in
    seconds since 1970; None: never. Asking may change it.
    """

    @property
    def subjects(self) -> frozenset[str]:
        """What the right is lost with."""
        ...

    @property
    def ask_at(self) -> float | None:
        """When the right ends by itself, or has to be extended."""
        ...

    async def stands(self) -> bool:
        """Whether there is the right now. Raises `DatabaseUnavailable`."""
        ...


class WatchedRight:
    """A right in use. `RightsWatch.watch` makes it; `close` ends the use."""

    def __init__(self, watch: "RightsWatch", right: ReadRight, on_doubt: Callable[[], None]) -> None:
        self.right = right
        self.in_doubt = False
        self._watch = watch
        self._on_doubt = on_doubt
        self._is_lost = False
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._schedule()

    def doubt(self) -> None:
        """The right may be lost: it has to be asked for before it is used again."""
        self.in_doubt = True
        self._on_doubt()

    async def stands(self) -> bool:
        """Whether the right may still be used. Asks only where it is in doubt, and waits while the database is away."""
        while self.in_doubt and not self._is_lost and not self._is_closed:
            self.in_doubt = False
            try:
                self._is_lost = not await self.right.stands()
            except DatabaseUnavailable:
                self.in_doubt = True
                await asyncio.sleep(_RETRY_S)
            else:
                self._schedule()
        return not self._is_lost

    def close(self) -> None:
        """Stop watching."""
        self._is_closed = True
        self._watch.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # It belongs to what holds this right. A circle would wait for the garbage collector, with all that was read.
        self._on_doubt = _ignore

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ask_at = self.right.ask_at
        if ask_at is not None and not self._is_closed:
            wait_s = max(ask_at - time.time(), 0.0) + _LATE_S
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.doubt)


def _ignore() -> None:
    """A doubt of a right that is used no more."""


class RightsWatch:
    """The rights in use in this process. Every `poll_s` seconds it reads what was taken away elsewhere."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self.poll_s = 5.0
        self._database = database
        self._by_subject: dict[str, set[WatchedRight]] = {}
        # What was taken away in the last half minute, with its time: a right may have been checked just before that.
        self._recent: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._listeners: list[Callable[[Sequence[str]], None]] = []
        self._task: asyncio.Task[None] | None = None
        bus.listen_revoked(self.revoke)

    def watch(self, right: ReadRight, on_doubt: Callable[[], None] = lambda: None) -> WatchedRight:
        """Watch a right that was checked a moment ago. `on_doubt` is called when it has to be asked for again."""
        watched = WatchedRight(self, right, on_doubt)
        for subject in right.subjects:
            self._by_subject.setdefault(subject, set()).add(watched)
        watched.in_doubt = any(subject in self._recent for subject in right.subjects)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll(), name="ai-agents-rights-watch")
        return watched

    def discard(self, watched: WatchedRight) -> None:
        """Forget a right that is not used any more."""
        for subject in watched.right.subjects:
            users = self._by_subject.get(subject)
            if users is not None:
                users.discard(watched)
                if not users:
                    del self._by_subject[subject]

    def listen(self, listener: Callable[[Sequence[str]], None]) -> None:
        """Call the listener with the subjects that are taken away, as soon as this process hears of it."""
        self._listeners.append(listener)

    def revoke(self, subjects: Sequence[str], *, again: bool = False) -> None:
        """Put all rights that hang on these subjects in doubt. `again`: they may have been told before."""
        now = time.monotonic()
        _forget_before(self._recent, now - _OVERLAP_S)
        news = [subject for subject in subjects if subject not in self._recent] if again else subjects
        for listener in self._listeners:
            listener(news)
        for subject in subjects:
            self._recent.pop(subject, None)
            self._recent[subject] = now
            for watched in tuple(self._by_subject.get(subject, ())):
                watched.doubt()

    async def stop(self) -> None:
        """Watch nothing any more."""
        self._by_subject.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _poll(self) -> None:
        read_until: float | None = None
        while self._by_subject:
            await asyncio.sleep(self.poll_s)
            try:
                read_until = await self._read(read_until)
            except DatabaseUnavailable as error:
                _log.warning(
                    "database unavailable, rights of open streams are asked for later",
                    extra=self._database.explain(error),
                )
            except Exception:  # noqa: BLE001  # the edge of a task that must not end while streams are open
                _log.exception("reading what was taken away failed")

    async def _read(self, read_until: float | None) -> float:
        """Read what was taken away since the last time, and a while before; the database's time now."""

        def read(connection: Connection) -> tuple[float, list[tuple[str, str]]]:
            now = revocations.clock(connection)
            since = (now if read_until is None else read_until) - _OVERLAP_S
            return now, list(revocations.list_since(connection, since))

        now, found = await self._database.read(read)
        self.revoke([subject for each, subject in found if each not in self._seen], again=True)
        local = time.monotonic()
        _forget_before(self._seen, local - 4 * _OVERLAP_S)
        for each, _subject in found:
            self._seen.setdefault(each, local)
        return now


def _forget_before(times: dict[str, float], oldest: float) -> None:
    """Remove what is older from a dictionary whose times ascend."""
    while times:
        first = next(iter(times))
        if times[first] >= oldest:
            return
        del times[first]
