"""Why an SQLite file could not be opened, in a sentence that an operator can act on.

Source of the codes: https://www.sqlite.org/rescode.html, read 2026-11-30.
"""

import os
import sqlite3
from pathlib import Path

from sqlalchemy.engine import URL

from ai_agents.core.connecting import causes_of
from ai_agents.store.sqlite_files import database_file

# What is wrong with the file itself: to try again does not help.
UNUSABLE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def why_not_opened(error: BaseException, url: URL) -> str | None:
    """The sentence for this error; None for one that is not known, or of a database in memory."""
    file = database_file(url)
    if file is None:
        return None
    for found in causes_of(error):
        if isinstance(found, sqlite3.Error):
            said = _of_code(getattr(found, "sqlite_errorcode", 0) & 0xFF, file)
        elif isinstance(found, OSError):
            said = _of_folder(found, file.parent)
        else:
            continue
        if said is not None:
            return said
    return None


def _of_folder(error: OSError, folder: Path) -> str:
    if (nearest := _nearest_existing(folder)) != folder and nearest.is_dir():
        return f"The folder {folder} of the database does not exist and cannot be made: {error.strerror}."
    if not nearest.is_dir():
        return f"The database cannot be in {folder}: {nearest} is no folder."
    return f"The folder {folder} of the database cannot be used: {error.strerror}."


def _of_code(code: int, file: Path) -> str | None:
    match code:
        case sqlite3.SQLITE_NOTADB:
            return f"The file {file} is no SQLite database."
        case sqlite3.SQLITE_CORRUPT:
            return f"The database {file} is damaged: restore a backup."
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"Another process holds the database {file} locked."
        case sqlite3.SQLITE_FULL:
            return f"The disk of the database {file} is full."
        case sqlite3.SQLITE_IOERR:
            return f"The disk of the database {file} fails to read or write."
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return _of_rights(file)
    return None


def _of_rights(file: Path) -> str:
    """Why a file cannot be opened, by a look at it and its folder."""
    folder = file.parent
    if file.is_dir():
        return f"The database {file} is a folder, not a file."
    if not folder.is_dir():
        return f"The folder {folder} of the database does not exist, or is no folder."
    if not os.access(folder, os.W_OK | os.X_OK):
        return (
            f"The database {file} cannot be used: this user may not write into its folder, where SQLite keeps its log."
        )
    if not file.exists():
        return f"The database {file} cannot be made."
    if not os.access(file, os.R_OK):
        return f"The database {file} cannot be read: this user lacks the right."
    return f"The database {file} cannot be written: it is read-only for this user, or its disk is."


def _nearest_existing(path: Path) -> Path:
    return next((each for each in (path, *path.parents) if each.exists()), path)
