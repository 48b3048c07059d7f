"""Rows of files: their public form, who may read them, and that they stay while a message refers to them."""

from functools import partial
from typing import Any

import pytest

from ai_agents.auth.files import attach, require_on_file
from ai_agents.core.exceptions import Conflict, FileNotFound, InvalidRequest, PermissionDenied
from ai_agents.core.ids import is_id, new_id
from ai_agents.core.types import FilePart, TextPart
from ai_agents.store import files
from ai_agents.store.database import Database
from ai_agents.store.message_store import MessageStore
from ai_agents.store.roles import RoleStore
from ai_agents.store.threads import ThreadStore

SHA = "ab" * 32


async def add(database: Database, user_id: str = "ann", sha256: str = SHA) -> str:
    """The id of a file of this user."""
    facts: dict[str, Any] = {"width": 2, "height": 3}
    row = await database.write(
        lambda c: files.insert_file(
            c, user_id, filename="a.png", media_type="image/png", size_bytes=70, sha256=sha256, facts=facts
        )
    )
    return str(row["id"])


async def refer(threads: ThreadStore, agent_id: str, file_id: str, owner_id: str = "ann") -> str:
    """The id of a thread of this user, with a message that refers to the file."""
    message = {"role": "user", "content": [{"type": "file", "file_id": file_id}]}
    return str((await threads.create(agent_id, messages=[message], owner_id=owner_id))["id"])


async def test_a_file_has_the_fields_of_the_contract_and_no_others(database: Database) -> None:
    file_id = await add(database)
    assert is_id(file_id)
    assert await files.FileStore(database).get(file_id) == {
        "id": file_id,
        "filename": "a.png",
        "media_type": "image/png",
        "size_bytes": 70,
        "sha256": SHA,
    }
    with pytest.raises(FileNotFound):
        await files.FileStore(database).get(new_id())


async def test_only_its_uploader_reads_a_file_that_is_not_attached(database: Database) -> None:
    file_id = await add(database)
    assert (await database.read(lambda c: require_on_file(c, "ann", file_id)))["id"] == file_id
    assert await database.read(lambda c: require_on_file(c, "root", file_id, is_admin=True))
    with pytest.raises(FileNotFound):
        await database.read(lambda c: require_on_file(c, "bob", file_id))


@pytest.mark.parametrize("reader", ["bob", "*"])
async def test_readers_read_files(database: Database, threads: ThreadStore, agent_id: str, reader: str) -> None:
    file_id = await add(database)
    thread_id = await refer(threads, agent_id, file_id)
    other_thread = await threads.create(agent_id, owner_id="bob")
    roles = RoleStore(database)
    with pytest.raises(FileNotFound):  # a role on another thread does not help
        await database.read(lambda c: require_on_file(c, "bob", file_id))
    role = await roles.assign(reader, "viewer", "thread", thread_id)
    assert await database.read(lambda c: require_on_file(c, "bob", file_id))
    with pytest.raises(PermissionDenied):
        await database.read(lambda c: require_on_file(c, "bob", file_id, to_delete=True))
    await roles.remove(role["id"])
    with pytest.raises(FileNotFound):
        await database.read(lambda c: require_on_file(c, "bob", file_id))
    assert other_thread


async def test_an_attached_file_goes_with_its_thread(database: Database, threads: ThreadStore, agent_id: str) -> None:
    file_id = await add(database)
    thread_id = await refer(threads, agent_id, file_id)
    history = (await MessageStore(database).list(thread_id))["data"]
    forked = await threads.fork(thread_id, history[0]["id"], owner_id="ann")
    for gone in (thread_id, forked["id"]):
        with pytest.raises(Conflict):
            await database.write(lambda c: files.delete_file(c, file_id, only_unused=True))
        await threads.delete(gone)
    assert await database.write(lambda c: files.delete_file(c, file_id))
    with pytest.raises(FileNotFound):
        await database.write(lambda c: files.delete_file(c, file_id))


async def test_content_is_free_when_the_last_file_of_it_goes(database: Database) -> None:
    first, second = await add(database), await add(database, "bob")
    other = await add(database, sha256="ff" * 32)
    deleted = [await database.write(partial(files.delete_file, file_id=each)) for each in (first, second, other)]
    assert [each.unused_sha256 for each in deleted] == [None, SHA, "ff" * 32]


async def test_what_a_sender_says_of_a_file_does_not_count(database: Database) -> None:
    file_id = await add(database)
    claimed = FilePart(file_id, "../../x.svg", "image/svg+xml", 1, facts={"sha256": "c" * 64})
    parts = await database.write(
        lambda c: attach(c, "ann", [(TextPart("Look"), ("content", 0)), (claimed, ("content", 1))])
    )
    facts = {"sha256": SHA, "width": 2, "height": 3}
    assert parts == (TextPart("Look"), FilePart(file_id, "a.png", "image/png", 70, facts=facts))


async def test_a_file_that_is_not_there_for_a_sender_is_named_by_its_place(database: Database) -> None:
    own, others = await add(database, "bob"), await add(database, "ann")
    for missing in (others, new_id(), "no id at all"):
        parts = [(FilePart(each, "", "", 0), ("attachments", at)) for at, each in enumerate((own, missing))]
        with pytest.raises(InvalidRequest) as refused:
            await database.write(partial(attach, user_id="bob", parts=parts))
        assert refused.value.loc == ("attachments", 1)


async def test_a_thread_begins_with_files(database: Database, threads: ThreadStore, agent_id: str) -> None:
    file_id = await add(database)
    thread_id = await refer(threads, agent_id, file_id)
    message = (await MessageStore(database).list(thread_id))["data"][0]
    assert message["parts"] == [
        {"type": "file", "file_id": file_id, "filename": "a.png", "media_type": "image/png", "size_bytes": 70}
    ]
    with pytest.raises(InvalidRequest) as refused:
        await refer(threads, agent_id, new_id())
    assert refused.value.loc == ("messages", 0, "content", 0, "file_id")
