"""Blob stores: where the bytes of files are kept, by their SHA-256, so that each content is stored once.

A document's extracted text is stored beside its bytes.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ai_agents.attachments.staging import StagedFile, Staging
from ai_agents.core.exceptions import BlobMissing, InvalidRequest, StorageUnavailable
from ai_agents.core.extras import require
from ai_agents.core.ids import new_id

if TYPE_CHECKING:
    import obstore.store

_CHUNK_BYTES = 256 * 1024
_TEXT = ".txt"
# The suffix of the mark that a deleted blob leaves until the file's row is gone.
_MARK = ".deleted"
_INCOMING = "incoming"


class BlobStore(Protocol):
    """Blobs and extracted texts by SHA-256. Every method may raise `StorageUnavailable`."""

    staging: Staging

    async def put(self, staged: StagedFile) -> None:
        """Store the bytes of a staged file, atomically. An existing blob stays as it is."""
        ...

    async def put_text(self, sha256: str, text: str) -> None:
        """Store the extracted text of a blob, replacing an earlier one."""
        ...

    async def exists(self, sha256: str) -> bool:
        """Whether the blob is stored."""
        ...

    async def read(self, sha256: str) -> bytes:
        """The bytes of a blob. A missing blob raises `StorageUnavailable` too."""
        ...

    async def find_text(self, sha256: str) -> str | None:
        """The extracted text of a blob; None if there is none."""
        ...

    def stream(self, sha256: str) -> AsyncGenerator[bytes]:
        """The bytes of a blob in chunks. Raises what `read` raises, before the first chunk."""
        ...

    async def delete(self, sha256: str) -> None:
        """Remove a blob and its extracted text, and check that both are gone.

        An empty mark takes the place of the blob until `forget`. If the transaction around `delete` fails, the mark
        tells the next `delete` that the blob was in this storage. Without a blob and without a mark this may be
        another storage than the one that has the blob: raises `BlobMissing`.
        """
        ...

    async def forget(self, sha256: str) -> None:
        """Remove the mark that `delete` left. Called once the file's row is gone."""
        ...


class DiskStore:
    """Blobs in a directory, each at `ab/abcd…`. A hard link makes a blob appear atomically."""

    def __init__(self, directory: Path | str) -> None:
        self._directory = Path(directory)
        self.staging = Staging(self._directory / _INCOMING)

    async def put(self, staged: StagedFile) -> None:
        await self._do(_link, staged.path, self._path(staged.sha256))

    async def put_text(self, sha256: str, text: str) -> None:
        await self._do(_replace, self._path(sha256).with_suffix(_TEXT), text.encode())

    async def exists(self, sha256: str) -> bool:
        return bool(await self._do(self._path(sha256).is_file))

    async def read(self, sha256: str) -> bytes:
        return bytes(await self._do(self._path(sha256).read_bytes))

    async def find_text(self, sha256: str) -> str | None:
        try:
            return await asyncio.to_thread(self._path(sha256).with_suffix(_TEXT).read_text, "utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageUnavailable from error

    async def stream(self, sha256: str) -> AsyncGenerator[bytes]:
        file = await self._do(self._path(sha256).open, "rb")
        try:
            while chunk := await self._do(file.read, _CHUNK_BYTES):
                yield chunk
        finally:
            file.close()

    async def delete(self, sha256: str) -> None:
        await self._do(_remove, self._path(sha256))

    async def forget(self, sha256: str) -> None:
        await self._do(self._path(sha256).with_suffix(_MARK).unlink, missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._directory / _key(sha256)

    async def _do(self, function: Any, *arguments: Any, **options: Any) -> Any:
        with _as_unavailable(OSError):
            return await asyncio.to_thread(function, *arguments, **options)


class ObjectStore:
    """Blobs in a store of `obstore`, for example a bucket. `directory` is the local directory for staged files."""

    def __init__(self, objects: "obstore.store.ObjectStore", directory: Path | str) -> None:
        from obstore.exceptions import BaseError, NotFoundError

        self._objects: Any = objects
        self._errors = (BaseError, OSError)
        self._missing = (NotFoundError, FileNotFoundError)
        self.staging = Staging(Path(directory) / _INCOMING)

    async def put(self, staged: StagedFile) -> None:
        with _as_unavailable(*self._errors):
            await self._objects.put_async(_key(staged.sha256), staged.path)

    async def put_text(self, sha256: str, text: str) -> None:
        with _as_unavailable(*self._errors):
            await self._objects.put_async(_key(sha256) + _TEXT, text.encode())

    async def exists(self, sha256: str) -> bool:
        return await self._exists(_key(sha256))

    async def read(self, sha256: str) -> bytes:
        with _as_unavailable(*self._errors):
            return await self._get(_key(sha256))

    async def find_text(self, sha256: str) -> str | None:
        try:
            return (await self._get(_key(sha256) + _TEXT)).decode()
        except self._missing:
            return None
        except self._errors as error:
            raise StorageUnavailable from error

    async def stream(self, sha256: str) -> AsyncGenerator[bytes]:
        with _as_unavailable(*self._errors):
            found = await self._objects.get_async(_key(sha256))
            async for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    async def delete(self, sha256: str) -> None:
        key = _key(sha256)
        if await self._exists(key):
            with _as_unavailable(*self._errors):
                await self._objects.put_async(key + _MARK, b"")
        elif not await self._exists(key + _MARK):
            raise BlobMissing
        for removed in (key + _TEXT, key):
            await self._delete(removed)
            if await self._exists(removed):
                raise StorageUnavailable("The storage of files did not delete a file's content.")

    async def forget(self, sha256: str) -> None:
        await self._delete(_key(sha256) + _MARK)

    async def _exists(self, key: str) -> bool:
        try:
            await self._objects.head_async(key)
        except self._missing:
            return False
        except self._errors as error:
            raise StorageUnavailable from error
        return True

    async def _delete(self, key: str) -> None:
        with suppress(*self._missing), _as_unavailable(*self._errors, but=self._missing):
            await self._objects.delete_async(key)

    async def _get(self, key: str) -> bytes:
        found = await self._objects.get_async(key)
        return bytes(await found.bytes_async())


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
        raise InvalidRequest("The address of the object storage cannot be used.") from error
    return ObjectStore(objects, directory)


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


@contextmanager
def _as_unavailable(*errors: type[Exception], but: tuple[type[Exception], ...] = ()) -> Generator[None]:
    try:
        yield
    except but:
        raise
    except errors as error:
        raise StorageUnavailable from error


def _remove(path: Path) -> None:
    """Replace a blob and its text by the mark. Raises `BlobMissing` if there is neither blob nor mark."""
    mark = path.with_suffix(_MARK)
    if path.exists():
        mark.touch(mode=0o600)
        _sync(path.parent)
    elif not mark.exists():
        raise BlobMissing
    for removed in (path.with_suffix(_TEXT), path):
        removed.unlink(missing_ok=True)
        if removed.exists():
            raise StorageUnavailable("The storage of files did not delete a file's content.")
    _sync(path.parent)


def _link(source: Path, target: Path) -> None:
    """Make a synced file appear under a second name, unless that name exists."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        draft = source.with_name(new_id())
        try:
            shutil.copyfile(source, draft)
            _sync(draft)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    _sync(target.parent)


def _replace(target: Path, content: bytes) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(new_id())
    try:
        draft.write_bytes(content)
        _sync(draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
