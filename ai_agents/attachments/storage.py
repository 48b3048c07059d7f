"""Where the bytes of files are: staged while they are uploaded, then in a blob store.

An upload is staged in a directory of its own under a generated name, never under a client's file name, and removed
afterwards. A blob store keeps bytes by their SHA-256, so that each content is stored once, and a document's extracted
text beside them.
"""

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ai_agents.attachments import folder
from ai_agents.attachments.staging import FULL, IncomingFile, StagedFile, unavailable
from ai_agents.core.exceptions import BlobMissing, InvalidRequest, StorageFull, StorageUnavailable
from ai_agents.core.extras import require
from ai_agents.core.ids import new_id
from ai_agents.core.private_files import create_private_file, make_private_directory
from ai_agents.store.database import Database

if TYPE_CHECKING:
    import obstore.store

# Tries to remove a blob that others upload at the same time.
_REMOVALS = 10
_CHUNK_BYTES = 256 * 1024
# How long a bucket is waited for when it is only asked whether it can be used.
_PROBE_S = 10.0
_TEXT = ".txt"
# The suffix of the mark that a deleted blob leaves until the file's row is gone.
_MARK = ".deleted"
# An upload takes less time. An older file was left by a process that crashed.
_LEFT_OVER_S = 6 * 3600


class BlobStore(ABC):
    """Blobs and extracted texts by SHA-256. Every method may raise `StorageUnavailable`.

    A subclass stores bytes under keys. `directory` is the local directory for staged files.
    """

    # What the methods of a subclass raise, and which of it means that there is nothing under a key.
    _errors: tuple[type[Exception], ...] = (OSError,)
    _missing: tuple[type[Exception], ...] = (FileNotFoundError,)

    def __init__(self, directory: Path | str) -> None:
        self._staging = Path(directory) / "incoming"

    @contextmanager
    def receive(self, *, max_bytes: int) -> Iterator[IncomingFile]:
        """Begin an upload. Its file is removed at the end of the context."""
        path = self._staging / new_id()
        try:
            make_private_directory(self._staging)
            file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except OSError as error:
            raise unavailable(error) from error
        try:
            yield IncomingFile(path, file, max_bytes=max_bytes)
        finally:
            with suppress(OSError):  # of what was not written: an upload that counts is synced
                file.close()
            path.unlink(missing_ok=True)

    def check(self) -> None:
        """Raises `StorageUnavailable`, and says why, where files cannot be written into the directory."""
        directory = self._staging.parent.absolute()
        try:
            make_private_directory(directory)
            probe = (self._staging if self._staging.exists() else directory) / new_id()
            create_private_file(probe)
            probe.unlink()
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull(f"The disk of the folder of files {directory} is full.") from error
            raise StorageUnavailable(f"The folder of files {directory} cannot be used: {error.strerror}.") from error

    @abstractmethod
    async def claim(self, database: Database) -> None:
        """See that this is the storage of the database. Raises `StorageUnavailable`, `DatabaseUnavailable`."""

    async def find_fault(self) -> str | None:
        """Why files cannot be stored now; None if they can."""
        try:
            await asyncio.to_thread(self.check)
        except StorageUnavailable as error:
            return str(error)
        return None

    def sweep(self) -> None:
        """Remove staged files that crashed processes have left behind."""
        oldest = time.time() - _LEFT_OVER_S
        for path in self._staging.glob("*") if self._staging.is_dir() else ():
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    async def put(self, staged: StagedFile) -> None:
        """Store the bytes of a staged file, atomically. An existing blob may stay as it is."""
        with self._translated_errors():
            await self._write_file(_key(staged.sha256), staged.path)

    async def put_text(self, sha256: str, text: str) -> None:
        """Store the extracted text of a blob, replacing an earlier one."""
        with self._translated_errors():
            await self._write(_key(sha256) + _TEXT, text.encode())

    async def remove_text_alone(self, sha256: str) -> None:
        """Remove a text whose blob could not be stored."""
        with self._translated_errors():
            if not await self._exists(_key(sha256)):
                await self._remove(_key(sha256) + _TEXT)

    async def has_text(self, sha256: str) -> bool:
        """Whether the extracted text is stored."""
        with self._translated_errors():
            return await self._exists(_key(sha256) + _TEXT)

    async def exists(self, sha256: str) -> bool:
        """Whether the blob is stored."""
        with self._translated_errors():
            return await self._exists(_key(sha256))

    async def read(self, sha256: str) -> bytes:
        """The bytes of a blob. Raises `BlobMissing`."""
        with self._translated_errors(), self._found():
            return await self._read(_key(sha256))

    async def find_text(self, sha256: str) -> str | None:
        """The extracted text of a blob; None if there is none."""
        with self._translated_errors(), suppress(*self._missing):
            return (await self._read(_key(sha256) + _TEXT)).decode()
        return None

    async def stream(self, sha256: str) -> AsyncGenerator[bytes]:
        """The bytes of a blob in chunks. Raises what `read` raises, before the first chunk."""
        with self._translated_errors(), self._found():
            async with aclosing(self._stream(_key(sha256))) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def delete(self, sha256: str) -> None:
        """Remove a blob and its extracted text, and check that both are gone.

        An empty mark takes the place of the blob until `forget`. If the transaction around `delete` fails, the mark
        tells the next `delete` that the blob was in this storage. Without a blob and without a mark this may be
        another storage than the one that has the blob: raises `BlobMissing`.
        """
        key = _key(sha256)
        with self._translated_errors():
            if await self._exists(key):
                await self._mark(key)
            elif not await self._exists(key + _MARK):
                raise BlobMissing
            for removed in (key + _TEXT, key):
                await self._remove_for_good(removed)

    async def _remove_for_good(self, key: str) -> None:
        """Remove it, and see that it is gone. Uploads of the same content that have no row yet may bring it back."""
        for _ in range(_REMOVALS):
            await self._remove(key)
            if not await self._exists(key):
                return
        raise StorageUnavailable("The storage of files did not delete a file's content.")

    async def _mark(self, key: str) -> None:
        try:
            with self._translated_errors():
                await self._write(key + _MARK, b"")
        except StorageFull:
            pass  # a deletion makes room, so it must be possible

    async def forget(self, sha256: str) -> None:
        """Remove the mark that `delete` left. Called once the file's row is gone."""
        with self._translated_errors():
            await self._remove(_key(sha256) + _MARK)

    @contextmanager
    def _translated_errors(self) -> Generator[None]:
        try:
            yield
        except self._errors as error:
            raise unavailable(error) from error

    @contextmanager
    def _found(self) -> Generator[None]:
        try:
            yield
        except self._missing as error:
            raise BlobMissing from error

    @abstractmethod
    async def _write_file(self, key: str, path: Path) -> None: ...

    @abstractmethod
    async def _write(self, key: str, content: bytes) -> None: ...

    @abstractmethod
    async def _exists(self, key: str) -> bool: ...

    @abstractmethod
    async def _read(self, key: str) -> bytes: ...

    @abstractmethod
    def _stream(self, key: str) -> AsyncGenerator[bytes]: ...

    @abstractmethod
    async def _remove(self, key: str) -> None:
        """A missing key is ignored."""


class DiskStore(BlobStore):
    """Blobs in a directory, each at `ab/abcd…`. A hard link makes a blob appear atomically."""

    def __init__(self, directory: Path | str) -> None:
        super().__init__(directory)
        self._directory = Path(directory)

    async def claim(self, database: Database) -> None:
        """See that the directory is that of the database: see `attachments.folder`."""
        await folder.claim(self._directory, database)

    async def _write_file(self, key: str, path: Path) -> None:
        await asyncio.to_thread(_link, path, self._directory / key)

    async def _write(self, key: str, content: bytes) -> None:
        await asyncio.to_thread(_replace, self._directory / key, content)

    async def _exists(self, key: str) -> bool:
        return await asyncio.to_thread((self._directory / key).is_file)

    async def _read(self, key: str) -> bytes:
        return await asyncio.to_thread((self._directory / key).read_bytes)

    async def _stream(self, key: str) -> AsyncGenerator[bytes]:
        file = await asyncio.to_thread((self._directory / key).open, "rb")
        with file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                yield chunk

    async def _remove(self, key: str) -> None:
        await asyncio.to_thread(_unlink, self._directory / key)


class ObjectStore(BlobStore):
    """Blobs in a store of `obstore`, for example a bucket."""

    def __init__(
        self, objects: "obstore.store.ObjectStore", directory: Path | str, *, name: str = "of the files"
    ) -> None:
        """`name` is what errors call the store, for example the address of a bucket."""
        from obstore.exceptions import BaseError, NotFoundError

        super().__init__(directory)
        self._objects: Any = objects
        self._name = name
        self._errors = (BaseError, OSError)
        self._missing = (NotFoundError, FileNotFoundError)

    async def claim(self, database: Database) -> None:
        """A bucket has one address, which all processes name."""

    async def find_fault(self) -> str | None:
        """Why files cannot be stored now; None if they can. Waits for the store for a few seconds."""
        from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError

        if (fault := await super().find_fault()) is not None:
            return fault
        try:
            async with asyncio.timeout(_PROBE_S):
                await self._objects.head_async(_key("0" * 64))
        except NotFoundError as error:
            return f"There is no bucket {self._name}." if "NoSuchBucket" in str(error) else None
        except (PermissionDeniedError, UnauthenticatedError):
            return f"The bucket {self._name} refuses the credentials of this process."
        except TimeoutError:
            return f"The bucket {self._name} did not answer within {_PROBE_S:.0f} seconds."
        except (BaseError, OSError):
            return f"The bucket {self._name} does not answer."
        return None

    async def _write_file(self, key: str, path: Path) -> None:
        await self._objects.put_async(key, path)

    async def _write(self, key: str, content: bytes) -> None:
        await self._objects.put_async(key, content)

    async def _exists(self, key: str) -> bool:
        with suppress(*self._missing):
            await self._objects.head_async(key)
            return True
        return False

    async def _read(self, key: str) -> bytes:
        found = await self._objects.get_async(key)
        return bytes(await found.bytes_async())

    async def _stream(self, key: str) -> AsyncGenerator[bytes]:
        found = await self._objects.get_async(key)
        async for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
            yield bytes(chunk)

    async def _remove(self, key: str) -> None:
        with suppress(*self._missing):
            await self._objects.delete_async(key)


def open_blob_store(directory: Path | str, url: str | None = None) -> BlobStore:
    """An `ObjectStore` for a URL (`s3://bucket/prefix`, `gs://…`, `az://…`), otherwise a `DiskStore`.

    With a URL the directory holds staged files only. Credentials come from the environment, as the cloud provider's own
    tools read them. Raises `InvalidRequest` if the URL cannot be used, `PackageMissing`.
    """
    if not url:
        return DiskStore(directory)
    require("obstore")
    from obstore.store import from_url

    try:
        objects: Any = from_url(url)
    except Exception as error:
        raise InvalidRequest(f"The address of the bucket {_shown(url)} cannot be used.") from error
    return ObjectStore(objects, directory, name=_shown(url))


def _shown(url: str) -> str:
    """The address without what may be secret: a user, a query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def _link(source: Path, target: Path) -> None:
    """Make a synced file appear under a second name, unless that name exists."""
    make_private_directory(target.parent)
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        _replace(target, source.read_bytes())
    _sync(target.parent)


def _replace(target: Path, content: bytes) -> None:
    make_private_directory(target.parent)
    draft = target.with_name(new_id())
    try:
        create_private_file(draft)
        draft.write_bytes(content)
        _sync(draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    _sync(target.parent)


def _unlink(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
        _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
