"""Making backups and restoring them: the database at one moment, with all files that it names."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, select

from ai_agents.attachments.folder import ID_FILE
from ai_agents.core.ids import utc_now
from ai_agents.core.private_files import create_private_file, make_private_directory
from ai_agents.core.wording import counted
from ai_agents.store import audit, migrate
from ai_agents.store.database import Database
from ai_agents.store.models import SCHEMA_REVISION, FileTable
from ai_agents.store.opening import is_newer
from app.commands import archive
from app.commands.archive import DATABASE, FILES, FORMAT, HEAD, KEYS, ArchiveWriter, Head, Tell, Verified
from app.commands.command import CommandFailed
from app.commands.databases import StoredDatabase, open_stored
from app.commands.points import count_closed, list_sealed
from app.commands.whole_files import naming
from app.key_files import ENCRYPTION_KEY
from app.settings import Settings

# What a folder of files holds: files as they arrive belong to no message yet.
_ARRIVING = "incoming"
_RESTORING = ".restoring"
_BLOB = re.compile(r"[0-9a-f]{64}")
_MOST_NAMED = 10


def back_up(settings: Settings, path: Path, tell: Tell, *, with_keys: bool) -> dict[str, int]:
    """Write a backup to a new file. Returns how many files and bytes are in it. Raises `CommandFailed`."""
    if path.exists():
        raise CommandFailed(f"{path} exists already: a backup replaces nothing.")
    if not path.absolute().parent.is_dir():
        raise CommandFailed(f"There is no folder {path.absolute().parent} for the backup.")
    database = open_stored(settings.direct_database)
    database.prepare()
    revision = database.revision()
    if revision is None:
        raise CommandFailed(f"There is nothing to back up: the database {database.place} has no tables.")
    head = Head(
        program="ai-agents",
        format=FORMAT,
        version=version("ai-agents"),
        revision=revision,
        database=database.kind,
        created_at=utc_now(),
    )
    with archive.new_archive(path) as writer:
        writer.add_json(HEAD, head)
        files = _Files(settings, writer, tell)
        # Files do not change. Those that are deleted meanwhile are there already, those that come are added below.
        files.add_new()
        with tempfile.TemporaryDirectory(prefix=".ai-agents-", dir=path.parent) as directory:
            tell("copying the database")
            copy = Path(directory) / DATABASE
            database.copy_to(copy)
            writer.add_file(DATABASE, copy)
        files.add_new()
        if with_keys:
            for file in _key_files(settings):
                writer.add_file(f"{KEYS}{file.name}", file)
    return {"files": files.count, "bytes": writer.size_bytes}


class _Files:
    """Adds the folder of files to an archive. With a bucket there is nothing to add."""

    def __init__(self, settings: Settings, writer: ArchiveWriter, tell: Tell) -> None:
        self.added = set[str]()
        self._folder = None if settings.files_url else settings.files
        self._writer = writer
        self._tell = tell

    @property
    def count(self) -> int:
        """How many were added; the folder's id is none of people's."""
        return len(self.added - {ID_FILE})

    def add_new(self) -> None:
        """Add what was not added yet."""
        for name, path in _files_in(self._folder) if self._folder is not None else ():
            if name not in self.added and self._writer.add_file(f"{FILES}{name}", path):
                self.added.add(name)
                self._tell(f"{counted(self.count, 'file')}, {self._writer.size_bytes / 1e6:.0f} MB")


def _files_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of a folder and of the folders in it, each with its name below the folder."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and path.name not in {_ARRIVING, _RESTORING}:
            yield from ((f"{path.name}/{each.name}", each) for each in sorted(path.iterdir()) if each.is_file())
        elif path.is_file():
            yield path.name, path


def _key_files(settings: Settings) -> list[Path]:
    """The key files that the service reads; keys of the settings are no files."""
    files = []
    if settings.admin_key is None:
        files.append(settings.admin_key_file)
    if settings.encryption_key is None:
        files.append(settings.var_dir / ENCRYPTION_KEY)
    return files


def keys_left_out(settings: Settings) -> list[Path]:
    """The key files that are there, for those who make a backup without them."""
    return [file for file in _key_files(settings) if file.exists()]


def check(path: Path, tell: Tell) -> tuple[Head, int]:
    """Read a backup to its end: how it begins, and how many files it has. Raises `CommandFailed`."""
    return archive.read_head(path), archive.verify(path, tell).files


async def restore(settings: Settings, path: Path, tell: Tell) -> dict[str, int]:
    """Restore a backup into an empty place, and bring the database to this version's schema. Raises `CommandFailed`.

    Returns how many files there are now, how many the database names that are missing, and how many of its secrets the
    encryption key of these settings does not open (`closed`).
    """
    head, found = archive.read_head(path), archive.verify(path, tell)
    count = found.files
    database = open_stored(settings.direct_database)
    _require_room(settings, database, head, found)
    staged = settings.files / _RESTORING
    try:
        _unpack(settings, path, database, staged, tell)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    tell("bringing the database up to date")
    if not migrate.is_current(settings.direct_database):
        migrate.upgrade(settings.direct_database)
    opened = Database(settings.direct_database, pool_size=1)
    try:
        named = await opened.read(_named, long=True)
        sealed = await opened.read(list_sealed, long=True)
        await opened.write(lambda c: audit.record(c, audit.Act("restore", None, details={"files": count})))
    finally:
        await opened.close()
    missing = 0 if settings.files_url else sum(not (settings.files / each[:2] / each).is_file() for each in named)
    return {"files": count, "missing": missing, "closed": count_closed(settings, sealed)}


def _require_room(settings: Settings, database: StoredDatabase, head: Head, found: Verified) -> None:
    """Raises `CommandFailed` unless the backup fits here, and nothing is here yet."""
    if head["database"] != database.kind:
        raise CommandFailed(
            f"This is a backup of {head['database']}, and the settings name a database of {database.kind}: "
            "`ai-agents export` and `import` move between them."
        )
    if is_newer(head["revision"]):
        raise CommandFailed(
            f"A newer version has made this backup ({head['version']}, schema {head['revision']}): this one knows "
            f"{SCHEMA_REVISION}."
        )
    if found.files and settings.files_url:
        raise CommandFailed("This backup has files, and the settings name a bucket: restore it with a folder.")
    database.prepare()
    if not database.is_empty():
        raise CommandFailed(f"The database {database.place} is not empty: a backup is restored into an empty place.")
    if found.has_folder and any(_files_in(settings.files)):
        raise CommandFailed(f"The folder of files {settings.files.absolute()} is not empty.")


def _unpack(settings: Settings, path: Path, database: StoredDatabase, staged: Path, tell: Tell) -> None:
    """The files first, then the database: without it, there is nothing that anyone would use."""
    make_private_directory(settings.files)
    shutil.rmtree(staged, ignore_errors=True)
    make_private_directory(staged)
    for number, (name, content) in enumerate(archive.members_of(path)):
        tell(f"{counted(number, 'part')} restored")
        if name.startswith(FILES):
            _write(staged / name.removeprefix(FILES), content)
        elif name == DATABASE:
            # PostgreSQL reads it from its beginning; as a file, both databases can.
            _write(staged / _ARRIVING, content)
        elif name.startswith(KEYS):
            _restore_key(settings, name.removeprefix(KEYS), content)
    dump = staged / _ARRIVING
    placed = list[Path]()
    try:
        placed.extend(each.rename(settings.files / each.name) for each in list(staged.iterdir()) if each != dump)
        tell("restoring the database")
        with dump.open("rb") as file:
            database.restore(file)
    except BaseException:
        for each in placed:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        raise


def _restore_key(settings: Settings, name: str, content: IO[bytes]) -> None:
    """A key file, unless there is one, or the settings have the key."""
    file = settings.var_dir / name
    if file in _key_files(settings) and not file.exists():
        _write(file, content)


def _write(path: Path, content: IO[bytes]) -> None:
    make_private_directory(path.parent)
    create_private_file(path)
    with naming(path), path.open("wb") as file:
        shutil.copyfileobj(content, file)


def _named(connection: Connection) -> list[str]:
    """The contents that rows of the database name, and that are not deleted."""
    found = connection.scalars(select(FileTable.sha256).where(FileTable.deleted_at.is_(None)).distinct())
    return [each for each in found if _BLOB.fullmatch(each)]
