"""Threads as clients see them, and lists of them: a user's or all, by agent, metadata, and words of titles."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, String, and_, case, cast, exists, func, select, tuple_

from ai_agents.core.rows import Page, Thread, only
from ai_agents.core.scopes import AgentScope
from ai_agents.store import pages, roles, summaries
from ai_agents.store.models import ThreadTable

THREADS = select(ThreadTable.__table__, func.nullif(summaries.TEXT_OF_NEWEST, "").label("summary"))
_KEYS = ThreadTable.created_at, ThreadTable.id
# How many titles are read at once.
_TITLES = 500
# Values that have one text: a string's own, and the JSON of the others.
_SCALARS = ("string", "number", "boolean")
_NO_SCALARS = ("object", "array", "null")


def to_public(row: Mapping[Any, Any]) -> Thread:
    """The row of a thread, with its summary, as clients see it."""
    return only(Thread, row)


def list_threads(
    connection: Connection,
    user_id: str | None = None,
    *,
    agent_id: str | None = None,
    q: str | None = None,
    metadata: Sequence[tuple[str, str]] = (),
    within: AgentScope | None = None,
    shared: bool = False,
    limit: int = 20,
    after: str | None = None,
) -> Page[Thread]:
    """A page of the threads on which the user has a role (None: of all threads), newest first.

    With `shared`, also of those on which every user has one. Of all these, the threads `within` these agents, whose
    title has `q` in it in any case, and whose metadata has each of these keys with this value (the text of a string,
    the JSON of a number or boolean). `{"data", "next"}`. Raises `InvalidCursor`.
    """
    before = None if after is None else pages.decode_time_cursor(after)
    conditions: list[ColumnElement[bool]] = [_has(connection.dialect.name, *each) for each in metadata]
    if agent_id is not None:
        conditions.append(ThreadTable.agent_id == agent_id)
    if within is not None:
        conditions.append(ThreadTable.agent_id.in_(within.agents))
    statement = THREADS
    if q is not None:
        titles = _titles(connection, user_id, conditions, shared=shared, before=before)
        statement = statement.where(ThreadTable.id.in_(_with_words(titles, q, limit=limit + 1)))
    else:
        statement = _seen(statement, user_id, conditions, shared=shared, before=before, limit=limit + 1)
    return pages.newest_first(connection, statement, ThreadTable, limit=limit, after=after, to_dict=to_public)


def _seen(
    statement: Select[*tuple[Any, ...]],
    user_id: str | None,
    conditions: Sequence[ColumnElement[bool]],
    *,
    shared: bool,
    before: tuple[str, str] | None,
    limit: int,
) -> Select[*tuple[Any, ...]]:
    """The statement for those threads alone that the user sees, the newest `limit` of them; with None for all."""
    if user_id is None:
        return statement.where(*conditions)
    visible = roles.newest_visible(
        "thread",
        ThreadTable,
        user_id,
        conditions=tuple(conditions),
        before_id=before and before[1],
        limit=limit,
        shared=shared,
    )
    return statement.where(ThreadTable.id.in_(visible))


def _titles(
    connection: Connection,
    user_id: str | None,
    conditions: Sequence[ColumnElement[bool]],
    *,
    shared: bool,
    before: tuple[str, str] | None,
) -> Iterator[tuple[str, str]]:
    """Ids and titles of the threads that have one, newest first, read as far as they are asked for."""
    titled = [*conditions, ThreadTable.title.is_not(None)]
    columns = select(ThreadTable.id, ThreadTable.title, ThreadTable.created_at)
    while True:
        statement = _seen(columns, user_id, titled, shared=shared, before=before, limit=_TITLES)
        if before is not None:
            statement = statement.where(tuple_(*_KEYS) < before)
        statement = statement.order_by(*(key.desc() for key in _KEYS)).limit(_TITLES)
        rows = connection.execute(statement).all()
        yield from ((row.id, row.title) for row in rows)
        if len(rows) < _TITLES:
            return
        before = rows[-1].created_at, rows[-1].id


def _with_words(titles: Iterator[tuple[str, str]], q: str, *, limit: int) -> list[str]:
    """The first ids whose title has `q` in it. Compared here: databases differ in what they take for lower case."""
    found, wanted = [], _folded(q)
    for thread_id, title in titles:
        if wanted in _folded(title):
            found.append(thread_id)
            if len(found) == limit:
                break
    return found


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _has(dialect: str, key: str, value: str) -> ColumnElement[bool]:
    """Whether the thread's metadata has this value under this key."""
    column = ThreadTable.meta
    if dialect == "postgresql":
        kind = func.json_typeof(func.json_extract_path(column, key))
        return and_(kind.in_(_SCALARS), func.json_extract_path_text(column, key) == value)
    each = func.json_each(column).table_valued("key", "value", "type")
    # Booleans are numbers there.
    text = case((each.c.type.in_(("true", "false")), each.c.type), else_=cast(each.c.value, String))
    return exists(
        select(each.c.key)
        .where(each.c.key == key, each.c.type.not_in(_NO_SCALARS), text == value)
        .correlate(ThreadTable)
    )
