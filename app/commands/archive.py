"""The file of a backup: a tar archive that says at its end what is in it, so that a cut or changed one is noticed.

backup.json     what made it: format, version, schema, kind of database, time
files/…         the folder of files, as far as it was there when the backup began
database        SQLite's file, or what pg_dump writes (its custom format)
files/…         files that came meanwhile: whatever a row of the database names is there
keys/…          the key files of the service, if they were asked for
end.json        how many members there were, and a hash of them all
"""

import gzip
import hashlib
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, TypedDict

from ai_agents.attachments.folder import ID_FILE
from ai_agents.core import json
from ai_agents.core.wording import counted
from app.commands.command import CommandFailed
from app.commands.whole_files import new_file

HEAD, END, DATABASE = "backup.json", "end.json", "database"
FILES, KEYS = "files/", "keys/"
FORMAT = 1
_CHUNK_BYTES = 1024 * 1024
_SMALL_BYTES = 64 * 1024
# `ab/abcd…`, with an ending or without; a name at the top. Nothing that leads elsewhere.
_SAFE = re.compile(r"(files/([0-9a-z]{2}/)?|keys/)[0-9A-Za-z_-][0-9A-Za-z._-]{0,199}")
Tell = Callable[[str], None]


class Head(TypedDict):
    """What the beginning of an archive says."""

    program: str
    format: int
    version: str
    revision: str
    database: str
    created_at: str


class End(TypedDict):
    """What its end says. `digest` is SHA-256 over the names and contents of all members before it."""

    members: int
    digest: str


class ArchiveWriter:
    """Writes one archive."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self.members = 0
        self.size_bytes = 0
        self._tar = tar
        self._digest = hashlib.sha256()

    def add_json(self, name: str, value: object) -> None:
        """A small member."""
        content = json.dumps(value).encode()
        self._add(name, io.BytesIO(content), len(content))

    def add_file(self, name: str, path: Path) -> bool:
        """A file as it is now. False for one that is gone."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return False
        with file:
            self._add(name, file, file.seek(0, io.SEEK_END))
        return True

    def finish(self) -> None:
        """Say what is in it."""
        self.add_json(END, End(members=self.members, digest=self._digest.hexdigest()))

    def _add(self, name: str, file: IO[bytes], size_bytes: int) -> None:
        file.seek(0)
        member = tarfile.TarInfo(name)
        member.size, member.mode = size_bytes, 0o600
        reader = _Hashed(file, self._digest)
        self._digest.update(f"{name}\0{size_bytes}\0".encode())
        self._tar.addfile(member, reader)
        self.members += 1
        self.size_bytes += size_bytes


class _Hashed(io.RawIOBase):
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: IO[bytes], digest: "hashlib._Hash") -> None:
        self._file = file
        self._digest = digest

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        found = self._file.read(size)
        self._digest.update(found)
        return found


@contextmanager
def new_archive(path: Path) -> Generator[ArchiveWriter]:
    """An archive that appears under its name when it is complete, for this user alone. `.gz` and `.tgz` compress."""
    mode = "w:gz" if path.name.endswith((".gz", ".tgz")) else "w"
    with (
        new_file(path) as file,
        tarfile.open(None, mode, file, format=tarfile.PAX_FORMAT) as tar,  # type: ignore[call-overload]  # of a variable
    ):
        writer = ArchiveWriter(tar)
        yield writer
        writer.finish()


def read_head(path: Path) -> Head:
    """How an archive begins. Raises `CommandFailed`."""
    with _opened(path) as tar:
        for name, file, _size in _members(tar, path):
            if name != HEAD:
                break
            head: Head = json.loads(file.read(_SMALL_BYTES))
            if head.get("program") != "ai-agents" or head.get("format") != FORMAT:
                break
            return head
    raise CommandFailed(f"{path} is no backup of `ai-agents backup`, or one of a later version.")


class Verified(NamedTuple):
    """What a whole archive has: how many files, and whether it has a folder of files, which has an id at least."""

    files: int
    has_folder: bool


def verify(path: Path, tell: Tell) -> Verified:
    """Read an archive to its end and return what it has. Raises `CommandFailed` where it is not whole."""
    digest, members, files, ids = hashlib.sha256(), 0, 0, 0
    with _opened(path) as tar:
        for name, file, size_bytes in _members(tar, path):
            if name == END:
                end: End = json.loads(file.read(_SMALL_BYTES))
                if end != End(members=members, digest=digest.hexdigest()):
                    raise CommandFailed(f"{path} was changed or is damaged: it is not what its end says.")
                return Verified(files - ids, files > 0)
            digest.update(f"{name}\0{size_bytes}\0".encode())
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
            members += 1
            files += name.startswith(FILES)
            ids += name == f"{FILES}{ID_FILE}"
            tell(f"{counted(members, 'part')} checked")
    raise CommandFailed(f"{path} is cut: its end is missing.")


def members_of(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Each member's name and content, in their order. For an archive that was verified."""
    with _opened(path) as tar:
        for name, file, _size in _members(tar, path):
            yield name, file


@contextmanager
def _opened(path: Path) -> Generator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:*") as tar:
            yield tar
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, ValueError) as error:
        raise CommandFailed(f"{path} is no backup, or is damaged.") from error


def _members(tar: tarfile.TarFile, path: Path) -> Iterator[tuple[str, IO[bytes], int]]:
    for member in tar:
        is_known = member.name in {HEAD, END, DATABASE} or _SAFE.fullmatch(member.name)
        file = tar.extractfile(member) if member.isreg() and is_known else None
        if file is None:
            raise CommandFailed(f"{path} is no backup of `ai-agents backup`: it has {member.name[:200]!r}.")
        with file:
            yield member.name, file, member.size
        # The list of all members would grow with each of them.
        tar.members = []  # type: ignore[attr-defined]  # documented as an advice for streams, not in the types
