"""The folder of files belongs to one database: a process with another one is told so at its start."""

import asyncio
import shutil
from pathlib import Path

import pytest

from ai_agents.attachments.files import Attachments
from ai_agents.attachments.folder import ID_FILE, find_fault
from ai_agents.attachments.storage import DiskStore
from ai_agents.core.exceptions import StorageUnavailable
from ai_agents.store.database import Database


async def start(database: Database, folder: Path) -> None:
    """What each process does with its folder."""
    await Attachments(database, DiskStore(folder)).open()


async def test_all_processes_need_the_folder_of_the_first_one(database_url: str, tmp_path: Path) -> None:
    database, first, other = Database(database_url), tmp_path / "first", tmp_path / "other"
    await start(database, first)
    folder_id = (first / ID_FILE).read_text().strip()
    await start(database, first)  # a second replica, or the same process after a restart

    with pytest.raises(StorageUnavailable) as refused:
        await start(database, other)
    assert str(refused.value) == (
        f"The folder of files {other} is not that of this database: it has no folder.id, and the database's is "
        f"{folder_id}. All processes need the same folder (AI_AGENTS_FILES_DIR), or a bucket (AI_AGENTS_FILES_URL). If "
        f"this folder is to be the one, because it was restored or the other one is lost: "
        f"echo {folder_id} > {other / ID_FILE}"
    )
    assert not (other / ID_FILE).exists()
    assert await find_fault(other, database) == str(refused.value)  # as `ai-agents check` tells it
    assert await find_fault(first, database) is None

    # A folder that was moved or restored as a whole is the same one; where its id was left out, the sentence helps.
    shutil.copytree(first, tmp_path / "moved")
    await start(database, tmp_path / "moved")
    (other / ID_FILE).write_text(f"{folder_id}\n")
    await start(database, other)
    await database.close()


async def test_an_older_backup_of_the_database_takes_the_folder_that_is_there(
    database_url: str, tmp_path: Path
) -> None:
    database = Database(database_url)
    tmp_path.joinpath("files").mkdir()
    (tmp_path / "files" / ID_FILE).write_text("01985a3e-0000-7000-8000-000000000001\n")

    await start(database, tmp_path / "files")

    with pytest.raises(StorageUnavailable, match="the database's is 01985a3e-0000-7000-8000-000000000001"):
        await start(database, tmp_path / "other")
    (tmp_path / "other" / ID_FILE).write_text("01985a3e-0000-7000-8000-000000000002\n")
    with pytest.raises(StorageUnavailable, match=r"it has 01985a3e-0000-7000-8000-000000000002 in folder\.id"):
        await start(database, tmp_path / "other")
    await database.close()


async def test_of_first_processes_at_once_all_with_one_folder_start(database_url: str, tmp_path: Path) -> None:
    databases = [Database(database_url) for _ in range(6)]
    folders = [tmp_path / "one", tmp_path / "two"] * 3

    ended = await asyncio.gather(
        *(start(each, folder) for each, folder in zip(databases, folders, strict=True)), return_exceptions=True
    )

    started = {folder for folder, end in zip(folders, ended, strict=True) if end is None}
    assert len(started) == 1
    assert ended.count(None) == 3
    assert all(end is None or isinstance(end, StorageUnavailable) for end in ended)
    [chosen] = started
    assert [path.name for path in chosen.iterdir()] == [ID_FILE]
    for each in databases:
        await each.close()


async def test_an_id_that_a_full_disk_left_empty_is_made_again(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    (tmp_path / ID_FILE).touch()

    await start(database, tmp_path)
    await start(database, tmp_path)

    assert (tmp_path / ID_FILE).read_text().strip()
    await database.close()
