"""An upload while it arrives: a file in a directory of its own, hashed and measured as it is written."""

import asyncio
import errno
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from ai_agents.core.exceptions import FileTooLarge, StorageFull, StorageUnavailable

# No space, no space for this user, no space for this process.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# How servers with S3's API say so: XMinioStorageFull and XMinioAdminBucketQuotaExceeded (cmd/api-errors.go of
# https://github.com/minio/minio), QuotaExceeded (src/rgw/rgw_common.cc of https://github.com/ceph/ceph), or HTTP's
# status. The errors of obstore repeat the server's status and code. Read and seen 2026-11-30.
_FULL_BUCKET = ("StorageFull", "QuotaExceeded", "507 Insufficient Storage", "No space left on device")


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
                raise unavailable(error) from error

    async def finish(self) -> StagedFile:
        """Sync the file to the disk. Raises `StorageUnavailable`."""
        try:
            await asyncio.to_thread(self._sync)
        except OSError as error:
            raise unavailable(error) from error
        return StagedFile(self._path, self._hash.hexdigest(), self._size_bytes)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


def unavailable(error: Exception) -> StorageUnavailable:
    """What an error of a file system or a bucket means."""
    if isinstance(error, OSError):
        return StorageFull() if error.errno in FULL else StorageUnavailable()
    return StorageFull() if any(word in str(error) for word in _FULL_BUCKET) else StorageUnavailable()
