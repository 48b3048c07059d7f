"""Where the file of an SQLite database is."""

from contextlib import suppress
from pathlib import Path

from sqlalchemy.engine import URL

from ai_agents.core.private_files import create_private_file, make_private_directory

# What SQLite and this program keep beside the file. SQLite gives its own files the rights of the database's.
_BESIDE = ("", "-wal", "-shm", "-journal", ".lock")


def database_file(url: URL) -> Path | None:
    """The file of an SQLite database; None for one in memory."""
    return None if url.database in (None, "", ":memory:") else Path(str(url.database))


def all_files(url: URL) -> list[Path]:
    """The files of an SQLite database that may exist; none for one in memory."""
    file = database_file(url)
    return [] if file is None else [file.with_name(file.name + ending) for ending in _BESIDE]


def make_file(url: URL) -> None:
    """Make the file, if it is missing, for this user alone; its directory too. Raises `OSError` for the directory."""
    file = database_file(url)
    if file is None or str(file).startswith("file:"):
        return
    make_private_directory(file.parent)
    with suppress(OSError):  # SQLite says why it cannot open the file
        create_private_file(file)
