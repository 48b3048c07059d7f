"""The folder of files on a disk belongs to one database: both have its id.

The first process writes the id into the folder, then into the database. A process whose folder lacks the database's id
has another folder than the others, or none of the files yet: its users would be told that their files are missing.
"""

import asyncio
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from ai_agents.core.exceptions import StorageUnavailable
from ai_agents.core.ids import new_id
from ai_agents.store import folders
from ai_agents.store.database import Database

# Has no dot in front: a copy of all that a folder shows takes it along.
ID_FILE = "folder.id"
_MOST_BYTES = 36


async def find_fault(folder: Path, database: Database) -> str | None:
    """Why the folder cannot be that of the database; None if it can be. Changes nothing."""
    file = (await asyncio.to_thread(folder.absolute)) / ID_FILE
    kept = await database.read(lambda c: folders.find_folder_id(c, folders.FILES))
    found = await asyncio.to_thread(_read, file)
    return None if kept is None or found == kept else str(_is_another(file, found, kept))


async def claim(folder: Path, database: Database) -> None:
    """See that the folder is that of the database, and make it so where the database has none yet.

    Raises `StorageUnavailable` for another folder, `DatabaseUnavailable`.
    """
    file = (await asyncio.to_thread(folder.absolute)) / ID_FILE
    found = await asyncio.to_thread(_read, file)
    kept = await database.read(lambda c: folders.find_folder_id(c, folders.FILES))
    if found is None and kept is not None:
        # Another first process may have made it since: it is in the folder before it is in the database.
        found = await asyncio.to_thread(_read, file)
    if found is not None and found == kept:
        return
    if kept is not None:
        raise _is_another(file, found, kept)
    ours = await asyncio.to_thread(_make, file) if found is None else found
    claimed = await database.write(partial(folders.claim_folder, name=folders.FILES, folder_id=ours))
    if ours != claimed:
        # Another first process has another folder. This one is left as it was found.
        if found is None:
            with suppress(OSError):
                file.unlink()
        raise _is_another(file, found, claimed)


def _read(file: Path) -> str | None:
    """The id in the file; None where there is none, also where a full disk left the file empty."""
    try:
        with file.open("rb") as opened:
            found = opened.read(_MOST_BYTES + 1).decode(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageUnavailable(f"The file {file} cannot be read: {error.strerror}.") from error
    return found or None


def _make(file: Path) -> str:
    """Write a new id into the folder; where another process does so at the same time, the id of the first one."""
    aside = file.with_name(f"{file.name}.{new_id()}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(f"{new_id()}\n")
            opened.flush()
            os.fsync(descriptor)
        # A link never replaces a file, and readers never see half of one.
        with suppress(FileExistsError):
            file.hardlink_to(aside)
        made = _read(file)
        if made is None:  # the file was there, and empty
            aside.replace(file)
            made = _read(file)
    except OSError as error:
        raise StorageUnavailable(f"The file {file} cannot be made: {error.strerror}.") from error
    finally:
        aside.unlink(missing_ok=True)
    if made is None:
        raise StorageUnavailable(f"The file {file} cannot be made.")
    return made


def _is_another(file: Path, found: str | None, kept: str) -> StorageUnavailable:
    has = "has no" if found is None else f"has {found} in"
    return StorageUnavailable(
        f"The folder of files {file.parent} is not that of this database: it {has} {ID_FILE}, and the database's is "
        f"{kept}. All processes need the same folder (AI_AGENTS_FILES_DIR), or a bucket (AI_AGENTS_FILES_URL). If this "
        f"folder is to be the one, because it was restored or the other one is lost: echo {kept} > {file}"
    )
