"""Directories and files that only the user of this process may read."""

import os
import stat
from contextlib import suppress
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_directory(path: Path) -> None:
    """Make this directory and its missing parents, each for this user alone. Existing ones stay as they are."""
    missing = [path, *path.parents]
    for directory in reversed([each for each in missing if not each.exists()]):
        directory.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)  # raises FileExistsError if the path is no directory


def create_private_file(path: Path) -> None:
    """Make an empty file for this user alone, if there is none. An existing one is not even opened.

    SQLite would lose its locks: the system drops those of a file when a process closes any descriptor of it.
    """
    with suppress(FileExistsError):
        os.close(os.open(path.resolve(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def make_private(path: Path) -> bool:
    """Take the rights of other users from a path, if it exists and belongs to this process's user.

    Returns whether it changed something. Directories that all users share (`/tmp`) stay as they are.
    """
    try:
        found = path.stat()
        is_shared = bool(found.st_mode & stat.S_ISVTX) or path.resolve() == Path("/")
        if found.st_uid != os.geteuid() or is_shared or not found.st_mode & _OTHERS:
            return False
        path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except OSError:  # missing, or on a file system without rights
        return False
    return True
