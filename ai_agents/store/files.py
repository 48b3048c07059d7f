"""Rows of files: who uploaded them, and which messages refer to them. Their bytes are in the blob store.

Where messages refer to a deleted file, its row stays as a tombstone; `store.tombstones` marks those messages.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, bindparam, delete, exists, func, insert, or_, select, update

from ai_agents.core.exceptions import Conflict, FileNotFound
from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.limits import NO_LIMITS, UserLimits
from ai_agents.core.rows import File
from ai_agents.core.scopes import AgentScope
from ai_agents.core.table_rows import FileRow
from ai_agents.core.types import FilePart
from ai_agents.store import totals
from ai_agents.store.access_tables import RoleAssignmentTable
from ai_agents.store.database import Store
from ai_agents.store.models import FileTable, MessageFileTable, ThreadTable

# Every authenticated user.
_EVERYBODY = "*"
_FILES = cast(Table, FileTable.__table__)
_FIND = select(_FILES).where(FileTable.id == bindparam("file_id"))
# A role on a thread lets a user read the thread and its attachments.
_IN_READABLE_THREAD = exists().where(
    MessageFileTable.file_id == FileTable.id,
    RoleAssignmentTable.resource_id == MessageFileTable.thread_id,
    RoleAssignmentTable.resource_type == "thread",
    RoleAssignmentTable.user_id.in_([bindparam("reader_id"), _EVERYBODY]),
)
_READABLE_BY = or_(FileTable.user_id == bindparam("reader_id"), _IN_READABLE_THREAD)
# The same within the scope of a token that names agents.
_READABLE_WITHIN = or_(
    FileTable.token_id == bindparam("token_id"),
    _IN_READABLE_THREAD.where(
        ThreadTable.id == MessageFileTable.thread_id,
        ThreadTable.agent_id.in_(bindparam("agents", expanding=True)),
    ),
)
_FIND_READABLE = _FIND.where(_READABLE_BY)
_FIND_WITHIN = _FIND.where(_READABLE_WITHIN)
# Locked until the end of the transaction, so that no file is deleted before the message that refers to it is written.
_LIST = select(_FILES).where(FileTable.id.in_(bindparam("file_ids", expanding=True))).order_by(FileTable.id)
_HOLD = _LIST.with_for_update(read=True, key_share=True)
_HOLD_READABLE = _LIST.where(_READABLE_BY).with_for_update(read=True, key_share=True)
_HOLD_WITHIN = _LIST.where(_READABLE_WITHIN).with_for_update(read=True, key_share=True)


class DeletedFile(NamedTuple):
    """What a deletion leaves to be done: a blob that no file has any more (None: it stays), messages to be marked.

    `freed` is what it takes from the total of its uploader: nothing for a tombstone, and for a temporary file.
    """

    unused_sha256: str | None
    is_referred: bool
    user_id: str
    freed: totals.Totals


def insert_file(
    connection: Connection,
    user_id: str,
    *,
    filename: str,
    media_type: str,
    size_bytes: int,
    sha256: str,
    facts: Mapping[str, Any],
    within: AgentScope | None = None,
    limits: UserLimits = NO_LIMITS,
    expires_at: str | None = None,
) -> FileRow:
    """Write a file of this user, which came with a token of this scope if there is one. Returns its row.

    `limits` are the user's. One with `expires_at` is temporary, and does not count. Raises `QuotaExceeded`.
    """
    row: FileRow = {
        "id": new_id(),
        "user_id": user_id,
        "filename": filename,
        "media_type": media_type,
        "size_bytes": size_bytes,
        "sha256": sha256,
        "facts": dict(facts),
        "created_at": utc_now(),
        "deleted_at": None,
        "token_id": None if within is None else within.token_id,
        "expires_at": expires_at,
    }
    connection.execute(insert(FileTable), {name: value for name, value in row.items() if value is not None})
    if expires_at is None:
        totals.add(connection, user_id, limits, _counted(size_bytes))
    return row


def get_file(
    connection: Connection, file_id: str, *, reader_id: str | None = None, within: AgentScope | None = None
) -> FileRow:
    """A file's row, or its tombstone. With `reader_id`, only if this user uploaded it or may read a thread with it.

    Raises `FileNotFound`.
    """
    values = {"file_id": file_id, **_reader(reader_id, within)}
    statement = _FIND if reader_id is None else _FIND_READABLE if within is None else _FIND_WITHIN
    row = connection.execute(statement, values).mappings().one_or_none()
    if row is None:
        raise FileNotFound
    return cast("FileRow", dict(row))


def hold_files(
    connection: Connection,
    file_ids: Collection[str],
    *,
    reader_id: str | None = None,
    within: AgentScope | None = None,
) -> dict[str, FilePart]:
    """The existing files among these (with `reader_id`: that this user may read), as message parts, by id.

    They cannot be deleted before the transaction has ended. A file that was deleted is a part that says so.
    """
    if not file_ids:
        return {}
    values = {"file_ids": sorted(set(file_ids)), **_reader(reader_id, within)}
    statement = _HOLD if reader_id is None else _HOLD_READABLE if within is None else _HOLD_WITHIN
    found = connection.execute(statement, values)
    return {row["id"]: to_part(row) for row in found.mappings()}


def _reader(reader_id: str | None, within: AgentScope | None) -> dict[str, Any]:
    """The parameters that say what is readable."""
    if within is None:
        return {"reader_id": reader_id}
    return {"reader_id": reader_id, "token_id": within.token_id, "agents": sorted(within.agents)}


def delete_file(connection: Connection, file_id: str, *, only_unused: bool = False) -> DeletedFile:
    """Delete a file's row; where a message refers to it, a tombstone stays, which can be deleted again.

    From then on no message can come to refer to it: a message that is being written holds the file until it is there.
    The caller ends with `totals.give_back`, after what takes long.
    Raises `FileNotFound`, and with `only_unused` `Conflict` where a message refers to it.
    """
    row = connection.execute(_FIND.with_for_update(), {"file_id": file_id}).mappings().one_or_none()
    if row is None:
        raise FileNotFound
    sha256 = row["sha256"]
    if sha256:
        lock_content(connection, sha256)
    is_referred = bool(connection.scalar(select(exists().where(MessageFileTable.file_id == file_id))))
    if not is_referred:
        connection.execute(delete(FileTable).where(FileTable.id == file_id))
    elif only_unused:
        raise Conflict("A message refers to this file.")
    elif row["deleted_at"] is None:
        left = {"deleted_at": utc_now(), "sha256": "", "facts": {}}
        connection.execute(update(FileTable).where(FileTable.id == file_id).values(left))
    is_unused = bool(sha256) and not is_content_used(connection, sha256)
    counts = row["deleted_at"] is None and row["expires_at"] is None
    freed = _counted(row["size_bytes"]) if counts else {}
    return DeletedFile(sha256 if is_unused else None, is_referred, row["user_id"], freed)


def is_content_used(connection: Connection, sha256: str) -> bool:
    """Whether a file has this content. Others neither add nor delete one until the transaction ends."""
    lock_content(connection, sha256)
    return bool(connection.scalar(select(exists().where(FileTable.sha256 == sha256))))


def _counted(size_bytes: int) -> totals.Totals:
    return {"files": 1, "files_bytes": size_bytes}


def deleted_among(connection: Connection, file_ids: Collection[str]) -> set[str]:
    """Which of these files were deleted."""
    left = select(FileTable.id).where(FileTable.id.in_(file_ids), FileTable.deleted_at.is_(None))
    return set(file_ids) - set(connection.scalars(left))


def lock_content(connection: Connection, sha256: str) -> None:
    """Keep others from adding or deleting a file of this content until the transaction ends.

    SQLite has only one writer, so nothing needs to be done there.
    """
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(bytes.fromhex(sha256[:16]), signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(key)))


def to_part(row: Mapping[Any, Any]) -> FilePart:
    """A file as a part of a message."""
    if row["deleted_at"] is not None:
        return FilePart(row["id"], row["filename"], row["media_type"], row["size_bytes"], deleted=True)
    return FilePart(
        row["id"],
        row["filename"],
        row["media_type"],
        row["size_bytes"],
        facts={"sha256": row["sha256"], **row["facts"]},
    )


def to_public(row: FileRow) -> File:
    """The row of a file, as clients see it."""
    file: File = {
        "id": row["id"],
        "filename": row["filename"],
        "media_type": row["media_type"],
        "size_bytes": row["size_bytes"],
        "sha256": row["sha256"],
    }
    if row["deleted_at"] is not None:
        file["deleted"] = True
    return file


class FileStore(Store):
    """Files as clients see them. `attachments.Attachments` adds and deletes them together with their bytes."""

    async def get(self, file_id: str) -> File:
        """One file. Raises `FileNotFound`."""
        return to_public(await self._db.read(lambda c: get_file(c, file_id)))
