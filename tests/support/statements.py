"""Statements of SQL that the databases of a run share: each test has a database of its own, all run the same ones."""

from collections import defaultdict
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

Key = tuple[Any, ...]


class SharedStatements(MutableMapping[Key, Any]):
    """What SQLAlchemy has compiled for one kind of database, whichever engine it was for.

    An engine's key begins with its dialect; those of one kind compile alike.
    """

    def __init__(self) -> None:
        self._compiled: dict[Key, Any] = {}

    def __getitem__(self, key: Key) -> Any:
        return self._compiled[key[1:]]

    def __setitem__(self, key: Key, compiled: Any) -> None:
        self._compiled[key[1:]] = compiled

    def get(self, key: Key, default: Any = None) -> Any:
        """What is kept, or the default."""
        return self._compiled.get(key[1:], default)

    def __delitem__(self, key: Key) -> None:
        del self._compiled[key[1:]]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._compiled)

    def __len__(self) -> int:
        return len(self._compiled)


@contextmanager
def shared_statements() -> Iterator[None]:
    """Let all engines of this process share: to compile a test's statements takes longer than to run them."""
    kinds: defaultdict[Key, SharedStatements] = defaultdict(SharedStatements)

    def give(connection: Connection) -> None:
        dialect = connection.dialect
        kind = (dialect.name, dialect.driver, dialect.paramstyle, getattr(dialect, "_json_serializer", None))
        connection.execution_options(compiled_cache=kinds[kind])

    event.listen(Engine, "engine_connect", give)
    yield
    event.remove(Engine, "engine_connect", give)
