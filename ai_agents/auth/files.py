"""Rights on files. The uploader may read and delete a file; readers of a thread may read the files in it."""

from collections.abc import Sequence

from sqlalchemy import Connection

from ai_agents.core.exceptions import FileNotFound, InvalidRequest, PermissionDenied
from ai_agents.core.scopes import AgentScope
from ai_agents.core.table_rows import FileRow
from ai_agents.core.types import FilePart, Loc, TextPart
from ai_agents.store import files


def require_on_file(
    connection: Connection,
    user_id: str,
    file_id: str,
    *,
    to_delete: bool = False,
    is_admin: bool = False,
    within: AgentScope | None = None,
) -> FileRow:
    """The file's row, if the user may read it (or delete it).

    Raises `FileNotFound` if they may not read it, `PermissionDenied` if they may read but not delete it.
    """
    row = files.get_file(connection, file_id, reader_id=None if is_admin else user_id, within=within)
    if to_delete and not is_admin and row["user_id"] != user_id:
        raise PermissionDenied("Only its uploader deletes a file.")
    if to_delete and within is not None and row["token_id"] != within.token_id:
        raise PermissionDenied("A token that names agents deletes only files that were uploaded with it.")
    return row


def require_content(
    connection: Connection, user_id: str, file_id: str, *, is_admin: bool = False, within: AgentScope | None = None
) -> FileRow:
    """The row of a file whose content the user may read. Raises `FileNotFound`, also where it was deleted."""
    row = require_on_file(connection, user_id, file_id, is_admin=is_admin, within=within)
    if row["deleted_at"] is not None:
        raise FileNotFound("This file was deleted.")
    return row


def attach(
    connection: Connection,
    user_id: str,
    parts: Sequence[tuple[TextPart | FilePart, Loc]],
    *,
    is_admin: bool = False,
    within: AgentScope | None = None,
) -> tuple[TextPart | FilePart, ...]:
    """A message's parts, with the stored facts about their files in place of what the sender says.

    Each part comes with its place in the request. The files cannot be deleted before the transaction has ended.
    Raises `InvalidRequest` with the place of a file that does not exist, was deleted, or may not be read by this user.
    """
    asked = {part.file_id for part, _ in parts if isinstance(part, FilePart)}
    found = files.hold_files(connection, asked, reader_id=None if is_admin else user_id, within=within)
    for part, loc in parts:
        if not isinstance(part, FilePart):
            continue
        if part.file_id not in found:
            raise InvalidRequest("There is no such file.", loc=loc)
        if found[part.file_id].deleted:
            raise InvalidRequest("This file was deleted.", loc=loc)
    return tuple(found[part.file_id] if isinstance(part, FilePart) else part for part, _ in parts)
