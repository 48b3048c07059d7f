"""A storage without room: it is said so, nothing half-written stays, and a deletion makes room."""

import errno
import hashlib
import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from obstore.exceptions import GenericError

from ai_agents.attachments.files import Attachments
from ai_agents.attachments.storage import BlobStore, DiskStore, ObjectStore
from ai_agents.core.exceptions import InvalidRequest, StorageFull, StorageUnavailable
from ai_agents.store.database import Database
from tests.fakes import samples

NOTES = b"Seven times six is forty-two.\n" * 10


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """A database that needs no disk."""
    made = Database("sqlite://")
    await made.create_all()
    yield made
    await made.close()


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    """No file of this process can grow beyond this size: the operating system writes what fits, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def kept_in(directory: Path) -> list[str]:
    """The names of all files in a folder."""
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("links", [True, False])
async def test_a_disk_that_is_full_at_any_byte_keeps_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    attachments = Attachments(database, DiskStore(tmp_path))
    for size in range(len(NOTES)):
        with room_for(size), pytest.raises(StorageFull):
            await attachments.add("ann", "notes.txt", NOTES)
        assert kept_in(tmp_path) == []
    with room_for(len(NOTES)):
        file = await attachments.add("ann", "notes.txt", NOTES)
    assert await attachments.blobs.read(file["sha256"]) == NOTES


def _no_links(*_: object) -> NoReturn:
    raise OSError(errno.EPERM, "no links here")


async def test_no_text_stays_of_a_document_that_could_not_be_kept(database: Database, tmp_path: Path) -> None:
    document = samples.docx(*["Seven times six is forty-two. "] * 1_000)
    attachments = Attachments(database, DiskStore(tmp_path))
    for size in (len(document), 20_000):
        with room_for(size), pytest.raises(StorageFull):
            await attachments.add("ann", "a.docx", document)
        assert kept_in(tmp_path) == []
    full = FullStore(tmp_path, {"_write_file"})
    with pytest.raises(StorageFull):
        await Attachments(database, full).add("ann", "a.docx", document)
    assert kept_in(tmp_path) == []
    # One that was kept before without its text gets it.
    file = await attachments.add("ann", "a.docx", document)
    (tmp_path / file["sha256"][:2] / f"{file['sha256']}.txt").unlink()
    await attachments.add("ann", "b.docx", document)
    assert await attachments.blobs.has_text(file["sha256"])


class FullStore(DiskStore):
    """A disk without room for what these methods write."""

    def __init__(self, directory: Path, full: set[str]) -> None:
        super().__init__(directory)
        self._full_for = full

    async def _write_file(self, key: str, path: Path) -> None:
        if "_write_file" in self._full_for:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        await super()._write_file(key, path)

    async def _write(self, key: str, content: bytes) -> None:
        if "_write" in self._full_for:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        await super()._write(key, content)


async def test_what_is_on_a_full_disk_can_be_deleted(database: Database, tmp_path: Path) -> None:
    file = await Attachments(database, DiskStore(tmp_path)).add("ann", "notes.txt", NOTES)
    await Attachments(database, FullStore(tmp_path, {"_write"})).delete(file["id"])
    assert kept_in(tmp_path) == []


async def test_bytes_whose_row_is_not_written_are_removed(database: Database, tmp_path: Path) -> None:
    attachments = Attachments(database, DiskStore(tmp_path))
    unstorable = "\ud800"
    with pytest.raises(InvalidRequest):
        await attachments.add(unstorable, "notes.txt", NOTES)
    assert kept_in(tmp_path) == []
    await attachments.add("ann", "notes.txt", NOTES)
    with pytest.raises(InvalidRequest):
        await attachments.add(unstorable, "notes.txt", NOTES)
    assert kept_in(tmp_path) == [hashlib.sha256(NOTES).hexdigest()]


# What obstore 0.12 says of these answers of a server.
_ANSWERED = "Generic S3 error: Error performing PUT http://… in 1ms - Server returned non-2xx status code: "
ANSWERS = {
    "507 Insufficient Storage: <Error><Code>XMinioStorageFull</Code></Error>": StorageFull,
    "400 Bad Request: <Error><Code>XMinioAdminBucketQuotaExceeded</Code></Error>": StorageFull,
    "403 Forbidden: <Error><Code>QuotaExceeded</Code></Error>": StorageFull,
    "403 Forbidden: <Error><Code>AccessDenied</Code></Error>": StorageUnavailable,
    "503 Service Unavailable: <Error><Code>SlowDown</Code></Error>": StorageUnavailable,
}


class RefusingBucket:
    """A bucket that is empty and takes nothing."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    async def put_async(self, *_: object) -> NoReturn:
        raise GenericError(_ANSWERED + self._answer)

    async def head_async(self, _path: str) -> NoReturn:
        raise FileNotFoundError


@pytest.mark.parametrize("answer, error", ANSWERS.items())
async def test_a_full_bucket_is_told_from_one_that_is_away(
    database: Database, tmp_path: Path, answer: str, error: type[StorageUnavailable]
) -> None:
    blobs: BlobStore = ObjectStore(RefusingBucket(answer), tmp_path)  # type: ignore[arg-type]  # what is used of it
    with pytest.raises(StorageUnavailable) as refused:
        await Attachments(database, blobs).add("ann", "notes.txt", NOTES)
    assert type(refused.value) is error
    assert kept_in(tmp_path) == []
