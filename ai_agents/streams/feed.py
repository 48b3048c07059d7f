"""Following all threads that a user sees: hints that something happened in one of them.

Each process gathers for a moment which threads have changed, here and in other processes, and then asks one query: how
they are now, and which of the users who read here have a role on them. This query is also the check of rights. Hints
have no ids, since a client that comes back lists its threads again. So hints may be merged, and a reader that is too
slow for all of them is ended.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ai_agents.bus.base import Bus
from ai_agents.core import json
from ai_agents.core.events import Event, HintType, event_data
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.core.scopes import AgentScope
from ai_agents.core.types import JsonObject, LogRow
from ai_agents.store import activity, revocations
from ai_agents.store.activity import ChangedThread
from ai_agents.store.database import Database
from ai_agents.store.ranks import EVERYBODY
from ai_agents.streams.reader import PRELUDE, RETRY
from ai_agents.streams.rights import ReadRight, RightsWatch

# With the quarter of a second that other processes gather changes for, a second in all.
_COLLECT_S = 0.75
# How often the database is asked what changed: while other processes are not heard, and, since hints may be lost, while
# they are.
_POLL_S = 2.0
_LOOK_AGAIN_S = 15.0
# Without changes in between, this far back; more than it takes to notice that Redis is gone.
_REACH_S = 120.0
# Clocks of processes differ, and transactions take time.
_OVERLAP_S = 3.0
_SILENCE_S = 15.0
_HEARTBEAT = b": ping\n\n"
_RETRY_S = 0.5
# How many threads one query asks about, and about how many users by name.
_THREADS_PER_QUERY = 200
_USERS_PER_QUERY = 500
# A reader with more threads to be told of than this is ended, and lists its threads again.
_MOST_PENDING = 1000
# With more changes than this at once, the same happens to all readers of the process.
_MOST_POLLED = 5000
_MOST_TOLD = 10_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Follower:
    """Whose threads are followed: those on which the user has a role.

    With `shared`, also those on which every user has one. `sees_all`: all threads there are, as an admin. Of all these,
    those `within` these agents (None: all).
    """

    user_id: str
    shared: bool = False
    sees_all: bool = False
    within: AgentScope | None = None

    def reaches(self, agent_id: str | None) -> bool:
        """Whether a thread with this agent may be told of; None: with an agent that is not known any more."""
        return self.within is None or agent_id in self.within.agents


@dataclass(frozen=True, slots=True)
class Hint:
    """What is told of one thread. All readers share the bytes."""

    type: HintType
    data: JsonObject
    frame: bytes


def _hint(event_type: HintType, thread_id: str, thread: JsonObject) -> Hint:
    data = event_data(event_type, thread_id, None, {"thread": thread})
    return Hint(event_type, data, f"event: {event_type}\ndata: {json.dumps(data)}\n\n".encode())


def _deleted(thread_id: str) -> Hint:
    return _hint("thread.deleted", thread_id, {"id": thread_id})


class FeedReader:
    """One reader of the feed. `ActivityFeed.open` makes it."""

    def __init__(self, feed: "ActivityFeed", follower: Follower, right: ReadRight | None, rights: RightsWatch) -> None:
        self.follower = follower
        self._feed = feed
        self._pending: dict[str, Hint] = {}
        self._woken = asyncio.Event()
        self._closed = False
        self._right = None if right is None else rights.watch(right, self._woken.set)

    def put(self, thread_id: str, hint: Hint) -> None:
        """Tell of a thread, in place of what was not sent of it yet."""
        self._pending[thread_id] = hint
        if len(self._pending) > _MOST_PENDING:
            self.end()
        self._woken.set()

    def end(self) -> None:
        """Let the stream end cleanly."""
        self._closed = True
        self._woken.set()

    def close(self) -> None:
        """End the stream and forget it."""
        self.end()
        self._pending.clear()
        if self._right is not None:
            self._right.close()
        self._feed.discard(self)

    async def hints(self) -> AsyncGenerator[list[Hint]]:
        """What is new, as it comes; an empty list after some seconds of silence.

        Ends when the right to read is lost, on `end()`, and where there is too much to tell.
        """
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._feed.silence_s):
                        await self._woken.wait()
                self._woken.clear()
                if self._right is not None and self._right.in_doubt and not await self._right.stands():
                    return
                if self._closed:
                    return
                hints, self._pending = list(self._pending.values()), {}
                yield hints
        finally:
            self.close()

    async def events(self) -> AsyncGenerator[Event]:
        """The hints as events, whose ids are empty."""
        hints = self.hints()
        try:
            async for batch in hints:
                for each in batch:
                    yield Event(each.type, "", each.data)
        finally:
            await hints.aclose()

    async def sse(self) -> AsyncGenerator[bytes]:
        """The hints as bytes of an event stream; those that come together are one chunk."""
        yield PRELUDE
        hints = self.hints()
        retry = RETRY.encode()
        try:
            async for batch in hints:
                if batch:
                    yield retry + b"".join([each.frame for each in batch])
                    retry = b""
                else:
                    yield _HEARTBEAT
        finally:
            await hints.aclose()


class ActivityFeed:
    """The readers of a process, and what is to be told to them. Without a reader it does nothing."""

    def __init__(self, database: Database, bus: Bus, rights: RightsWatch) -> None:
        self.silence_s = _SILENCE_S
        self.collect_s = _COLLECT_S
        self.poll_s = _POLL_S
        self.look_again_s = _LOOK_AGAIN_S
        self._database = database
        self._bus = bus
        self._rights = rights
        self._readers: set[FeedReader] = set()
        self._by_user: dict[str, set[FeedReader]] = {}
        self._user_of: dict[str, str] = {}
        # What is to be looked at: threads that changed, lost roles by thread, deleted threads with their agents.
        self._changed: set[str] = set()
        self._lost: dict[str, set[str]] = {}
        self._gone: dict[str, str | None] = {}
        # Marks of what was told, so that what a poll finds is not told again.
        self._told: dict[tuple[str, str], None] = {}
        self._missed = False
        self._polled_until = 0.0
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        bus.listen_changed(self._on_changed)
        bus.listen_missed(self._on_missed)
        bus.listen(self._on_rows)
        rights.listen(self._on_revoked)

    def __len__(self) -> int:
        return len(self._readers)

    def open(self, follower: Follower, *, right: ReadRight | None = None) -> FeedReader:
        """A reader of all that happens from now on. It ends when the `right` to read is lost."""
        reader = FeedReader(self, follower, right, self._rights)
        if not self._readers:
            self._polled_until = time.time()
            self._bus.hear_changes(wanted=True)
        self._readers.add(reader)
        self._by_user.setdefault(follower.user_id, set()).add(reader)
        self._user_of[revocations.user_digest(follower.user_id)] = follower.user_id
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="ai-agents-feed")
        return reader

    def discard(self, reader: FeedReader) -> None:
        """Forget a reader that was closed."""
        if reader not in self._readers:
            return
        self._readers.discard(reader)
        user_id = reader.follower.user_id
        self._by_user[user_id].discard(reader)
        if not self._by_user[user_id]:
            del self._by_user[user_id]
            del self._user_of[revocations.user_digest(user_id)]
        if not self._readers:
            self._bus.hear_changes(wanted=False)
            self._forget()
            self._due.set()

    def end(self) -> None:
        """End all readers: those who follow come back, on another process."""
        for reader in tuple(self._readers):
            reader.end()

    async def stop(self) -> None:
        """End all readers, and listen no more."""
        self.end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _forget(self) -> None:
        self._changed.clear()
        self._lost.clear()
        self._gone.clear()
        self._told.clear()
        self._missed = False

    # What is heard.

    def _on_changed(self, thread_ids: Collection[str]) -> None:
        if self._readers:
            self._changed.update(thread_ids)
            self._due.set()

    def _on_missed(self) -> None:
        if self._readers:
            self._missed = True
            self._due.set()

    def _on_rows(self, rows: Sequence[LogRow]) -> None:
        if self._readers:
            for row in rows:
                if row.type == "thread.deleted":
                    self._gone[row.thread_id] = json.loads(row.data)["thread"].get("agent_id")
                    self._on_changed([row.thread_id])

    def _on_revoked(self, subjects: Sequence[str]) -> None:
        if self._readers:
            for subject in subjects:
                if subject.startswith(revocations.LOST):
                    _, thread_id, digest = subject.split(":")
                    self._lost.setdefault(thread_id, set()).add(digest)
                    self._on_changed([thread_id])

    # What is told.

    async def _run(self) -> None:
        while self._readers:
            try:
                await self._wait()
                if self._missed or self._poll_in_s <= 0:
                    await self._poll()
                await self._tell()
            except DatabaseUnavailable as error:
                _log.warning(
                    "database unavailable, those who follow their threads are told later",
                    extra=self._database.explain(error),
                )
                await self._pause()
            except Exception:  # noqa: BLE001  # the edge of a task that must not end while there are readers
                _log.exception("telling what happened in threads failed")
                await self._pause()

    async def _pause(self) -> None:
        """Wait before what could not be told is tried again."""
        self._due.set()
        await asyncio.sleep(_RETRY_S)

    async def _wait(self) -> None:
        """Wait until there is something to tell, and a while for more of it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self._poll_in_s, 0.0)):
                await self._due.wait()
        await asyncio.sleep(self.collect_s)
        self._due.clear()

    @property
    def _poll_in_s(self) -> float:
        every_s = self.look_again_s if self._bus.hears_changes else self.poll_s
        return self._polled_until + every_s - time.time()

    async def _poll(self) -> None:
        """Look which threads have changed since the last time, in case that it was not heard."""
        now = time.time()
        since = max(self._polled_until, now - _REACH_S) - _OVERLAP_S
        self._missed = False
        try:
            found = await self._database.read(
                lambda c: activity.find_changed(c, since, limit=_MOST_POLLED + 1), long=True
            )
        except BaseException:
            self._missed = True
            raise
        self._polled_until = now
        if len(found) > _MOST_POLLED:
            self.end()
        self._changed.update(thread_id for thread_id, mark in found if (thread_id, mark) not in self._told)
        self._note_told(found)

    async def _tell(self) -> None:
        """Tell the readers of all threads that have changed."""
        changed, self._changed = sorted(self._changed), set()
        lost, self._lost = self._lost, {}
        gone, self._gone = self._gone, {}
        for first in range(0, len(changed), _THREADS_PER_QUERY):
            part = changed[first : first + _THREADS_PER_QUERY]
            try:
                found = await self._read(part)
            except BaseException:
                self._changed.update(changed[first:])
                self._lost = {**lost, **self._lost}
                self._gone = {**gone, **self._gone}
                raise
            for each in (each for each in found if each.listed):
                self._tell_of(each, lost.get(each.thread["id"], ()))
            self._note_told((each.thread["id"], mark) for each in found for mark in each.marks)
            for thread_id in {*part}.difference(each.thread["id"] for each in found):
                self._tell_of_gone(thread_id, gone.get(thread_id), lost.get(thread_id, ()))

    async def _read(self, thread_ids: Sequence[str]) -> list[ChangedThread]:
        users = None if len(self._by_user) > _USERS_PER_QUERY else [*self._by_user, EVERYBODY]
        return await self._database.read(lambda c: activity.read_changed(c, thread_ids, users), long=True)

    def _tell_of(self, changed: ChangedThread, lost: Collection[str]) -> None:
        """Tell those who see the thread; and those who lost it, that for them it is gone."""
        thread_id = changed.thread["id"]
        seeing = {each for user_id in changed.users for each in self._readers_of(user_id)} | self._seeing_all()
        hint = _hint("thread.activity", thread_id, {**changed.thread})
        for reader in seeing:
            if reader.follower.reaches(changed.agent_id):
                reader.put(thread_id, hint)
        for reader in self._losing(lost) - seeing:
            if reader.follower.reaches(changed.agent_id):
                reader.put(thread_id, _deleted(thread_id))

    def _tell_of_gone(self, thread_id: str, agent_id: str | None, lost: Collection[str]) -> None:
        """Tell those who saw the thread that it was deleted: none where no role was `lost`."""
        hint = _deleted(thread_id)
        for reader in self._losing(lost) | (self._seeing_all() if lost else set()):
            if reader.follower.reaches(agent_id):
                reader.put(thread_id, hint)

    def _readers_of(self, user_id: str) -> Iterable[FeedReader]:
        if user_id == EVERYBODY:
            return [each for each in self._readers if each.follower.shared]
        return self._by_user.get(user_id, ())

    def _seeing_all(self) -> set[FeedReader]:
        return {each for each in self._readers if each.follower.sees_all}

    def _losing(self, digests: Collection[str]) -> set[FeedReader]:
        """The readers of the users that these stand for."""
        users = [EVERYBODY if digest == _DIGEST_OF_ALL else self._user_of.get(digest) for digest in digests]
        return {each for user_id in users if user_id is not None for each in self._readers_of(user_id)}

    def _note_told(self, told: Iterable[tuple[str, str]]) -> None:
        for each in told:
            self._told.pop(each, None)
            self._told[each] = None
        while len(self._told) > _MOST_TOLD:
            del self._told[next(iter(self._told))]


_DIGEST_OF_ALL = revocations.user_digest(EVERYBODY)
