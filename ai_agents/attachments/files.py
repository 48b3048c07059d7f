"""Attachments: files taken in, looked at, kept and given out again, rows and bytes together."""

import asyncio
import re
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ai_agents.attachments.extraction import MAX_TEXT_CHARACTERS, Extractor, beginning_of, has_text_to_extract
from ai_agents.attachments.kinds import PDF, PLAIN_TEXT, TEXTS, tell_kind
from ai_agents.attachments.staging import Received, Receiving
from ai_agents.attachments.storage import BlobStore
from ai_agents.core.exceptions import InvalidRequest, StorageUnavailable
from ai_agents.core.rows import File, FileRow
from ai_agents.core.tokens import estimate_text
from ai_agents.core.types import FilePart
from ai_agents.store import files
from ai_agents.store.database import HasDatabase

MAX_FILE_BYTES = 20 * 1024 * 1024
_MAX_NAME = 255
# Whatever a path, a header or a listing would take for more than a name.
_NOT_IN_NAMES = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Inspected:
    """A file that has arrived and is one that is taken. `text` is what was drawn from a document."""

    received: Received
    filename: str
    media_type: str
    facts: Mapping[str, Any]
    text: str | None = None


def checked_filename(name: str) -> str:
    """The name itself. Raises `InvalidRequest` for one that is empty, too long, or more than a name."""
    if not name.strip() or len(name) > _MAX_NAME or _NOT_IN_NAMES.search(name) or name.strip() in {".", ".."}:
        raise InvalidRequest(
            f"A file's name has 1 to {_MAX_NAME} characters, none of them a slash or a control character.",
            loc=("file", "filename"),
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("A file's name is text in UTF-8.", loc=("file", "filename")) from None
    return name


class Attachments:
    """Files, with their bytes in `blobs`. Who may do what is not asked here.

    A file arrives (`receive`), is looked at (`inspect`) and kept (`keep`), and only then has a row (`record`); `add`
    does all of it.
    """

    def __init__(
        self,
        conn: HasDatabase,
        blobs: BlobStore,
        *,
        max_bytes: int = MAX_FILE_BYTES,
        extractor: Extractor | None = None,
    ) -> None:
        self.blobs = blobs
        self.max_bytes = max_bytes
        self._db = conn.database
        self._extractor = extractor or Extractor()

    async def add(self, user_id: str, filename: str, content: bytes, *, declared: str | None = None) -> File:
        """A new file of this user's: `id`, `filename`, `media_type`, `size_bytes`, `sha256`.

        Raises what `inspect` raises, `FileTooLarge`, `StorageUnavailable`.
        """
        with self.receive() as receiving:
            receiving.write(content)
            inspected = await self.inspect(await receiving.finish(), filename, declared=declared)
            return files.to_public(await self._keep_and_insert(user_id, inspected))

    async def add_text(self, user_id: str, filename: str, text: str) -> FilePart:
        """A new file of plain text, whatever the text may look like: it is given out as text, and as a download.

        It is given as a message refers to it. Raises `FileTooLarge`, `StorageUnavailable`.
        """
        with self.receive() as receiving:
            await asyncio.to_thread(lambda: receiving.write(text.encode()))
            facts = {"text_tokens": await asyncio.to_thread(estimate_text, text[:MAX_TEXT_CHARACTERS])}
            inspected = Inspected(await receiving.finish(), filename, PLAIN_TEXT, facts)
            return files.to_part(await self._keep_and_insert(user_id, inspected))

    async def _keep_and_insert(self, user_id: str, inspected: Inspected) -> FileRow:
        await self.keep(inspected)
        row = await self._insert(user_id, inspected)
        await self.keep(inspected)
        return row

    @contextmanager
    def receive(self) -> Generator[Receiving]:
        """A place for a file while it arrives. Raises `FileTooLarge`, `StorageUnavailable`."""
        with self.blobs.staging.receive(max_bytes=self.max_bytes) as receiving:
            yield receiving

    async def inspect(self, received: Received, filename: str, *, declared: str | None = None) -> Inspected:
        """What the file is. `declared` is the media type that the client says it has.

        Raises `UnsupportedFile`, `InvalidRequest` for a name, a broken document or one that takes too much to read,
        `Overloaded`.
        """
        checked_filename(filename)
        kind, facts = await asyncio.to_thread(_look, received, filename, declared)
        if not has_text_to_extract(kind):
            return Inspected(received, filename, kind, facts)
        with received.open() as file:
            found = await self._extractor.extract(file, kind)
        facts = {**facts, "text_tokens": estimate_text(found.text)}
        if kind == PDF:
            facts["pages"] = found.pages
        if found.cut:
            facts["cut"] = True
        return Inspected(received, filename, kind, facts, found.text)

    async def keep(self, inspected: Inspected) -> None:
        """Have the bytes in the storage. Called again after `record`: the last other file of this content may have
        been deleted, and the bytes with it, before the new row was there.
        """
        sha256 = inspected.received.sha256
        if await self.blobs.exists(sha256):
            return
        if inspected.text is not None:
            await self.blobs.put_text(sha256, inspected.text)
        await self.blobs.put(inspected.received)

    async def record(self, user_id: str, inspected: Inspected) -> File:
        """Write the file's row; the file as clients see it."""
        return files.to_public(await self._insert(user_id, inspected))

    async def _insert(self, user_id: str, inspected: Inspected) -> FileRow:
        def write(connection: Connection) -> FileRow:
            files.lock_content(connection, inspected.received.sha256)
            return files.insert_file(
                connection,
                user_id,
                filename=inspected.filename,
                media_type=inspected.media_type,
                size_bytes=inspected.received.size_bytes,
                sha256=inspected.received.sha256,
                facts=inspected.facts,
            )

        return await self._db.write(write)

    async def get(self, file_id: str) -> File:
        """One file. Raises `FileNotFound`."""
        return files.to_public(await self._db.read(lambda c: files.get_file(c, file_id)))

    def stream(self, sha256: str) -> AsyncGenerator[bytes]:
        """A content in pieces. Raises `StorageUnavailable`."""
        return self.blobs.stream(sha256)

    async def delete(self, file_id: str) -> None:
        """Remove a file, and its bytes if no other file has the same.

        The bytes go before the row does, while no other process can add a file of that content: a row without bytes
        can be deleted again, bytes without a row would stay for ever.
        Raises `FileNotFound`, `Conflict`, `StorageUnavailable`, `BlobMissing`; then the row stays.
        """
        async with self._db.transaction():
            row = await self._db.write(lambda c: files.get_file(c, file_id))
            is_last = await self._db.write(lambda c: files.delete_file(c, file_id))
            if is_last:
                await self.blobs.delete(row["sha256"])
        if is_last:
            with suppress(StorageUnavailable):  # a mark that stays does no harm
                await self.blobs.forget(row["sha256"])


def _look(received: Received, filename: str, declared: str | None) -> tuple[str, dict[str, Any]]:
    with received.view() as data:
        kind = tell_kind(data, filename=filename, declared=declared)
        facts: dict[str, Any] = dict(kind.facts)
        if kind.media_type in TEXTS:
            facts["text_tokens"] = estimate_text(beginning_of(data))
        return kind.media_type, facts
