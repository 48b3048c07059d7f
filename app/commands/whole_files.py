"""Files that have their name once they are whole."""

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# What writing a file can meet, and reading another one meanwhile cannot.
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """A file to write, for this user alone; it replaces `path` at the end of the block, and is gone after an error.

    Raises `OSError` with `path` as its file name; `BlockingIOError` where another process is writing it.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        error.filename = str(path)
        raise
    with naming(path), os.fdopen(descriptor, "wb") as file:
        _take(file, aside, path)
        try:
            file.truncate(0)
            yield file
            file.flush()
            os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Let errors of a full disk say where it is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _OF_WRITING:
            error.filename = str(path)
        raise


def _take(file: BinaryIO, aside: Path, path: Path) -> None:
    """Let no other process write the file. What one left that was killed is taken over."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.fstat(file.fileno()).st_ino == aside.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        is_ours = False
    if not is_ours:
        # Otherwise it would have been whole a moment ago, under its name.
        raise BlockingIOError(errno.EWOULDBLOCK, "another process is writing this file", str(path))
