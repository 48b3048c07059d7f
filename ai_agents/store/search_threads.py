"""What is searched: the threads that one may read, from the newest on, a few or very many at a time."""

from collections import deque
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, select

from ai_agents.core.scopes import AgentScope
from ai_agents.core.search_words import SearchQuery
from ai_agents.store import search_index, visibility
from ai_agents.store.models import ThreadTable

_THREADS = cast(Table, ThreadTable.__table__).c
_SHOWN = (_THREADS.id, _THREADS.last_seq)
# Of threads, so many are read from the database at once: first of a person's, then of one who has very many.
_FIRST, _MORE = 1_001, 5_000


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for. `user_id` None: in all threads; otherwise see `MessageStore.search`."""

    query: SearchQuery
    user_id: str | None
    thread_id: str | None = None
    agent_id: str | None = None
    within: AgentScope | None = None
    shared: bool = False

    def threads(self) -> Select[str]:
        """The ids of the threads that are searched."""
        statement = select(_THREADS.id).where(*self._narrowed())
        return statement if self.user_id is None else statement.where(_THREADS.id.in_(self.readable(self.user_id)))

    def readable(self, user_id: str) -> Select[str]:
        """The ids of all threads that the user may read."""
        return visibility.resources_of("thread", user_id, shared=self.shared)

    def newest(self, *, before: str | None, limit: int) -> Select[Any]:
        """`id`, `last_seq` and `incomplete` of the newest of these threads, before that one."""
        if self.user_id is None:
            statement = select(*_SHOWN, search_index.INCOMPLETE).where(*self._narrowed())
            if before is not None:
                statement = statement.where(_THREADS.id < before)
            return statement.order_by(_THREADS.id.desc()).limit(limit)
        visible = visibility.newest_visible(
            "thread",
            ThreadTable,
            self.user_id,
            conditions=self._narrowed(),
            before_id=before,
            limit=limit,
            shared=self.shared,
            columns=_SHOWN,
        ).subquery()
        return select(visible, search_index.INCOMPLETE).order_by(visible.c.id.desc()).limit(limit)

    def _narrowed(self) -> tuple[ColumnElement[bool], ...]:
        # As in lists, no temporary ones.
        found: list[ColumnElement[bool]] = [_THREADS.expires_at.is_(None)]
        if self.thread_id is not None:
            found.append(_THREADS.id == self.thread_id)
        if self.agent_id is not None:
            found.append(_THREADS.agent_id == self.agent_id)
        if self.within is not None:
            found.append(_THREADS.agent_id.in_(self.within.agents))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some threads, how many rows their logs have together, and whether there are no threads after them."""

    threads: list[str]
    rows: int
    is_last: bool


class ThreadReader:
    """The threads of a search, the newest first, read as far as they are taken.

    `is_indexed`: whether every message has its words.
    """

    def __init__(self, connection: Connection, asked: Search) -> None:
        self._connection = connection
        self._asked = asked
        self._ahead: deque[Row[Any]] = deque()
        self._before: str | None = None
        self._is_end = False
        self.is_indexed = True

    def take(self, *, rows: int, threads: int = _MORE) -> Piece:
        """The next threads, at most so many, and with at most so many rows, or one."""
        taken: list[str] = []
        count = 0
        while len(taken) < threads and self._has_more():
            if taken and count + self._ahead[0].last_seq > rows:
                break
            row = self._ahead.popleft()
            taken.append(row.id)
            count += row.last_seq
        return Piece(taken, count, not self._has_more())

    def _has_more(self) -> bool:
        if not self._ahead and not self._is_end:
            limit = _FIRST if self._before is None else _MORE
            statement = self._asked.newest(before=self._before, limit=limit)
            self._ahead.extend(self._connection.execute(statement))
            self._is_end = len(self._ahead) < limit
            if self._ahead:
                self._before = self._ahead[-1].id
                self.is_indexed = not self._ahead[0].incomplete
        return bool(self._ahead)
