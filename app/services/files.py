"""Files: taking them in, showing them and giving them out."""

from collections.abc import Sequence

from ai_agents.auth.files import Loc, attach, require_on_file
from ai_agents.core.exceptions import FileNotFound
from ai_agents.core.rows import File
from ai_agents.core.types import FilePart, TextPart
from ai_agents.store import files as store
from app.container import Container, Principal
from app.dependencies import check_id
from app.services.repeats import create_once
from app.uploads import Upload


async def create_file(
    services: Container, user: Principal, upload: Upload, *, key: str | None, fingerprint: str
) -> File:
    """A new file of the user's. Raises `UnsupportedFile`, `InvalidRequest`, `IdempotencyKeyReused`."""
    attachments = services.attachments
    inspected = await attachments.inspect(upload.received, upload.filename, declared=upload.declared)
    await attachments.keep(inspected)
    file = await create_once(
        services,
        user,
        lambda: attachments.record(user.user_id, inspected),
        key=key,
        fingerprint=fingerprint,
    )
    await attachments.keep(inspected)
    return file


async def get_file(services: Container, user: Principal, file_id: str) -> File:
    """A file that the user may read. Raises `FileNotFound`."""
    check_id(file_id, FileNotFound)
    row = await services.conn.database.read(lambda c: require_on_file(c, user.user_id, file_id, is_admin=user.is_admin))
    return store.to_public(row)


async def delete_file(services: Container, user: Principal, file_id: str) -> None:
    """Delete a file. Raises `FileNotFound`, `PermissionDenied`, `Conflict` where a message refers to it."""
    check_id(file_id, FileNotFound)
    await services.conn.database.read(
        lambda c: require_on_file(c, user.user_id, file_id, to_delete=True, is_admin=user.is_admin)
    )
    await services.attachments.delete(file_id)


async def known_files(
    services: Container, user: Principal, parts: Sequence[tuple[TextPart | FilePart, Loc]]
) -> tuple[TextPart | FilePart, ...]:
    """The parts with what is known of their files. Raises `InvalidRequest` for one that is not there for this user."""
    if not any(isinstance(part, FilePart) for part, _ in parts):
        return tuple(part for part, _ in parts)
    return await services.conn.database.write(lambda c: attach(c, user.user_id, parts, is_admin=user.is_admin))
