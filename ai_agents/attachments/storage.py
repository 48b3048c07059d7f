"""Where the bytes of files are kept: under their SHA-256, so that the same content is kept once, whoever uploads it.

Beside a document's bytes lies the text that was drawn from it.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ai_agents.attachments.staging import Received, Staging
from ai_agents.core.exceptions import InvalidRequest, StorageUnavailable
from ai_agents.core.ids import new_id

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Objects

_PIECE = 256 * 1024
_TEXT = ".txt"
_INCOMING = "incoming"


class BlobStore(Protocol):
    """Bytes by their SHA-256, and texts beside them. Everything raises `StorageUnavailable`."""

    staging: Staging

    async def put(self, received: Received) -> None:
        """Keep a file's content. It is whole there, or not at all; one that is there already stays."""
        ...

    async def put_text(self, sha256: str, text: str) -> None:
        """Keep the text of a content, in place of the one that is there."""
        ...

    async def exists(self, sha256: str) -> bool:
        """Whether the content is there."""
        ...

    async def read(self, sha256: str) -> bytes:
        """The content. One that is not there is `StorageUnavailable`, too: it should be."""
        ...

    async def find_text(self, sha256: str) -> str | None:
        """The text of a content; None if none was kept."""
        ...

    def stream(self, sha256: str) -> AsyncGenerator[bytes]:
        """The content in pieces. Raises as `read` does, before the first one."""
        ...

    async def delete(self, sha256: str) -> None:
        """Remove a content and its text, if they are there."""
        ...


class DiskStore:
    """A folder. A content's path is `ab/abcd…`; links make it appear whole and at once."""

    def __init__(self, directory: Path | str) -> None:
        self._directory = Path(directory)
        self.staging = Staging(self._directory / _INCOMING)

    async def put(self, received: Received) -> None:
        """See `BlobStore.put`."""
        await self._do(_link, received.path, self._path(received.sha256))

    async def put_text(self, sha256: str, text: str) -> None:
        """See `BlobStore.put_text`."""
        await self._do(_replace, self._path(sha256).with_suffix(_TEXT), text.encode())

    async def exists(self, sha256: str) -> bool:
        """See `BlobStore.exists`."""
        return bool(await self._do(self._path(sha256).is_file))

    async def read(self, sha256: str) -> bytes:
        """See `BlobStore.read`."""
        content: bytes = await self._do(self._path(sha256).read_bytes)
        return content

    async def find_text(self, sha256: str) -> str | None:
        """See `BlobStore.find_text`."""
        try:
            return await asyncio.to_thread(self._path(sha256).with_suffix(_TEXT).read_text, "utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageUnavailable from error

    async def stream(self, sha256: str) -> AsyncGenerator[bytes]:
        """See `BlobStore.stream`."""
        file = await self._do(self._path(sha256).open, "rb")
        try:
            while piece := await self._do(file.read, _PIECE):
                yield piece
        finally:
            file.close()

    async def delete(self, sha256: str) -> None:
        """See `BlobStore.delete`."""
        path = self._path(sha256)
        await self._do(path.with_suffix(_TEXT).unlink, missing_ok=True)
        await self._do(path.unlink, missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._directory / _key(sha256)

    async def _do(self, function: Any, *arguments: Any, **options: Any) -> Any:
        with _translated(OSError):
            return await asyncio.to_thread(function, *arguments, **options)


class ObjectStore:
    """A bucket, or whatever else `obstore` speaks to. Files arrive in a folder of this machine first."""

    def __init__(self, objects: "Objects", directory: Path | str) -> None:
        from obstore.exceptions import BaseError, NotFoundError

        self._objects: Any = objects
        self._errors = (BaseError, OSError)
        self._missing = (NotFoundError, FileNotFoundError)
        self.staging = Staging(Path(directory) / _INCOMING)

    async def put(self, received: Received) -> None:
        """See `BlobStore.put`."""
        import obstore

        with _translated(*self._errors):
            await obstore.put_async(self._objects, _key(received.sha256), received.path)

    async def put_text(self, sha256: str, text: str) -> None:
        """See `BlobStore.put_text`."""
        import obstore

        with _translated(*self._errors):
            await obstore.put_async(self._objects, _key(sha256) + _TEXT, text.encode())

    async def exists(self, sha256: str) -> bool:
        """See `BlobStore.exists`."""
        import obstore

        try:
            await obstore.head_async(self._objects, _key(sha256))
        except self._missing:
            return False
        except self._errors as error:
            raise StorageUnavailable from error
        return True

    async def read(self, sha256: str) -> bytes:
        """See `BlobStore.read`."""
        with _translated(*self._errors):
            return await self._get(_key(sha256))

    async def find_text(self, sha256: str) -> str | None:
        """See `BlobStore.find_text`."""
        try:
            return (await self._get(_key(sha256) + _TEXT)).decode()
        except self._missing:
            return None
        except self._errors as error:
            raise StorageUnavailable from error

    async def stream(self, sha256: str) -> AsyncGenerator[bytes]:
        """See `BlobStore.stream`."""
        import obstore

        with _translated(*self._errors):
            found = await obstore.get_async(self._objects, _key(sha256))
            async for piece in found.stream(min_chunk_size=_PIECE):
                yield bytes(piece)

    async def delete(self, sha256: str) -> None:
        """See `BlobStore.delete`."""
        import obstore

        for key in (_key(sha256) + _TEXT, _key(sha256)):
            with suppress(*self._missing), _translated(*self._errors, but=self._missing):
                await obstore.delete_async(self._objects, key)

    async def _get(self, key: str) -> bytes:
        import obstore

        found = await obstore.get_async(self._objects, key)
        return bytes(await found.bytes_async())


def open_blob_store(directory: Path | str, url: str | None = None) -> BlobStore:
    """The store at an address (`s3://bucket/prefix`, `gs://…`, `az://…`), else the folder.

    With an address the folder holds files while they arrive; keys come from where the provider's own tools look.
    Raises `InvalidRequest` for an address that cannot be used.
    """
    if not url:
        return DiskStore(directory)
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise InvalidRequest('Object storage needs the extra: pip install "ai-agents[objects]".') from error
    try:
        objects: Any = from_url(url)
    except Exception as error:
        raise InvalidRequest("The address of the object storage cannot be used.") from error
    return ObjectStore(objects, directory)


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


@contextmanager
def _translated(*errors: type[Exception], but: tuple[type[Exception], ...] = ()) -> Generator[None]:
    try:
        yield
    except but:
        raise
    except errors as error:
        raise StorageUnavailable from error


def _link(source: Path, target: Path) -> None:
    """Let a file that is safe on the disk appear under another name as well, unless there is one of this name."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        beside = source.with_name(new_id())
        try:
            shutil.copyfile(source, beside)
            _sync(beside)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    _sync(target.parent)


def _replace(target: Path, content: bytes) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = target.with_name(new_id())
    try:
        beside.write_bytes(content)
        _sync(beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
