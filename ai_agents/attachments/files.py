"""Attachments: uploaded files, with their rows and their bytes."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from ai_agents.attachments.arriving import ArrivingFiles
from ai_agents.attachments.extraction import MAX_TEXT_CHARACTERS, Extractor, beginning_of, has_text_to_extract
from ai_agents.attachments.kinds import PDF, PLAIN_TEXT, TEXTS, detect_kind
from ai_agents.attachments.staging import IncomingFile, StagedFile
from ai_agents.attachments.storage import BlobStore
from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest, StorageUnavailable
from ai_agents.core.fair_work import FairWork
from ai_agents.core.limits import NO_LIMITS, UserLimits
from ai_agents.core.rows import File
from ai_agents.core.scopes import AgentScope
from ai_agents.core.table_rows import FileRow
from ai_agents.core.tokens import estimate_text
from ai_agents.core.types import FilePart
from ai_agents.store import files, tombstones, totals
from ai_agents.store.database import HasDatabase

MAX_FILE_BYTES = 20 * 1024 * 1024
_MAX_NAME = 255
# Characters with a meaning in a path, a header or a listing.
_NOT_IN_NAMES = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """A staged file of a kind that is accepted. `text` is the extracted text of a document."""

    staged: StagedFile
    filename: str
    media_type: str
    facts: Mapping[str, Any]
    text: str | None = None


def checked_filename(name: str) -> str:
    """The name itself. Raises `InvalidRequest` if it is empty, too long, or not a plain file name."""
    place = ("file", "filename")
    if not name.strip() or len(name) > _MAX_NAME or _NOT_IN_NAMES.search(name) or name.strip() in {".", ".."}:
        rule = f"A file's name has 1 to {_MAX_NAME} characters, none of them a slash or a control character."
        raise InvalidRequest(rule, loc=place)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("A file's name is text in UTF-8.", loc=place) from None
    return name


class Attachments:
    """Files, with their bytes in `blobs`. Access rights are not checked here.

    `receive` stages an upload, `inspect` determines what it is, `keep` stores its bytes, and `record` writes its row.
    `add` does all of it.
    """

    def __init__(self, conn: HasDatabase, blobs: BlobStore, *, max_bytes: int = MAX_FILE_BYTES) -> None:
        self.blobs = blobs
        self.max_bytes = max_bytes
        self.arriving = ArrivingFiles()
        self._db = conn.database
        self._extractor = Extractor()
        self._looking = FairWork("files")

    async def open(self) -> None:
        """See that files can be stored, and that the folder of a `DiskStore` is that of the database.

        Raises `StorageUnavailable` with a sentence that says why, `DatabaseUnavailable`.
        """
        await asyncio.to_thread(self.blobs.check)
        await self.blobs.claim(self._db)

    async def add(self, user_id: str, filename: str, content: bytes, *, declared: str | None = None) -> File:
        """Add a file for this user. Raises what `inspect` raises, `FileTooLarge`, `StorageUnavailable`."""
        with self.receive() as incoming:
            incoming.write(content)
            inspected = await self.inspect(await incoming.finish(), filename, declared=declared, user_id=user_id)
            return files.to_public(await self._store(user_id, inspected))

    async def add_text(self, user_id: str, filename: str, text: str) -> FilePart:
        """Add a file of plain text, without inspecting it. Returns the part by which a message refers to it.

        Raises `FileTooLarge`, `StorageUnavailable`.
        """
        with self.receive() as incoming:
            await asyncio.to_thread(lambda: incoming.write(text.encode()))
            tokens = await self._looking.run(user_id, estimate_text, text[:MAX_TEXT_CHARACTERS])
            facts = {"text_tokens": tokens}
            inspected = InspectedFile(await incoming.finish(), filename, PLAIN_TEXT, facts)
            return files.to_part(await self._store(user_id, inspected))

    async def _store(self, user_id: str, inspected: InspectedFile) -> FileRow:
        """Store the bytes and write the row."""
        async with self.kept(inspected):
            return await self._insert(user_id, inspected)

    @asynccontextmanager
    async def kept(self, inspected: InspectedFile) -> AsyncGenerator[None]:
        """Keep the bytes, also after the row is written within; if writing it fails, remove them again."""
        await self.keep(inspected)
        try:
            yield
        except BaseException:
            await asyncio.shield(self._discard(inspected.staged.sha256))
            raise
        await self.keep(inspected)

    async def _discard(self, sha256: str) -> None:
        """Remove bytes that no file has. Where the database or the storage is away, they stay."""
        with suppress(DatabaseUnavailable, StorageUnavailable):
            async with self._db.transaction():
                if await self._db.write(lambda c: files.is_content_used(c, sha256)):
                    return
                await self.blobs.delete(sha256)
            await self.blobs.forget(sha256)

    def receive(self) -> AbstractContextManager[IncomingFile]:
        """Begin an upload; see `BlobStore.receive`. Writing to it raises `FileTooLarge`, `StorageUnavailable`."""
        return self.blobs.receive(max_bytes=self.max_bytes)

    async def inspect(
        self, staged: StagedFile, filename: str, *, declared: str | None = None, user_id: str = ""
    ) -> InspectedFile:
        """Determine what a file is. `declared` is the media type that the client states. Users take turns.

        Raises `UnsupportedFile`, `Overloaded`, `TooManyAtOnce`, and `InvalidRequest` for a bad name or a document that
        is broken or too costly to read.
        """
        checked_filename(filename)
        kind, facts = await self._looking.run(user_id, _look, staged, filename, declared)
        if not has_text_to_extract(kind):
            return InspectedFile(staged, filename, kind, facts)
        with staged.open() as file:
            found = await self._extractor.extract(file, kind, user_id=user_id)
        facts["text_tokens"] = await self._looking.run(user_id, estimate_text, found.text)
        if kind == PDF:
            facts["pages"] = found.pages
        if found.cut:
            facts["cut"] = True
        return InspectedFile(staged, filename, kind, facts, found.text)

    async def keep(self, inspected: InspectedFile) -> None:
        """Store the bytes. Call it again after `record`: before the new row was written, the last other file with this
        content may have been deleted, and its bytes with it.
        """
        sha256, text = inspected.staged.sha256, inspected.text
        if await self.blobs.exists(sha256) and (text is None or await self.blobs.has_text(sha256)):
            return
        if text is not None:
            await self.blobs.put_text(sha256, text)
        try:
            await self.blobs.put(inspected.staged)
        except StorageUnavailable:
            if text is not None:
                with suppress(StorageUnavailable):
                    await self.blobs.remove_text_alone(sha256)
            raise

    async def record(
        self,
        user_id: str,
        inspected: InspectedFile,
        *,
        within: AgentScope | None = None,
        limits: UserLimits = NO_LIMITS,
        expires_at: str | None = None,
    ) -> File:
        """Write the file's row. Returns the file as clients see it. One with `expires_at` is temporary.

        Raises `QuotaExceeded` where the user has these limits. Within `kept`, the bytes are removed then.
        """
        row = await self._insert(user_id, inspected, within=within, limits=limits, expires_at=expires_at)
        return files.to_public(row)

    async def _insert(
        self,
        user_id: str,
        inspected: InspectedFile,
        *,
        within: AgentScope | None = None,
        limits: UserLimits = NO_LIMITS,
        expires_at: str | None = None,
    ) -> FileRow:
        def write(connection: Connection) -> FileRow:
            files.lock_content(connection, inspected.staged.sha256)
            return files.insert_file(
                connection,
                user_id,
                filename=inspected.filename,
                media_type=inspected.media_type,
                size_bytes=inspected.staged.size_bytes,
                sha256=inspected.staged.sha256,
                facts=inspected.facts,
                within=within,
                limits=limits,
                expires_at=expires_at,
            )

        return await self._db.write(write)

    async def delete(
        self, file_id: str, *, only_unused: bool = False, record: Callable[[Connection], None] | None = None
    ) -> None:
        """Remove a file, and its bytes if no other file has the same. `record` is its last step.

        Where messages refer to it, a tombstone stays: the file's name, type and size, and in each message that it was
        deleted. After an error in the middle of that, `delete` goes on from there.
        The bytes go before the row does, while no other process can add a file of that content: a row without bytes
        can be deleted again, bytes without a row would stay for ever.
        Raises `FileNotFound`, `StorageUnavailable`, `BlobMissing`, and with `only_unused` `Conflict` where a message
        refers to it; then the row stays.
        """
        async with self._db.transaction():
            deleted = await self._db.write(lambda c: files.delete_file(c, file_id, only_unused=only_unused))
            if deleted.unused_sha256 is not None:
                await self.blobs.delete(deleted.unused_sha256)
            await self._db.write(lambda c: totals.give_back(c, deleted.user_id, deleted.freed))
            if record is not None:
                await self._db.write(record)
        if deleted.unused_sha256 is not None:
            with suppress(StorageUnavailable):  # a mark that stays does no harm
                await self.blobs.forget(deleted.unused_sha256)
        if deleted.is_referred:
            await self._mark_messages(file_id)

    async def _mark_messages(self, file_id: str) -> None:
        last_id = ""
        while thread_ids := await self._db.read(partial(tombstones.list_threads, file_id=file_id, after_id=last_id)):
            for thread_id in thread_ids:
                mark = partial(tombstones.mark_in_thread, thread_id=thread_id, file_id=file_id)
                await self._db.write(mark, long=True)
            last_id = thread_ids[-1]


def _look(staged: StagedFile, filename: str, declared: str | None) -> tuple[str, dict[str, Any]]:
    with staged.view() as data:
        kind = detect_kind(data, filename=filename, declared=declared)
        facts: dict[str, Any] = {**kind.facts}
        if kind.media_type in TEXTS:
            facts["text_tokens"] = estimate_text(beginning_of(data))
        return kind.media_type, facts
