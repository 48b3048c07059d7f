"""Bytes by their SHA-256, on a disk and in object stores."""

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from ai_agents.attachments.staging import StagedFile
from ai_agents.attachments.storage import BlobStore, DiskStore, ObjectStore, open_blob_store
from ai_agents.core.exceptions import BlobMissing, FileTooLarge, InvalidRequest, StorageUnavailable

CONTENT = b"some bytes" * 100_000
SHA = hashlib.sha256(CONTENT).hexdigest()
MISSING = "0" * 64


@pytest.fixture(params=["disk", "objects in memory", "objects on disk"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """An empty store of each kind."""
    if request.param == "disk":
        return DiskStore(tmp_path / "files")
    if request.param == "objects in memory":
        return ObjectStore(MemoryStore(), tmp_path / "files")
    return ObjectStore(LocalStore(tmp_path / "bucket", mkdir=True), tmp_path / "files")


async def put(blobs: BlobStore, content: bytes = CONTENT) -> StagedFile:
    """Let this content arrive and be kept."""
    with blobs.receive(max_bytes=len(content)) as receiving:
        for start in range(0, len(content), 65_536):
            receiving.write(content[start : start + 65_536])
        received = await receiving.finish()
        await blobs.put(received)
    return received


async def read_stream(pieces: AsyncIterator[bytes]) -> bytes:
    """A stream's whole content."""
    return b"".join([piece async for piece in pieces])


async def test_what_is_put_is_there_under_its_hash(blobs: BlobStore) -> None:
    assert not await blobs.exists(SHA)
    received = await put(blobs)
    assert (received.sha256, received.size_bytes) == (SHA, len(CONTENT))
    assert await blobs.exists(SHA)
    assert await blobs.read(SHA) == CONTENT
    assert await read_stream(blobs.stream(SHA)) == CONTENT
    await put(blobs)  # the same again changes nothing
    assert await blobs.read(SHA) == CONTENT


async def test_a_text_lies_beside_its_content_and_goes_with_it(blobs: BlobStore) -> None:
    await put(blobs)
    assert await blobs.find_text(SHA) is None
    await blobs.put_text(SHA, "first")
    await blobs.put_text(SHA, "grüße")
    assert await blobs.find_text(SHA) == "grüße"
    await blobs.delete(SHA)
    await blobs.delete(SHA)  # what is not there is deleted already
    assert not await blobs.exists(SHA)
    assert await blobs.find_text(SHA) is None


async def test_a_storage_that_never_held_a_content_does_not_report_it_deleted(blobs: BlobStore) -> None:
    with pytest.raises(BlobMissing):
        await blobs.delete(MISSING)
    await put(blobs)
    await blobs.delete(SHA)
    await blobs.forget(SHA)
    await blobs.forget(SHA)  # a mark that is gone is forgotten already
    with pytest.raises(BlobMissing):
        await blobs.delete(SHA)


async def test_nothing_is_left_of_a_content_that_was_deleted(blobs: BlobStore, tmp_path: Path) -> None:
    await put(blobs)
    await blobs.put_text(SHA, "its text")
    await blobs.delete(SHA)
    await blobs.forget(SHA)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    await put(blobs)
    assert await blobs.read(SHA) == CONTENT


async def test_a_bucket_that_does_not_delete_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def do_nothing(*_arguments: object) -> None: ...

    blobs = ObjectStore(MemoryStore(), tmp_path)
    await put(blobs)
    monkeypatch.setattr(MemoryStore, "delete_async", do_nothing)
    with pytest.raises(StorageUnavailable, match="did not delete"):
        await blobs.delete(SHA)


async def test_content_that_is_not_there_is_said_to_be_unavailable(blobs: BlobStore) -> None:
    with pytest.raises(StorageUnavailable):
        await blobs.read(MISSING)
    with pytest.raises(StorageUnavailable):
        await read_stream(blobs.stream(MISSING))


async def test_nothing_that_arrived_stays_behind(blobs: BlobStore, tmp_path: Path) -> None:
    await put(blobs)
    with blobs.receive(max_bytes=10) as receiving:
        receiving.write(b"x" * 10)
        with pytest.raises(FileTooLarge, match="10 bytes"):
            receiving.write(b"x")
    assert list((tmp_path / "files" / "incoming").iterdir()) == []


async def test_many_may_put_the_same_content_at_once(blobs: BlobStore) -> None:
    await asyncio.gather(*(put(blobs) for _ in range(20)))
    assert await blobs.read(SHA) == CONTENT


async def test_files_on_the_disk_are_for_the_service_alone(tmp_path: Path) -> None:
    blobs = DiskStore(tmp_path / "files")
    await put(blobs)
    path = tmp_path / "files" / SHA[:2] / SHA
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "files" / "incoming").stat().st_mode) == 0o700


async def test_a_disk_without_links_is_copied_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    blobs = DiskStore(tmp_path / "files")
    await put(blobs)
    assert await blobs.read(SHA) == CONTENT
    assert list((tmp_path / "files" / "incoming").iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("no folder")
    blobs = DiskStore(tmp_path / "files")
    with pytest.raises(StorageUnavailable), blobs.receive(max_bytes=1):
        pass
    with pytest.raises(StorageUnavailable):
        await blobs.put_text(SHA, "x")


async def test_what_dead_processes_left_behind_is_swept_and_nothing_else(tmp_path: Path) -> None:
    blobs = DiskStore(tmp_path / "files")
    blobs.sweep()  # there is no folder yet
    await put(blobs)
    old, new = tmp_path / "files" / "incoming" / "old", tmp_path / "files" / "incoming" / "new"
    for path in (old, new):
        path.write_text("x")
    os.utime(old, (time.time() - 86_400,) * 2)
    blobs.sweep()
    assert not old.exists()
    assert new.exists()
    assert await blobs.exists(SHA)


async def test_an_address_chooses_the_kind_of_store(tmp_path: Path) -> None:
    assert isinstance(open_blob_store(tmp_path), DiskStore)
    assert isinstance(open_blob_store(tmp_path, ""), DiskStore)
    made = open_blob_store(tmp_path, "memory:///")
    assert isinstance(made, ObjectStore)
    await put(made)
    assert await made.read(SHA) == CONTENT
    assert isinstance(open_blob_store(tmp_path, "s3://bucket/prefix"), ObjectStore)
    for url in ("nothing", "ftp://host/x"):
        with pytest.raises(InvalidRequest):
            open_blob_store(tmp_path, url)
