"""Entries of the audit log that many requests share: an admin's use of what others have, and refusals.

They are counted in memory and written by a periodic task, so that no request can be used to fill the table, and a
reading request writes nothing. The first of a minute is written within seconds, the rest when the minute is over: at
most two entries for each user, resource and operation. A kill loses what was not written: readings and refusals of the
last seconds, and how many they were in the last minute. What changes something is written before it is done.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from time import time

import structlog
from sqlalchemy import Connection

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.core.ids import utc_now
from ai_agents.runner.process.periodic import PeriodicTask, run_periodic_tasks
from ai_agents.store import audit, keys
from ai_agents.store.audit import Act
from ai_agents.store.database import Database

_FLUSH_EVERY_S = 5.0
_MINUTE_S = 60.0
# Requests without a valid key come from anywhere and all the time: a few entries an hour tell of them.
_STRANGERS_S = 600.0
# Refusals in one process and minute. What is beyond is counted without its resource, then without its user.
_MOST_OF_USER = 20
_MOST = 1000
# Things of others that one admin uses in a minute. What is beyond is counted without its resource.
_MOST_OF_ADMIN = 2000
log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")
_Key = tuple[str | None, ...]
_MORE = {"more": True}


@dataclass(slots=True)
class _Note:
    """Requests that are counted together. `act` is the first of the `count` that are not written."""

    act: Act
    ends_at: float
    count: int = 0
    written: bool = False


class AuditNotes:
    """The notes of one process."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time) -> None:
        self._database = database
        self._clock = clock
        self._notes: dict[_Key, _Note] = {}
        self._of_user: dict[tuple[str | None, bool], int] = {}
        self._refusals = 0
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Write notes again and again, until `close`."""
        tasks = [PeriodicTask(_FLUSH_EVERY_S, self.flush)]
        self._task = asyncio.create_task(run_periodic_tasks(tasks, asyncio.Event(), self._database), name="audit-notes")

    async def close(self) -> None:
        """Write all that is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        with suppress(DatabaseUnavailable):
            await self.flush(everything=True)
        if self._notes:
            log.error("notes for the audit log are lost: the database is unavailable", notes=len(self._notes))

    def note(self, act: Act) -> None:
        """Count it; it is written soon."""
        self._count(act)

    async def note_change(self, act: Act) -> None:
        """Write it now, before what it tells of is done; again in the same minute, count it.

        Raises `DatabaseUnavailable`.
        """
        note = self._count(act)
        if not note.written:
            await self._write([note])

    async def flush(self, *, everything: bool = False) -> None:
        """Write what is due: notes that are new, and those whose minute is over. Raises `DatabaseUnavailable`."""
        now = self._clock()
        notes = list(self._notes.items())
        await self._write(note for _, note in notes if everything or not note.written or note.ends_at <= now)
        for key in [key for key, note in notes if not note.count and (everything or note.ends_at <= now)]:
            note = self._notes.pop(key)
            self._count_note(note.act, -1)

    def _count(self, act: Act) -> _Note:
        """The note that counts this act, and the others like it."""
        act = self._within_bounds(act)
        key = _key_of(act)
        note = self._notes.get(key)
        if note is None:
            lasts_s = _MINUTE_S if act.actor_id is not None else _STRANGERS_S
            ends_at = (self._clock() // lasts_s + 1) * lasts_s
            note = self._notes[key] = _Note(act, ends_at)
            self._count_note(act, 1)
        if not note.count:
            # What is written next begins with this request.
            note.act = replace(act, at=utc_now())
        note.count += 1
        return note

    def _within_bounds(self, act: Act) -> Act:
        """The act; less of it where there are too many notes already."""
        if _key_of(act) in self._notes:
            return act
        denied = act.outcome == "denied"
        if denied and self._refusals >= _MOST:
            return Act(act.action, None, outcome="denied", details=_MORE)
        if self._of_user.get((act.actor_id, denied), 0) >= (_MOST_OF_USER if denied else _MOST_OF_ADMIN):
            return replace(act, resource_type=None, resource_id=None, operation=None, details=_MORE)
        return act

    def _count_note(self, act: Act, change: int) -> None:
        denied = act.outcome == "denied"
        self._refusals += change if denied else 0
        of_user = act.actor_id, denied
        count = self._of_user.get(of_user, 0) + change
        if count:
            self._of_user[of_user] = count
        else:
            self._of_user.pop(of_user, None)

    async def _write(self, notes: Iterable[_Note]) -> None:
        async with self._writing:
            acts = [(note, replace(note.act, count=note.count)) for note in notes if note.count]
            if not acts:
                return
            await self._database.write(lambda c: _record(c, [act for _, act in acts]), long=len(acts) > 1)
            for note, act in acts:
                note.count -= act.count
                note.written = True


def _record(connection: Connection, acts: list[Act]) -> None:
    """Add the entries. A user whose key is gone may have been erased meanwhile, and gets no new pseudonym."""
    gone = keys.find_deleted(connection, {act.key_id for act in acts if act.key_id is not None})
    left = {act.actor_id for act in acts if act.actor_id is not None and act.key_id in gone}
    unknown = left - audit.known_users(connection, left)
    audit.record(connection, *(replace(act, actor_id=None) if act.actor_id in unknown else act for act in acts))


def _key_of(act: Act) -> _Key:
    return (act.action, act.outcome, act.actor_id, act.key_id, act.resource_type, act.resource_id, act.operation)
