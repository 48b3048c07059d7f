"""Attachments as a whole: rows and bytes together."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ai_agents.agents import AgentStore
from ai_agents.attachments.files import Attachments, checked_filename
from ai_agents.attachments.storage import DiskStore
from ai_agents.core.exceptions import Conflict, FileNotFound, FileTooLarge, InvalidRequest, UnsupportedFile
from ai_agents.store.database import Database
from ai_agents.store.files import get_file
from ai_agents.store.threads import ThreadStore
from tests.fakes import samples


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database, once of each kind."""
    made = Database(database_url)
    yield made
    await made.close()


@pytest.fixture
def attachments(database: Database, tmp_path: Path) -> Attachments:
    """Files in it and in a folder."""
    return Attachments(database, DiskStore(tmp_path / "files"), max_bytes=1_000_000)


async def test_a_document_is_kept_with_what_is_known_of_it(attachments: Attachments, database: Database) -> None:
    content = samples.pdf("Page one", "Page two")
    file = await attachments.add("ann", "a.pdf", content)
    row = await database.read(lambda c: get_file(c, file["id"]))
    assert row["facts"] == {"text_tokens": row["facts"]["text_tokens"], "pages": 2}
    assert 3 < row["facts"]["text_tokens"] < 30
    assert await attachments.blobs.find_text(file["sha256"]) == "Page one\n\nPage two"
    assert b"".join([piece async for piece in attachments.blobs.stream(file["sha256"])]) == content


async def test_a_pictures_size_and_a_texts_tokens_are_known(attachments: Attachments, database: Database) -> None:
    picture = await attachments.add("ann", "a.png", samples.png(640, 480))
    text = await attachments.add("ann", "a.txt", b"Some words. " * 1_000)
    assert (await database.read(lambda c: get_file(c, picture["id"])))["facts"] == {"width": 640, "height": 480}
    assert 2_000 < (await database.read(lambda c: get_file(c, text["id"])))["facts"]["text_tokens"] < 5_000


async def test_what_is_refused_leaves_neither_row_nor_bytes(attachments: Attachments, tmp_path: Path) -> None:
    for name, content, error in (
        ("a.txt", b"\0", UnsupportedFile),
        ("../a.txt", b"a", InvalidRequest),
        ("a.pdf", b"%PDF-1.4", InvalidRequest),
        ("a.txt", b"x" * 1_000_001, FileTooLarge),
    ):
        with pytest.raises(error):
            await attachments.add("ann", name, content)
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


async def test_a_file_that_a_message_refers_to_keeps_its_bytes(attachments: Attachments, database: Database) -> None:
    file = await attachments.add("ann", "a.txt", b"Hello")
    agent = await AgentStore(database).create("assistant")
    message = {"role": "user", "content": [{"type": "file", "file_id": file["id"]}]}
    await ThreadStore(database).create(agent["id"], messages=[message])
    with pytest.raises(Conflict):
        await attachments.delete(file["id"], only_unused=True)
    assert await attachments.blobs.exists(file["sha256"])
    with pytest.raises(FileNotFound):
        await attachments.delete(file["sha256"][:36])


async def test_uploads_and_deletes_of_one_content_keep_the_bytes_of_every_row(attachments: Attachments) -> None:
    async def add_and_delete() -> None:
        file = await attachments.add("ann", "a.txt", b"the same")
        await attachments.delete(file["id"])

    kept = await attachments.add("ann", "a.txt", b"the same")
    for _ in range(5):
        adding = asyncio.create_task(attachments.add("ann", "b.txt", b"the same"))
        await asyncio.gather(attachments.delete(kept["id"]), *(add_and_delete() for _ in range(5)))
        more = await adding
        assert await attachments.blobs.exists(more["sha256"])
        kept = more
    await attachments.delete(kept["id"])
    assert not await attachments.blobs.exists(kept["sha256"])


@pytest.mark.parametrize("name", ["a.txt", "ä 世界 (1).md", "x" * 255, ".profile", "a..b", "CON", "a:b", "100%.txt"])
def test_a_name_is_taken_as_it_is(name: str) -> None:
    assert checked_filename(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/b", "a\\b", "../a", "a\0", "a\tb", "x" * 256, "\u2028", "a\u202eb", "\ud800"]
)
def test_what_is_more_than_a_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked_filename(name)
    assert refused.value.loc == ("file", "filename")
