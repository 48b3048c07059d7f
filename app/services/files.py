"""Files: storing, reading and deleting them."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from ai_agents.attachments.arriving import ArrivingFile
from ai_agents.attachments.staging import StagedFile
from ai_agents.auth.files import attach, require_content, require_on_file
from ai_agents.core.exceptions import FileNotFound
from ai_agents.core.rows import File
from ai_agents.core.table_rows import FileRow
from ai_agents.core.types import FilePart, Loc, TextPart
from ai_agents.store import audit, idempotency
from ai_agents.store.files import to_public
from ai_agents.store.totals import find_totals
from app.container import Container
from app.services.identity import Principal, act_of, check_id, note_admin
from app.services.repeats import SentKey, create_once, require_repeated


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has arrived. `declared` is the media type that the client gave."""

    staged: StagedFile
    filename: str
    declared: str | None
    arriving: ArrivingFile


@dataclass(frozen=True, slots=True)
class RoomForFile:
    """How many bytes a user has in files, and may have (None: any number), when an upload begins."""

    user_id: str
    used: int = 0
    most: int | None = None


async def room_for_file(container: Container, user: Principal, key: str | None) -> RoomForFile:
    """The room for an upload. A request with an idempotency key that was used is not refused before it is read."""
    most = container.limits.of(user.user_id, is_admin=user.is_admin)["files_bytes"]
    if most is None:
        return RoomForFile(user.user_id)

    def find(connection: Connection) -> RoomForFile:
        if key is not None and idempotency.is_used(connection, user.user_id, key):
            return RoomForFile(user.user_id)
        return RoomForFile(user.user_id, find_totals(connection, user.user_id)["files_bytes"], most)

    return await container.conn.database.read(find)


async def create_file(container: Container, user: Principal, upload: Upload, *, sent: SentKey | None) -> File:
    """Store a file of the user's.

    Raises `UnsupportedFile`, `InvalidRequest`, `IdempotencyKeyReused`, `QuotaExceeded`.
    """
    await require_repeated(container, user, sent)
    attachments = container.attachments
    inspected = await attachments.inspect(
        upload.staged, upload.filename, declared=upload.declared, user_id=user.user_id
    )

    async def may_see(file: File) -> None:
        await _find(container, user, file["id"], require_content)

    async def record() -> File:
        return await attachments.record(user.user_id, inspected, within=user.within, limits=limits)

    limits = container.limits.of(user.user_id, is_admin=user.is_admin)
    upload.arriving.end()
    async with attachments.kept(inspected):
        return await create_once(container, user, record, sent=sent, may_see=may_see)


async def get_file(container: Container, user: Principal, file_id: str) -> File:
    """A file that the user may read. Raises `FileNotFound`."""
    return to_public(await _find(container, user, file_id, require_on_file))


async def _find(container: Container, user: Principal, file_id: str, require: Callable[..., FileRow]) -> FileRow:
    check_id(file_id, FileNotFound)
    row = await container.conn.database.read(lambda c: require(c, user.user_id, file_id, **user.reach))
    if row["user_id"] != user.user_id and user.is_admin:
        await note_admin(container, user, "file", file_id)
    return row


async def note_files(container: Container, user: Principal, file_ids: Iterable[str]) -> None:
    """Tell the audit log of an admin's use of files of others in a message."""
    for file_id in file_ids if user.is_admin else ():
        with suppress(FileNotFound):  # the message is refused for it
            await get_file(container, user, file_id)


async def read_content(container: Container, user: Principal, file_id: str) -> tuple[File, AsyncGenerator[bytes]]:
    """A file that the user may read, and its content.

    Raises `FileNotFound`, also for a deleted one; reading raises `StorageUnavailable`.
    """
    row = await _find(container, user, file_id, require_content)
    return to_public(row), container.attachments.blobs.stream(row["sha256"])


async def delete_file(container: Container, user: Principal, file_id: str) -> None:
    """Delete a file; where messages refer to it, a tombstone stays. Raises `FileNotFound`, `PermissionDenied`."""
    check_id(file_id, FileNotFound)
    await container.conn.database.read(
        lambda c: require_on_file(c, user.user_id, file_id, to_delete=True, **user.reach)
    )

    def record(connection: Connection) -> None:
        audit.record(connection, act_of(user, "file.delete", "file", file_id))

    await container.attachments.delete(file_id, record=record)


async def known_files(
    container: Container, user: Principal, parts: Sequence[tuple[TextPart | FilePart, Loc]]
) -> tuple[TextPart | FilePart, ...]:
    """The parts with the facts of their files. Raises `InvalidRequest` for a file that the user may not read."""
    file_ids = [part.file_id for part, _ in parts if isinstance(part, FilePart)]
    if not file_ids:
        return tuple(part for part, _ in parts)
    await note_files(container, user, file_ids)
    return await container.conn.database.write(lambda c: attach(c, user.user_id, parts, **user.reach))
