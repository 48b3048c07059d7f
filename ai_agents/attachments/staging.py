"""Staged files: each upload is written to a directory of its own under a generated name, and removed afterwards.

A client's file name is never used as a path.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from ai_agents.core.exceptions import FileTooLarge, StorageUnavailable
from ai_agents.core.ids import new_id

# An upload takes less time. An older file was left by a process that crashed.
_LEFT_OVER_S = 6 * 3600


class FileView(mmap):
    """The content of a file, which `zipfile` can read: before Python 3.13 `mmap` lacks this method."""

    def seekable(self) -> bool:
        """Whether it can be read at any position."""
        return True


# The content of a file, in memory or mapped.
Data = bytes | FileView


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A complete upload while it is staged. `sha256` is 64 hex digits."""

    path: Path
    sha256: str
    size_bytes: int

    def open(self) -> BinaryIO:
        """Open the file for reading."""
        return self.path.open("rb")

    @contextmanager
    def view(self) -> Generator[Data]:
        """The content, which is not read into memory as a whole."""
        if not self.size_bytes:
            yield b""
            return
        with self.open() as file, FileView(file.fileno(), 0, access=ACCESS_READ) as view:
            yield view


class IncomingFile:
    """A file that is being uploaded."""

    def __init__(self, path: Path, file: BinaryIO, *, max_bytes: int) -> None:
        self._path = path
        self._file = file
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def write(self, chunk: bytes | memoryview) -> None:
        """Append a chunk. Raises `FileTooLarge`, `StorageUnavailable`."""
        with memoryview(chunk) as view:
            self._size_bytes += view.nbytes
            if self._size_bytes > self._max_bytes:
                raise FileTooLarge(f"The file is larger than {self._max_bytes} bytes.")
            self._hash.update(view)
            try:
                self._file.write(view)
            except OSError as error:
                raise StorageUnavailable from error

    async def finish(self) -> StagedFile:
        """Sync the file to the disk. Raises `StorageUnavailable`."""
        try:
            await asyncio.to_thread(_sync, self._file)
        except OSError as error:
            raise StorageUnavailable from error
        return StagedFile(self._path, self._hash.hexdigest(), self._size_bytes)


class Staging:
    """The directory for uploads. It is created with the first upload."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def receive(self, *, max_bytes: int) -> Iterator[IncomingFile]:
        """Begin an upload. Its file is removed at the end of the context. Raises `StorageUnavailable`."""
        path = self._directory / new_id()
        try:
            for directory in (self._directory.parent, self._directory):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except OSError as error:
            raise StorageUnavailable from error
        try:
            with file:
                yield IncomingFile(path, file, max_bytes=max_bytes)
        finally:
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove files that crashed processes have left behind."""
        oldest = time.time() - _LEFT_OVER_S
        for path in self._directory.glob("*") if self._directory.is_dir() else ():
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
