"""Statements that every turn runs, compiled once and handed to the driver.

SQLAlchemy looks a statement up in its cache, gathers its parameters and describes its result anew each time it is
executed, which takes several times what SQLite does, and as much processor time as a round trip to PostgreSQL.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import ClauseElement, Connection, Dialect, Executable, Insert, Table, insert
from sqlalchemy.engine import IteratorResult, Result
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler

from ai_agents.store.models import Base

S = TypeVar("S", bound=Executable)
Processor = Callable[[Any], Any] | None


def prepared(statement: S) -> S:
    """The statement for `connection.execute`, its parameters by name as ever; nothing can be added to it any more.

    There is no `rowcount`.
    """
    return cast("S", _PreparedStatement(statement, of_given_columns=False))


def prepared_insert(table: type[Base] | Table) -> Insert:
    """An INSERT for `connection.execute` with a row or a list of rows, all of the same columns."""
    return cast("Insert", _PreparedStatement(insert(table), of_given_columns=True))


class _PreparedStatement:
    """A statement with its compiled form for each dialect that it was executed on, and each choice of columns."""

    def __init__(self, statement: Executable, *, of_given_columns: bool) -> None:
        self._statement = statement
        self._of_given_columns = of_given_columns
        self._compiled: dict[tuple[str, ...], _CompiledStatement] = {}

    def _execute_on_connection(
        self, connection: Connection, parameters: Sequence[Mapping[str, Any]], options: Any
    ) -> Result[Any]:
        """What `Connection.execute` calls. Where somebody listens to statements, they go the way that he listens on."""
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
        return compiled.execute(connection, parameters)


class _CompiledStatement:
    """A statement as the driver takes it."""

    def __init__(self, statement: Executable, dialect: Dialect, column_names: list[str] | None) -> None:
        compiled = cast(
            "SQLCompiler", cast("ClauseElement", statement).compile(dialect=dialect, column_keys=column_names)
        )
        self._sql = str(compiled)
        if "POSTCOMPILE" in self._sql:
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
        # By the column's place; known with the first result, which says what types the database has.
        self._processors: list[tuple[int, Callable[[Any], Any]]] | None = None

    def execute(self, connection: Connection, parameters: Sequence[Mapping[str, Any]]) -> Result[Any]:
        """The rows that it gives."""
        cursor = None
        values: Any = None
        try:
            cursor = connection.connection.cursor()
            if len(parameters) > 1:
                values = [self._values(each) for each in parameters]
                cursor.executemany(self._sql, values)
            else:
                values = self._values(parameters[0] if parameters else {})
                cursor.execute(self._sql, values)
            rows = self._rows(cursor) if self._columns else []
            cursor.close()
        except Exception as error:  # noqa: BLE001  # raised again as the library's own, a lost connection put aside
            connection._handle_dbapi_exception(error, self._sql, values, cursor, None)  # nothing public does it
        return IteratorResult(self._names, iter(rows))

    def _values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
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
