"""Threads as clients see them, and lists of them: a user's or all, by agent, metadata, and words of titles."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Select,
    String,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal_column,
    not_,
    select,
    tuple_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ai_agents.core.rows import Page, Thread, ThreadFields, only
from ai_agents.core.scopes import AgentScope
from ai_agents.core.types import ThreadOrder
from ai_agents.store import pages, summaries, thread_log, visibility
from ai_agents.store.models import MessageTable, RunTable, ThreadTable
from ai_agents.store.text_filter import first_with, sizes

_RUNS, _MESSAGES = RunTable.__table__.c, MessageTable.__table__.c
# Of a message's text.
PREVIEW_CHARACTERS = 200


class _TextOf(FunctionElement[str]):
    """The beginning of the text in a message's stored parts; NULL or empty where there is none."""

    type = Text()
    inherit_cache = True


@compiles(_TextOf, "postgresql")
def _on_postgresql(element: _TextOf, compiler: SQLCompiler, **options: Any) -> str:
    # PostgreSQL keeps a NUL in JSON, and makes no text of any JSON that has one.
    parts = f"replace({compiler.process(element.clauses, **options)}::text, '\\u0000', '\\ufffd')::json"
    return f"""(SELECT left(string_agg(part ->> 'text', '' ORDER BY n), {PREVIEW_CHARACTERS})
        FROM json_array_elements({parts}) WITH ORDINALITY AS parts_of(part, n) WHERE part ->> 'type' = 'text')"""  # noqa: S608  # no value of a client is in it


@compiles(_TextOf, "sqlite")
def _on_sqlite(element: _TextOf, compiler: SQLCompiler, **options: Any) -> str:
    parts = compiler.process(element.clauses, **options)
    return f"""(SELECT substr(group_concat(json_extract(part.value, '$.text'), ''), 1, {PREVIEW_CHARACTERS})
        FROM json_each({parts}) AS part WHERE json_extract(part.value, '$.type') = 'text')"""  # noqa: S608  # no value of a client is in it


# What is read of a thread when it is shown, and so costs a turn nothing: it needs no rule of its own when messages are
# erased, and no place in the log.
_PREVIEW = (
    select(_TextOf(_MESSAGES.parts))
    .where(
        _MESSAGES.thread_id == ThreadTable.id,
        _MESSAGES.seq.is_not(None),
        _MESSAGES.role.in_(("user", "assistant")),
        not_(_MESSAGES.superseded),
        func.nullif(_TextOf(_MESSAGES.parts), "").is_not(None),
    )
    .order_by(_MESSAGES.seq.desc())
    .limit(1)
    .correlate(ThreadTable)
    .scalar_subquery()
)
_MESSAGE_COUNT = (
    select(func.count())
    .where(_MESSAGES.thread_id == ThreadTable.id, _MESSAGES.seq.is_not(None))
    .correlate(ThreadTable)
    .scalar_subquery()
)
# The first condition is that of the partial index.
_RUNNING = exists(
    select(_RUNS.id)
    .where(
        _RUNS.thread_id == ThreadTable.id,
        _RUNS.status.in_((literal_column("'running'"), literal_column("'waiting'"))),
        _RUNS.status == literal_column("'running'"),
    )
    .correlate(ThreadTable)
)
THREADS = select(
    ThreadTable.__table__,
    func.nullif(summaries.TEXT_OF_NEWEST, "").label("summary"),
    _PREVIEW.label("preview"),
    _MESSAGE_COUNT.label("message_count"),
    _RUNNING.label("running"),
)
# Values that have one text: a string's own, and the JSON of the others.
_SCALARS = ("string", "number", "boolean")
_NO_SCALARS = ("object", "array", "null")


def to_public(row: Mapping[Any, Any]) -> Thread:
    """A row of `THREADS` as clients see it."""
    thread = only(Thread, row)
    # A process of an older version, while the service is renewed, writes no activity.
    thread["last_activity_at"] = max(thread["last_activity_at"], thread["created_at"])
    return thread


def to_fields(row: Mapping[Any, Any]) -> ThreadFields:
    """What the thread's log may tell of it: nothing that its messages say."""
    return only(ThreadFields, row)


@dataclass(frozen=True, slots=True)
class _View:
    """Which threads a list has, and in which order: those that the user sees (None: all) and that fit conditions."""

    user_id: str | None
    conditions: Sequence[ColumnElement[bool]]
    shared: bool
    order: ThreadOrder

    @property
    def keys(self) -> tuple[InstrumentedAttribute[str], InstrumentedAttribute[str]]:
        """The columns that give the order."""
        by_activity = self.order == "activity"
        return ThreadTable.last_activity_at if by_activity else ThreadTable.created_at, ThreadTable.id

    def cursor(self, row: Mapping[Any, Any]) -> str:
        """The cursor of a thread. That of one order is none of the other."""
        keys = [row[key.key] for key in self.keys]
        return pages.encode_cursor(*keys) if self.order == "created" else pages.encode_cursor("activity", *keys)

    def decode(self, after: str | None) -> tuple[str, str] | None:
        """The keys in a cursor. Raises `InvalidCursor`."""
        if after is None:
            return None
        return pages.decode_time_cursor(after, *(() if self.order == "created" else ("activity",)))

    def part(
        self, columns: Select[*tuple[Any, ...]], *, before: tuple[str, str] | None, limit: int
    ) -> Select[*tuple[Any, ...]]:
        """These columns of the first `limit` threads after those keys."""
        by_activity = self.order == "activity"
        if self.user_id is None:
            statement = columns.where(*self.conditions)
        elif by_activity:
            seen = visibility.resources_of("thread", self.user_id, shared=self.shared)
            statement = columns.where(ThreadTable.id.in_(seen), *self.conditions)
        else:
            visible = visibility.newest_visible(
                "thread",
                ThreadTable,
                self.user_id,
                conditions=tuple(self.conditions),
                before_id=before and before[1],
                limit=limit,
                shared=self.shared,
            )
            statement = columns.where(ThreadTable.id.in_(visible))
        if before is not None:
            statement = statement.where(tuple_(*self.keys) < before)
        if by_activity and self.user_id is None:
            # The hours have an index, along which all threads are read as far as the page needs.
            if before is not None:
                statement = statement.where(ThreadTable.activity_hour <= thread_log.activity_hour(before[0]))
            statement = statement.order_by(ThreadTable.activity_hour.desc())
        return statement.order_by(*(key.desc() for key in self.keys)).limit(limit)


def list_threads(
    connection: Connection,
    user_id: str | None = None,
    *,
    agent_id: str | None = None,
    q: str | None = None,
    metadata: Sequence[tuple[str, str]] = (),
    within: AgentScope | None = None,
    shared: bool = False,
    order: ThreadOrder = "created",
    limit: int = 20,
    after: str | None = None,
) -> Page[Thread]:
    """A page of the threads on which the user has a role (None: of all threads), newest first.

    With `shared`, also of those on which every user has one. Of all these, the threads `within` these agents, whose
    title has `q` in it in any case, and whose metadata has each of these keys with this value (the text of a string,
    the JSON of a number or boolean). With `order` `activity`, those come first in which something happened last.
    `{"data", "next"}`. Raises `InvalidCursor`, also for the cursor of the other order.
    """
    conditions: list[ColumnElement[bool]] = [_has(connection.dialect.name, *each) for each in metadata]
    # Temporary threads are in no list.
    conditions.append(ThreadTable.expires_at.is_(None))
    if agent_id is not None:
        conditions.append(ThreadTable.agent_id == agent_id)
    if within is not None:
        conditions.append(ThreadTable.agent_id.in_(within.agents))
    view = _View(user_id, conditions, shared, order)
    before = view.decode(after)
    ids: Any
    if q is not None:
        ids = first_with(q, _titles(connection, view, before), limit=limit + 1)
    else:
        # First the ids: what is read of each thread is not to be read of all that are sorted.
        shown = view.part(select(ThreadTable.id), before=before, limit=limit + 1).subquery()
        ids = select(shown.c.id)
    statement = THREADS.where(ThreadTable.id.in_(ids)).order_by(*(key.desc() for key in view.keys))
    rows = connection.execute(statement).mappings().all()
    return pages.to_page(rows, limit=limit, cursor=view.cursor, to_dict=to_public)


def _titles(connection: Connection, view: _View, before: tuple[str, str] | None) -> Iterator[tuple[str, str]]:
    """Ids and titles of the threads that have one, in the view's order, read as far as they are asked for."""
    titled = replace(view, conditions=[*view.conditions, ThreadTable.title.is_not(None)])
    columns = select(ThreadTable.title, *view.keys)
    for size in sizes():
        rows = connection.execute(titled.part(columns, before=before, limit=size)).all()
        yield from ((row.id, row.title) for row in rows)
        if len(rows) < size:
            return
        before = rows[-1][1], rows[-1][2]


def _has(dialect: str, key: str, value: str) -> ColumnElement[bool]:
    """Whether the thread's metadata has this value under this key."""
    column = ThreadTable.meta
    if dialect == "postgresql":
        # A NUL in it has no text there.
        readable = cast(func.replace(cast(column, Text), "\\u0000", "\\ufffd"), JSON)
        kind = func.json_typeof(func.json_extract_path(readable, key))
        return and_(kind.in_(_SCALARS), func.json_extract_path_text(readable, key) == value)
    each = func.json_each(column).table_valued("key", "value", "type")
    # Booleans are numbers there.
    text = case((each.c.type.in_(("true", "false")), each.c.type), else_=cast(each.c.value, String))
    return exists(
        select(each.c.key)
        .where(each.c.key == key, each.c.type.not_in(_NO_SCALARS), text == value)
        .correlate(ThreadTable)
    )
