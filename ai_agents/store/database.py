"""A database and its short transactions, the same for SQLite and PostgreSQL.

Stores are plain functions of a SQLAlchemy `Connection` ("work") that are passed to `read` or `write`, each of which is
one transaction from begin to commit.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.engine import URL

from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest
from ai_agents.core.extras import require
from ai_agents.core.types import LogRow
from ai_agents.store import postgres_urls
from ai_agents.store.models import SCHEMA_REVISION
from ai_agents.store.opening import check_database, describe_place, explained, why_unavailable
from ai_agents.store.schema import METADATA
from ai_agents.store.transactions import ON_ENTRIES, Backend, JoinWork, PublishRows, Work

T = TypeVar("T")
P = ParamSpec("P")


class HasDatabase(Protocol):
    """Has a database: a `Database` itself, or the handle that `connect` returns."""

    @property
    def database(self) -> "Database":
        """The database."""
        ...


@dataclass(frozen=True, slots=True)
class _Open:
    database: "Database"
    task: asyncio.Task[Any] | None
    join: JoinWork


_open: ContextVar[_Open | None] = ContextVar("ai_agents_open_transaction", default=None)


class Database:
    """Short transactions on one database.

    `after_commit` is called with the log rows of each committed transaction: on SQLite in the order of the commits, on
    PostgreSQL in nearly that order, since two answers of the server may overtake each other; `seq` says which is first.
    Work that may touch more rows than a turn does, a page of a list for one, says that it is `long`: SQLite runs it in
    a thread, and all other work on the event loop, which saves more than the work itself takes.
    `on_entries` is called with the connection, the thread and the new entries of its log, in their transaction.
    """

    def __init__(self, url: str, *, pool_size: int = 10, direct_url: str | None = None) -> None:
        """`direct_url` is the database itself, where `url` leads to a pooler in transaction mode."""
        self.url = normalize_url(url)
        self.direct_url = self.url if direct_url is None else normalize_url(direct_url)
        self.after_commit: PublishRows = lambda _rows: None
        self.on_entries: Callable[[Connection, str, Sequence[Any]], None] | None = None
        with explained(self.url):
            self._backend = _backend(self.url, pool_size, pooled=direct_url is not None)

    def __repr__(self) -> str:
        return self.url.set(drivername=self.dialect).render_as_string(hide_password=True)

    @property
    def database(self) -> "Database":
        """Itself, so that stores accept a database as well as a handle."""
        return self

    def explain(self, error: BaseException) -> dict[str, str]:
        """For the log, where this database did not answer: `database`, which it is, and `reason`, a sentence.

        Both are without its password; clients of the service are not told.
        """
        return {"database": describe_place(self.url), "reason": why_unavailable(error, self.url)}

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.url.get_backend_name()

    @property
    def in_transaction(self) -> bool:
        """Whether this task is within `transaction()`."""
        return self._current() is not None

    async def read(self, work: Work[T], *, long: bool = False) -> T:
        """The result of work that only reads. Raises `DatabaseUnavailable`."""
        if (current := self._current()) is not None:
            return await current(work)  # type: ignore[no-any-return]  # a step returns what its work returns
        try:
            return await self._backend.read(work, long=long)
        except RuntimeError as error:
            if self._is_closed:
                raise DatabaseUnavailable(f"The handle on {self!r} is closed.") from error
            raise

    async def write(self, work: Work[T], *, long: bool = False) -> T:
        """The result of work, committed.

        The work may run a second time after a lost connection, so it has no other effects. Within `transaction()` of
        the same task it is a step of that one. If the caller is cancelled, it still finishes.
        Raises `DatabaseUnavailable`.
        """
        work = self._listened(work)
        if (current := self._current()) is not None:
            return await current(work)  # type: ignore[no-any-return]  # a step returns what its work returns
        try:
            return await self._backend.write(work, self._publish, long=long)
        except RuntimeError as error:
            if self._is_closed:
                raise DatabaseUnavailable(f"The handle on {self!r} is closed.") from error
            raise

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """One transaction around several store calls of this task. An inner one joins the outer one.

        A store call that raises undoes only what it did itself. Calls by other tasks, also by those started here, are
        not part of it. On SQLite they wait until it ends, so it must not wait for them.
        """
        if self._current() is not None:
            yield
            return
        async with self._backend.begin(self._publish) as join:
            token = _open.set(_Open(self, asyncio.current_task(), join))
            try:
                yield
            finally:
                _open.reset(token)

    def _listened(self, work: Work[T]) -> Work[T]:
        """The work, with the listener where `thread_log` finds it."""
        listener = self.on_entries
        if listener is None:
            return work

        def run(connection: Connection) -> T:
            connection.info[ON_ENTRIES] = listener
            return work(connection)

        return run

    def _publish(self, rows: Sequence[LogRow]) -> None:
        if rows:
            self.after_commit(rows)

    def _current(self) -> JoinWork | None:
        found = _open.get()
        if found is None or found.database is not self or found.task is not asyncio.current_task():
            return None
        return found.join

    def checked_out(self) -> int:
        """How many connections are in use now: 0 while nothing is being read or written."""
        return self._backend.checked_out()

    async def create_all(self) -> None:
        """Create every missing table, and stamp an empty database with the schema's revision."""
        await self.write(_create_all, long=True)

    async def is_empty(self) -> bool:
        """Whether the database has no tables of this program."""
        return await self.read(lambda c: not c.dialect.has_table(c, "threads"))

    async def check(self) -> None:
        """Raises `DatabaseUnavailable`, and says why, where the database cannot be used: it is away, or too old."""
        with explained(self.url):
            await self.read(lambda c: check_database(c, self.url), long=True)

    async def ping(self) -> None:
        """Raises `DatabaseUnavailable` if the database does not answer."""
        await self.read(lambda c: c.execute(select(1)).scalar())

    async def close(self) -> None:
        """Close every connection."""
        self._is_closed = True
        await self._backend.close()


class Store:
    """Functions of a connection as methods, each call in a transaction of its own."""

    def __init__(self, conn: HasDatabase) -> None:
        """Raises TypeError for anything but a handle or a database."""
        if not isinstance(found := getattr(conn, "database", None), Database):
            raise TypeError(not_a_handle(type(self).__name__, conn))
        self._db = found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self._db!r}>"


def not_a_handle(taker: str, given: object) -> str:
    """The sentence for what takes a handle and was given something else."""
    forgotten = " Write `conn = await connect(…)`." if hasattr(given, "__await__") else ""
    return f"{taker} takes the handle that `await connect(…)` returns, not {type(given).__name__}.{forgotten}"


def reading(
    work: Callable[Concatenate[Connection, P], T], *, long: bool = False
) -> Callable[Concatenate[Store, P], Coroutine[Any, Any, T]]:
    """The method of a store that does this work, which only reads."""

    ids = _ids_of(work)

    @wraps(work)
    async def read(self: Store, /, *args: P.args, **kwargs: P.kwargs) -> T:
        _check_given(ids, args, kwargs)
        return await self._db.read(lambda c: work(c, *args, **kwargs), long=long)

    return read


def writing(
    work: Callable[Concatenate[Connection, P], T], *, long: bool = False
) -> Callable[Concatenate[Store, P], Coroutine[Any, Any, T]]:
    """The method of a store that does this work and commits it."""

    ids = _ids_of(work)

    @wraps(work)
    async def write(self: Store, /, *args: P.args, **kwargs: P.kwargs) -> T:
        _check_given(ids, args, kwargs)
        return await self._db.write(lambda c: work(c, *args, **kwargs), long=long)

    return write


def check_ids(**ids: object) -> None:
    """Raises TypeError for an id that is no text: the row itself, for one, in place of its id."""
    for name, value in ids.items():
        if value is not None and not isinstance(value, str):
            row = name.removesuffix("_id")
            raise TypeError(f'{name} is a text, as in {row}["id"], not {type(value).__name__}.')


def _ids_of(work: Callable[..., Any]) -> tuple[tuple[int, str], ...]:
    """The parameters that are ids, each with its position after the connection."""
    _, *names = inspect.signature(work).parameters
    return tuple((position, name) for position, name in enumerate(names) if name.endswith("_id"))


def _check_given(ids: Sequence[tuple[int, str]], args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    for position, name in ids:
        value = args[position] if position < len(args) else kwargs.get(name)
        if value is not None and not isinstance(value, str):
            check_ids(**{name: value})
    limit = kwargs.get("limit", 1)
    if not isinstance(limit, int) or limit < 1:
        raise InvalidRequest(f"The limit of a list is a whole number, at least 1, not {limit!r}.", loc=("limit",))


def normalize_url(url: str) -> URL:
    """The URL with the driver that is used here. Raises `InvalidRequest` for another database."""
    try:
        parsed = postgres_urls.parse_url(url)
    except Exception as error:
        raise InvalidRequest(
            "A database is named by a URL such as sqlite:///agents.db or postgresql://user:password@host/name, and "
            "this is none."
        ) from error
    match parsed.get_backend_name():
        case "sqlite":
            return parsed.set(drivername="sqlite")
        case "postgresql" | "postgres":
            return postgres_urls.normalize(parsed)
        case other:
            raise InvalidRequest(f"The database {other!r} is not supported: use sqlite or postgresql.")


def _backend(url: URL, pool_size: int, *, pooled: bool) -> Backend:
    if url.get_backend_name() == "sqlite":
        from ai_agents.store.sqlite import SqliteBackend

        return SqliteBackend(url, readers=pool_size)
    require("asyncpg")
    from ai_agents.store.postgres import PostgresBackend

    return PostgresBackend(url, pool_size=pool_size, pooled=pooled)


def _create_all(connection: Connection) -> None:
    empty = not connection.dialect.has_table(connection, "threads")
    METADATA.create_all(connection)
    if empty:
        # Alembic's own table, so that later migrations apply to a database that was created here.
        version = Column("version_num", String(32), nullable=False)
        key = PrimaryKeyConstraint("version_num", name="alembic_version_pkc")
        stamp = Table("alembic_version", MetaData(), version, key)
        stamp.create(connection, checkfirst=True)
        connection.execute(delete(stamp))
        connection.execute(insert(stamp).values(version_num=SCHEMA_REVISION))
