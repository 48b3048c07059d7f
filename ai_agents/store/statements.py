"""Statements that every turn runs, compiled once and passed to the driver.

Each time a statement is executed, SQLAlchemy looks it up in its cache, collects its parameters and describes its
result. That takes several times as long as SQLite does, and as much processor time as a round trip to PostgreSQL. To
read a run takes 33 µs that way, 24 µs with `exec_driver_sql`, and 8 µs here; a turn of 2 ms has about 20 statements. So
two hooks of SQLAlchemy that are not public are used here, and nowhere else: the one by which `Connection.execute` calls
a statement, and the one that turns an error of the driver into one of SQLAlchemy and drops a lost connection.
"""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import chain
from typing import Any, TypeVar, cast

from sqlalchemy import ClauseElement, Connection, Dialect, Executable, Insert, Table, insert
from sqlalchemy.engine import IteratorResult, Result
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler

from ai_agents.store.models import Base

S = TypeVar("S", bound=Executable)
Processor = Callable[[Any], Any] | None
# Where a connection has the INSERTs that wait to be sent together.
_WAITING = "ai_agents.waiting_inserts"
_NO_VALUES: Mapping[str, Any] = {}
# Each number of rows is a statement of its own for the server.
_MOST_TOGETHER = 8
_PARAMETER = re.compile(r"\$(\d+)")


def prepared(statement: S) -> S:
    """The statement, for `connection.execute` with parameters by name. It cannot be extended, and has no `rowcount`."""
    return cast("S", _PreparedStatement(statement, of_given_columns=False))


def prepared_insert(table: type[Base] | Table) -> Insert:
    """An INSERT for `connection.execute` with a row, or with a list of rows that have the same columns."""
    return cast("Insert", _PreparedStatement(insert(table), of_given_columns=True))


@contextmanager
def together(connection: Connection) -> Generator[None]:
    """Send the prepared INSERTs in here as one statement at the end: one round trip in place of several.

    They are sent before any other prepared statement in here. What reads or changes these rows by another statement
    calls `send_together` first. SQLite has no round trips, and inserts each at once.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    info = connection.info  # held: a connection that was lost meanwhile has none
    info[_WAITING] = []
    try:
        yield
        send_together(connection)
    finally:
        info.pop(_WAITING, None)


def send_together(connection: Connection) -> None:
    """Send now what waits in `together`."""
    waiting: list[tuple[_CompiledStatement, Mapping[str, Any]]] | None = connection.info.get(_WAITING)
    if waiting:
        rows = waiting.copy()
        waiting.clear()
        for first in range(0, len(rows), _MOST_TOGETHER):
            part = rows[first : first + _MOST_TOGETHER]
            sql = _as_one(tuple(compiled.sql for compiled, _ in part))
            _run(connection, sql, partial(_values_of, part))


def _values_of(inserts: Sequence[tuple["_CompiledStatement", Mapping[str, Any]]]) -> tuple[Any, ...]:
    return tuple(chain.from_iterable(compiled.values(row) for compiled, row in inserts))


@lru_cache
def _as_one(inserts: tuple[str, ...]) -> str:
    """INSERTs as one statement, which takes the values of all of them. Foreign keys are checked at its end."""
    numbered: list[str] = []
    before = 0
    for sql in inserts:
        numbered.append(_PARAMETER.sub(lambda found, before=before: f"${int(found[1]) + before}", sql))  # type: ignore[misc]
        before += len(_PARAMETER.findall(sql))
    *others, last = numbered
    return f"WITH {', '.join(f'i{n} AS ({sql})' for n, sql in enumerate(others))} {last}" if others else last


class _PreparedStatement:
    """A statement with its compiled form for each dialect and each choice of columns with which it was executed."""

    def __init__(self, statement: Executable, *, of_given_columns: bool) -> None:
        self._statement = statement
        self._of_given_columns = of_given_columns
        self._can_wait = isinstance(statement, Insert) and not statement.exported_columns
        self._compiled: dict[tuple[str, ...], _CompiledStatement] = {}

    def _execute_on_connection(
        self, connection: Connection, parameters: Sequence[Mapping[str, Any]], options: Any
    ) -> Result[Any]:
        """Called by `Connection.execute`. If anything listens to statements, SQLAlchemy executes it itself."""
        if connection.dispatch.before_cursor_execute:
            return self._statement._execute_on_connection(connection, parameters, options)
        dialect = connection.dialect
        key = (dialect.name, *parameters[0]) if self._of_given_columns else (dialect.name,)
        compiled = self._compiled.get(key)
        if compiled is None:
            names = list(parameters[0]) if self._of_given_columns else None
            compiled = self._compiled[key] = _CompiledStatement(self._statement, dialect, names)
        if not connection.in_transaction():
            connection.begin()
        waiting = connection.info.get(_WAITING)
        if waiting is None:
            return compiled.execute(connection, parameters)
        if self._can_wait:
            waiting += [(compiled, each) for each in parameters or (_NO_VALUES,)]
            return compiled.nothing()
        send_together(connection)
        return compiled.execute(connection, parameters)


class _CompiledStatement:
    """A statement in the form that the driver takes."""

    def __init__(self, statement: Executable, dialect: Dialect, column_names: list[str] | None) -> None:
        compiled = cast(
            "SQLCompiler", cast("ClauseElement", statement).compile(dialect=dialect, column_keys=column_names)
        )
        self.sql = str(compiled)
        if "POSTCOMPILE" in self.sql:
            raise ValueError("an IN of a prepared statement takes literal columns, not values")
        types = {name: bind.type.dialect_impl(dialect) for bind, name in compiled.bind_names.items()}
        fixed = compiled.params
        self._binds: list[tuple[str, Any, Processor]] = [
            (name, fixed.get(name), types[name].bind_processor(dialect) if name in types else None)
            for name in compiled.positiontup or ()
        ]
        self._dialect = dialect
        self._columns = list(getattr(statement, "exported_columns", ()))
        self._names = SimpleResultMetaData([getattr(column, "name", "") for column in self._columns])
        # By the column's place. They are known with the first result, which has the database's types.
        self._processors: list[tuple[int, Callable[[Any], Any]]] | None = None

    def execute(self, connection: Connection, parameters: Sequence[Mapping[str, Any]]) -> Result[Any]:
        """Execute it. The result has its rows."""
        many = len(parameters) > 1

        def values() -> Any:
            return [self.values(each) for each in parameters] if many else self.values(*parameters)

        rows = _run(connection, self.sql, values, many=many, read=self._rows if self._columns else None)
        return IteratorResult(self._names, iter(rows))

    def nothing(self) -> Result[Any]:
        """The result of an INSERT, which has no rows."""
        return IteratorResult(self._names, iter(()))

    def values(self, given: Mapping[str, Any] = _NO_VALUES) -> tuple[Any, ...]:
        """The values of its parameters, as the driver takes them."""
        found = []
        for name, fixed, process in self._binds:
            value = given[name] if fixed is None else given.get(name, fixed)
            found.append(value if process is None else process(value))
        return tuple(found)

    def _rows(self, cursor: Any) -> list[tuple[Any, ...]]:
        fetched = cursor.fetchall()
        if not fetched:
            return []
        if self._processors is None:
            self._processors = self._choose_processors([described[1] for described in cursor.description])
        rows = []
        for row in fetched:
            values = list(row)
            for index, process in self._processors:
                values[index] = process(values[index])
            rows.append(tuple(values))
        return rows

    def _choose_processors(self, types: Sequence[Any]) -> list[tuple[int, Callable[[Any], Any]]]:
        found = (
            (index, column.type.dialect_impl(self._dialect).result_processor(self._dialect, types[index]))
            for index, column in enumerate(self._columns)
        )
        return [(index, process) for index, process in found if process is not None]


def _run(
    connection: Connection,
    sql: str,
    make_values: Callable[[], Any],
    *,
    many: bool = False,
    read: Callable[[Any], list[tuple[Any, ...]]] | None = None,
) -> list[tuple[Any, ...]]:
    """Have the driver execute a statement. Returns its rows as `read` takes them from the cursor."""
    cursor = values = None
    try:
        cursor = connection.connection.cursor()
        values = make_values()
        if many:
            cursor.executemany(sql, values)
        else:
            cursor.execute(sql, values)
        rows = [] if read is None else read(cursor)
        cursor.close()
    except Exception as error:  # noqa: BLE001  # raised again as an error of SQLAlchemy
        connection._handle_dbapi_exception(error, sql, values, cursor, None)
    return rows
