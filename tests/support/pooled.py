"""POOLER=1 puts a PgBouncer in transaction mode between every service of the tests and PostgreSQL."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.pgbouncer import PgBouncer

POOLER = os.environ.get("POOLER") == "1"
# Tests hold all connections of a service's pool in transactions at once, and look at the server beside it.
_CONNECTIONS = 14
_poolers: dict[int, PgBouncer] = {}
_directories: list[Path] = []


@contextmanager
def poolers_in(directory: Path) -> Generator[None]:
    """Poolers that `past_and_through` starts work in this directory, and end with the context."""
    _directories.append(directory)
    try:
        yield
    finally:
        for pooler in _poolers.values():
            pooler.kill()
        _poolers.clear()
        _directories.clear()


def through_pooler(url: str) -> tuple[str, str | None]:
    """The address that a service gets, and the direct one: with POOLER=1, a PostgreSQL's leads through a pooler."""
    port = urlsplit(url).port
    if not POOLER or port is None or not url.startswith("postgresql"):
        return url, None
    if port not in _poolers:
        pooler = PgBouncer(_directories[0] / str(port), port, connections=_CONNECTIONS)
        pooler.start()
        _poolers[port] = pooler
    return url.replace(f":{port}/", f":{_poolers[port].port}/"), url
