"""Files in turns, as a program that uses the library sends them."""

from base64 import b64encode
from pathlib import Path

import pytest
from sqlalchemy import select

from ai_agents import AgentRunner, AgentStore, Attachments, DatabaseHandle, DiskStore, FileStore, ThreadStore
from ai_agents.core.exceptions import InvalidRequest, StorageUnavailable, UnsupportedAttachment
from ai_agents.core.types import FileContent, FilePart, TextPart
from ai_agents.providers.base import Capabilities
from ai_agents.providers.files import ANY_FILES
from ai_agents.store.models import MessageTable, RunTable, ThreadEventTable
from ai_agents.testing import ScriptedProvider
from tests.fakes import samples
from tests.present import present

USER = "ada"
PICTURE = samples.png(64, 64)


class Seeing(ScriptedProvider):
    """Takes every file."""

    def capabilities(self, model: str) -> Capabilities:
        """Everything."""
        return Capabilities(files=ANY_FILES)


@pytest.fixture
def attachments(conn: DatabaseHandle, tmp_path: Path) -> Attachments:
    """Files on the disk."""
    return Attachments(conn, DiskStore(tmp_path / "files"))


async def make_thread(conn: DatabaseHandle) -> str:
    """A thread of the user's."""
    agent = await AgentStore(conn).create("assistant")
    return str((await ThreadStore(conn).create(agent["id"], owner_id=USER))["id"])


async def test_bytes_go_to_the_model_and_into_no_row(conn: DatabaseHandle, attachments: Attachments) -> None:
    provider = Seeing("A square.", "Still a square.")
    runner = AgentRunner(conn, provider=provider, blobs=attachments.blobs)
    thread_id = await make_thread(conn)
    file = await attachments.add(USER, "square.png", PICTURE)

    answer = await runner.run(thread_id, USER, "What is it?", attachments=[file["id"]])
    await runner.run(thread_id, USER, "And now?")

    assert answer["content"] == "A square."
    (first, second) = provider.requests
    part = first.messages[0].parts[1]
    assert isinstance(part, FilePart)
    assert part.content is not None
    assert part.content.data == PICTURE
    assert second.messages[0] == first.messages[0]
    rows = await conn.database.read(
        lambda c: [
            str(list(c.execute(select(table)).mappings())) for table in (MessageTable, ThreadEventTable, RunTable)
        ]
    )
    assert all(b64encode(PICTURE).decode()[:40] not in row for row in rows)
    assert all(str(PICTURE)[2:40] not in row for row in rows)


async def test_content_may_name_a_file_by_its_id(conn: DatabaseHandle, attachments: Attachments) -> None:
    provider = Seeing("Yes.")
    runner = AgentRunner(conn, provider=provider, blobs=attachments.blobs)
    file = await attachments.add(USER, "notes.txt", b"Remember this.")

    await runner.run(await make_thread(conn), USER, [FilePart(file["id"], "", "", 0), TextPart("Will you?")])

    part = provider.requests[0].messages[0].parts[0]
    assert isinstance(part, FilePart)
    assert (part.filename, part.media_type) == ("notes.txt", "text/plain")
    assert part.content is not None
    assert part.content.text == "Remember this."


async def test_a_message_with_an_unsupported_file_is_not_sent(conn: DatabaseHandle, attachments: Attachments) -> None:
    thread_id = await make_thread(conn)
    picture = await attachments.add(USER, "square.png", PICTURE)
    others = await attachments.add("bob", "square.png", PICTURE)
    blind, seeing = ScriptedProvider("never"), Seeing("never")

    with pytest.raises(UnsupportedAttachment, match=r"square\.png cannot be sent"):
        await AgentRunner(conn, provider=blind, blobs=attachments.blobs).run(
            thread_id, USER, "Look", attachments=[picture["id"]]
        )
    with pytest.raises(UnsupportedAttachment, match="no storage"):
        await AgentRunner(conn, provider=seeing).run(thread_id, USER, "Look", attachments=[picture["id"]])
    with pytest.raises(InvalidRequest, match="no such file") as refused:
        await AgentRunner(conn, provider=seeing, blobs=attachments.blobs).run(
            thread_id, USER, "Look", attachments=[others["id"]]
        )

    assert refused.value.loc == ("attachments", 0)
    assert blind.requests == seeing.requests == []


async def test_a_silent_storage_fails_the_run(conn: DatabaseHandle, attachments: Attachments, tmp_path: Path) -> None:
    provider = Seeing("Here again.")
    runner = AgentRunner(conn, provider=provider, blobs=attachments.blobs)
    thread_id = await make_thread(conn)
    file = await attachments.add(USER, "square.png", PICTURE)
    (tmp_path / "files").rename(tmp_path / "away")

    started = await runner.start(thread_id, USER, "Look", attachments=[file["id"]])
    outcome = await runner.wait(thread_id, started.run["id"])
    (tmp_path / "away").rename(tmp_path / "files")

    assert outcome.run["status"] == "failed"
    assert present(outcome.run["error"])["code"] == StorageUnavailable.code
    assert (await runner.run(thread_id, USER, "And now?"))["content"] == "Here again."


class DeletingStore(DiskStore):
    """Its first reader finds that the file was deleted just now: after the thread was read, before the bytes are."""

    file_id: str | None = None
    attachments: Attachments | None = None

    async def _read(self, key: str) -> bytes:
        if self.attachments is not None and self.file_id is not None:
            file_id, self.file_id = self.file_id, None
            await self.attachments.delete(file_id)
        return await super()._read(key)


@pytest.mark.parametrize("name, content", [("a.png", PICTURE), ("a.pdf", samples.pdf("Plans")), ("a.txt", b"Plans")])
async def test_a_run_that_begins_as_its_file_is_deleted_goes_without_it(
    conn: DatabaseHandle, tmp_path: Path, name: str, content: bytes
) -> None:
    store = DeletingStore(tmp_path / "files")
    attachments = Attachments(conn, store)
    provider = ScriptedProvider("Gone.") if name == "a.pdf" else Seeing("Gone.")
    runner = AgentRunner(conn, provider=provider, blobs=store)
    file = await attachments.add(USER, name, content)
    store.attachments, store.file_id = attachments, file["id"]

    answer = await runner.run(await make_thread(conn), USER, "Look", attachments=[file["id"]])

    assert answer["content"] == "Gone."
    part = provider.requests[0].messages[0].parts[1]
    assert isinstance(part, FilePart)
    assert (part.deleted, part.facts, part.content) == (True, None, FileContent("name"))
    assert (await FileStore(conn).get(file["id"])).get("deleted")
