"""Connections to an SQLite file: how they are opened, and one that stays open for one transaction after another.

To take a pooled connection and give it back costs more than a short transaction does.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, OperationalError, StatementError
from sqlalchemy.pool import QueuePool, StaticPool

from ai_agents.core import json
from ai_agents.core.exceptions import DatabaseFull, DatabaseUnavailable, InvalidRequest
from ai_agents.core.types import LogRow
from ai_agents.store.sqlite_failures import UNUSABLE
from ai_agents.store.transactions import LOG_ROWS, NO_TABLES, VALUE_REFUSED, Work, fresh_rows, is_of_the_value, join

T = TypeVar("T")
# How long another process's write is waited for before the database counts as unavailable.
_BUSY_TIMEOUT_MS = 15_000
# There is no room for the database or its log, or for the index that its connections share.
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


@dataclass(kw_only=True, slots=True)
class QueuedWork:
    """Work that is committed together with other work: its result or its error, and the log rows that it wrote."""

    work: Work[Any]
    result: Any = None
    error: BaseException | None = None
    rows: list[LogRow] = field(default_factory=list)


class HeldConnection:
    """A connection that stays open. Any thread may use it, one at a time.

    `begin` is the statement that begins its transactions. `rows` are the log rows of the current one.
    """

    def __init__(self, engine: Engine, *, begin: str) -> None:
        self.rows: list[LogRow] = []
        self.in_use = False
        self._engine = engine
        self._begin = begin
        self._opening = Lock()
        self._connection: Connection | None = None
        self._driver: Any = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection yet."""
        return self._connection is not None

    def open(self) -> None:
        """Connect, if that has not been done. Raises `DatabaseUnavailable`."""
        # A cancelled caller does not wait for its thread, so several threads may come here at once.
        with self._opening, translated():
            if self._connection is None:
                connection = self._engine.connect()
                self._driver = connection.connection.dbapi_connection
                self._driver.execute("PRAGMA busy_timeout=0")
                self._connection = connection

    def try_begin(self) -> bool:
        """Begin a transaction at once; False where it would have to wait, for a connection or for another process."""
        if self._connection is None:
            return False
        try:
            with translated():
                self._driver.execute(self._begin)
        except DatabaseUnavailable as error:
            if is_busy(error):
                return False
            raise
        self.in_use = True
        return True

    def begin(self) -> None:
        """Begin a transaction, after those of other processes. Raises `DatabaseUnavailable`."""
        self.open()
        with translated():
            self._driver.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
            try:
                self._driver.execute(self._begin)
            finally:
                self._driver.execute("PRAGMA busy_timeout=0")
        self.in_use = True
        self.rows = fresh_rows(self._opened)

    def do_all(self, queued: Sequence[QueuedWork]) -> None:
        """Do all of this in the transaction. Work that fails is undone alone; if all fails, the transaction is over."""
        for each in queued:
            self._do(each, alone=len(queued) == 1)
            if not self._driver.in_transaction:
                # Some errors, such as a full disk, make the database undo everything.
                lost_by = type(each.error) if isinstance(each.error, DatabaseUnavailable) else DatabaseUnavailable
                for lost in queued:
                    lost.error = lost.error or lost_by()
                break
        if all(each.error for each in queued):
            self.rollback()

    def _do(self, queued: QueuedWork, *, alone: bool) -> None:
        connection, driver = self._opened, self._driver
        connection.info[LOG_ROWS] = queued.rows
        try:
            with translated():
                if alone:
                    queued.result = queued.work(connection)
                    return
                driver.execute("SAVEPOINT queued")
                queued.result = queued.work(connection)
                driver.execute("RELEASE queued")
        except BaseException as error:  # noqa: BLE001  # it is raised again for the caller that waits for the result
            queued.error = error
            if driver.in_transaction and not alone:
                driver.execute("ROLLBACK TO queued")
                driver.execute("RELEASE queued")

    def join(self, work: Work[T]) -> T:
        """The result of work that is one step of the transaction."""
        if not self.in_use:
            raise DatabaseUnavailable("The transaction has ended.")
        with translated():
            return join(self._opened, work)

    def read(self, work: Work[T]) -> T:
        """The result of work in a transaction of its own that changes nothing."""
        self.try_begin()
        try:
            with translated():
                return work(self._opened)
        finally:
            self.rollback()

    def commit(self) -> None:
        """End the transaction and keep what it did. Raises `DatabaseUnavailable`."""
        if not self.in_use:
            return
        try:
            with translated():
                if not self._driver.in_transaction:
                    raise DatabaseUnavailable
                self._driver.commit()
                self._opened.commit()
        except BaseException:
            self.rollback()
            raise
        self.in_use = False

    def rollback(self) -> None:
        """End the transaction, if there is one, and undo what it did."""
        if self._connection is not None:
            self._connection.rollback()
            if self._driver.in_transaction:
                self._driver.rollback()
        self.in_use = False

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self.rollback()
            self._connection.close()
            self._connection = None

    @property
    def _opened(self) -> Connection:
        assert self._connection is not None  # noqa: S101  # `begin` comes first
        return self._connection


def open_engine(url: URL, *, pool_size: int, in_memory: bool, writes: bool = False) -> Engine:
    """An engine with so many connections to the file.

    `writes`: what a savepoint might undo is kept in memory. In a temporary file it takes 70 system calls a turn.
    """
    pool: dict[str, Any] = {"poolclass": StaticPool} if in_memory else {"poolclass": QueuePool, "pool_size": pool_size}
    engine = create_engine(
        url,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT_MS / 1000},
        json_serializer=json.dumps,
        json_deserializer=json.loads,
        hide_parameters=True,  # they contain users' texts, and errors are logged
        **pool,
    )

    @event.listens_for(engine, "connect")
    def prepare(dbapi_connection: Any, _record: Any) -> None:
        # Transactions are begun here, never by the driver.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY_TIMEOUT_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        if writes:
            cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.close()

    return engine


def transact(engine: Engine, work: Work[T]) -> T:
    """The result of work that only reads, on a pooled connection."""
    with translated(), engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        return work(connection)


def is_busy(error: DatabaseUnavailable) -> bool:
    """Whether another process holds the database."""
    cause = error.__cause__
    found = getattr(cause, "orig", None) or cause
    return getattr(found, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def translated() -> Generator[None]:
    """Turns "not available now" into `DatabaseUnavailable`, "this value cannot be stored" into `InvalidRequest`.

    Other errors pass.
    """
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        # The general error code is that of a faulty statement, which will fail again.
        original = error.orig if isinstance(error, OperationalError) else error
        code = getattr(original, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_ERROR:
            if str(original).startswith("no such table"):
                raise DatabaseUnavailable(NO_TABLES) from error
            raise
        raise (DatabaseFull if code in _FULL else DatabaseUnavailable) from error
    except (DatabaseError, sqlite3.DatabaseError) as error:
        original = error.orig if isinstance(error, DatabaseError) else error
        if getattr(original, "sqlite_errorcode", 0) & 0xFF in UNUSABLE:
            raise DatabaseUnavailable from error
        raise
    except StatementError as error:
        if is_of_the_value(error.orig):
            raise InvalidRequest(VALUE_REFUSED) from error
        raise
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidRequest(VALUE_REFUSED) from error
