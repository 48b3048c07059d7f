"""Files on their way in: written to a folder of their own while they arrive, under names of ours, gone when done with.

Nothing of what a client calls a file gets near the disk.
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

# What lies here longer than any upload takes was left by a process that died.
_LEFT_OVER_S = 6 * 3600


@dataclass(frozen=True, slots=True)
class Received:
    """A file that has arrived whole, for as long as it is staged. `sha256` is 64 hex digits."""

    path: Path
    sha256: str
    size_bytes: int

    def open(self) -> BinaryIO:
        """The file, at its beginning."""
        return self.path.open("rb")

    @contextmanager
    def view(self) -> Generator[mmap | bytes]:
        """Its content, without reading it all into memory."""
        if not self.size_bytes:
            yield b""
            return
        with self.open() as file, mmap(file.fileno(), 0, access=ACCESS_READ) as view:
            yield view


class Receiving:
    """A file as it arrives."""

    def __init__(self, path: Path, file: BinaryIO, *, max_bytes: int) -> None:
        self._path = path
        self._file = file
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def write(self, piece: bytes | memoryview) -> None:
        """Take another piece. Raises `FileTooLarge`, `StorageUnavailable`."""
        with memoryview(piece) as view:
            self._size_bytes += view.nbytes
            if self._size_bytes > self._max_bytes:
                raise FileTooLarge(f"The file is larger than {self._max_bytes} bytes.")
            self._hash.update(view)
            try:
                self._file.write(view)
            except OSError as error:
                raise StorageUnavailable from error

    async def finish(self) -> Received:
        """The file, safe on the disk. Raises `StorageUnavailable`."""
        try:
            await asyncio.to_thread(_settle, self._file)
        except OSError as error:
            raise StorageUnavailable from error
        return Received(self._path, self._hash.hexdigest(), self._size_bytes)


class Staging:
    """The folder in which files arrive. It is made when the first one does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def receive(self, *, max_bytes: int) -> Iterator[Receiving]:
        """A place for one file; what is in it is removed at the end. Raises `StorageUnavailable`."""
        path = self._directory / new_id()
        try:
            for directory in (self._directory.parent, self._directory):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except OSError as error:
            raise StorageUnavailable from error
        try:
            with file:
                yield Receiving(path, file, max_bytes=max_bytes)
        finally:
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what processes that died have left behind."""
        oldest = time.time() - _LEFT_OVER_S
        for path in self._directory.glob("*") if self._directory.is_dir() else ():
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
