"""What a transaction is made of, for both databases: the work, what a backend does with it, and its log rows.

Work is a plain function of a SQLAlchemy `Connection`. It runs in one transaction, from begin to commit.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from ai_agents.core.types import LogRow

T = TypeVar("T")
Work = Callable[[Connection], T]
# Runs work as one step of a transaction that is open.
JoinWork = Callable[[Work[Any]], Awaitable[Any]]
# Is called with the log rows of a transaction, once they are committed.
PublishRows = Callable[[Sequence[LogRow]], None]
LOG_ROWS = "ai_agents.log_rows"
# Where a connection has what is told of entries in their transaction; see `Database.on_entries`.
ON_ENTRIES = "ai_agents.on_entries"
# Work that reads or writes at most so many rows by an index is done before a thread would have begun it.
SHORT_WORK_ROWS = 64
# Work that had to wait for longer is refused, not begun: its caller has given up, or is about to.
MOST_WAIT_S = 10.0
VALUE_REFUSED = "A text or number in it cannot be stored."
# What a database says that was not made ready.
NO_TABLES = (
    "The database has no tables, or not all of this version: `await conn.create_all()` makes them in an empty one, "
    "`ai-agents migrate` brings an older one up to date."
)


class Backend(Protocol):
    """What differs between the databases."""

    async def read(self, work: Work[T], *, long: bool) -> T:
        """Run the work, which changes nothing. `long`: see `Database`."""
        ...

    async def write(self, work: Work[T], publish: PublishRows, *, long: bool) -> T:
        """Run the work and commit. The log rows that it wrote are published then, before the result is returned.

        If the caller is cancelled, the work still finishes, and its rows are published all the same.
        """
        ...

    def begin(self, publish: PublishRows) -> AbstractAsyncContextManager[JoinWork]:
        """One transaction for several steps. It commits at the end and rolls back on an error. Publishes as `write`."""
        ...

    def checked_out(self) -> int:
        """How many connections are in use now."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


def fresh_rows(connection: Connection) -> list[LogRow]:
    """An empty list for the log rows of the transaction that begins on this connection."""
    rows: list[LogRow] = []
    connection.info[LOG_ROWS] = rows
    return rows


def join(connection: Connection, work: Work[T]) -> T:
    """The result of work as one step of a transaction: if it raises, only this step is undone."""
    rows: list[LogRow] = connection.info[LOG_ROWS]
    noted = len(rows)
    try:
        with connection.begin_nested():
            return work(connection)
    except BaseException:
        del rows[noted:]
        raise


def is_of_the_value(error: BaseException | None) -> bool:
    """Whether an error is about a value that no database can store: a lone surrogate, a number too big, not JSON."""
    return isinstance(error, UnicodeEncodeError | OverflowError | TypeError)
