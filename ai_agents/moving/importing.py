"""Importing what `Export` wrote: agents, files and threads, each under its own id.

What is there already stays as it is. What cannot be imported is told with its line, and the rest goes on.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy.exc import DataError, IntegrityError

from ai_agents.attachments.files import Attachments, InspectedFile
from ai_agents.attachments.kinds import PLAIN_TEXT
from ai_agents.attachments.staging import IncomingFile
from ai_agents.core.exceptions import DatabaseUnavailable, InvalidRequest, RequestError, StorageUnavailable
from ai_agents.core.types import JsonObject
from ai_agents.moving import records, writing
from ai_agents.moving.outcomes import Outcome, Outcomes, Unusable
from ai_agents.moving.records import HEADER, KIND, BadRecord, parse_line, to_row
from ai_agents.store.database import HasDatabase

# Rows of one transaction.
_BATCH = 200
_ENDS = {"agent": "agent_end", "file": "file_end", "thread": "thread_end"}
_OF_THREAD = frozenset({"summary", "event", "message", "run", "feedback"})
_UNFINISHED = frozenset({"queued", "running", "waiting"})


@dataclass(slots=True)
class _Open:
    """What is being imported: an agent, a file or a thread. With `result`, the rest of its records is passed over."""

    kind: str
    id: str
    row: JsonObject
    begun: bool = False
    result: Outcome | None = None
    versions: list[JsonObject] = field(default_factory=list)
    roles: list[JsonObject] = field(default_factory=list)
    unfinished: list[JsonObject] = field(default_factory=list)
    waiting: list[tuple[str, JsonObject]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    incoming: IncomingFile | None = None
    stack: ExitStack = field(default_factory=ExitStack)


class Import:
    """Imports the lines of an export. With `owner_id`, this user owns all of it, and the roles of the export are left.

    `tell` gets what became of each agent, file and thread. Without `attachments`, files have no content.
    """

    def __init__(
        self,
        conn: HasDatabase,
        tell: Callable[[Outcome], None],
        *,
        attachments: Attachments | None = None,
        owner_id: str | None = None,
    ) -> None:
        self._database = conn.database
        self._attachments = attachments
        self._owner_id = owner_id
        self._open: _Open | None = None
        self._ended = False
        self.outcomes = Outcomes(tell)

    async def run(self, lines: Iterable[bytes]) -> Outcomes:
        """Import everything. Raises `Unusable`, `DatabaseUnavailable`, `StorageUnavailable`."""
        number = 0
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    await self._take_line(number, line)
            if not number:
                raise Unusable("The file is empty.")
            if not self._ended:
                await self._fail(f"the file ends in line {number}, before its end")
                await self._close()
                self.outcomes.add(Outcome("file", "", "failed", reason=f"it ends in line {number}, before its end"))
        finally:
            if self._open is not None:
                self._open.stack.close()
        return self.outcomes

    async def _take_line(self, number: int, line: bytes) -> None:
        try:
            record = parse_line(line)
            if number == 1:
                _check_header(record)
                return
            await self._take(record)
        except (DatabaseUnavailable, StorageUnavailable):
            raise
        except (RequestError, IntegrityError, DataError) as error:
            if number == 1:
                raise Unusable(f"Line 1: {error}.") from error
            said = str(error) if isinstance(error, RequestError) else "it does not go with what is there"
            await self._fail(f"line {number}: {said}")

    async def _fail(self, reason: str) -> None:
        """What is open has failed; without it, the line has."""
        if self._open is None:
            self.outcomes.add(Outcome("record", "", "failed", reason=reason))
        elif self._open.result is None:
            self._open.result = Outcome(self._open.kind, self._open.id, "failed", reason=reason)

    async def _take(self, record: JsonObject) -> None:
        kind = record[KIND]
        if kind in _ENDS:
            await self._close(cut=True)
            await self._begin(kind, record)
        elif kind == "end":
            await self._close(cut=True)
            self._ended = True
        elif self._open is None:
            raise BadRecord(f"a record {kind} belongs to nothing")
        elif kind == _ENDS[self._open.kind]:
            if self._open.result is None:
                await self._finish(self._open)
            await self._close()
        elif self._open.result is None:
            await self._take_part(self._open, kind, record)

    async def _begin(self, kind: str, record: JsonObject) -> None:
        named = record.get("id")
        self._open = opened = _Open(kind, named if isinstance(named, str) else "", {})
        opened.row = to_row(kind, record)
        if kind == "thread":
            opened.begun = await self._write(partial(writing.begin_thread, thread=opened.row))
            exists = not opened.begun
        elif kind == "agent":
            exists = await self._write(partial(writing.has, kind="agent", id=opened.id))
        else:
            exists = await self._write(partial(writing.has, kind="file", id=opened.id))
            if not exists and self._attachments is not None and opened.row["deleted_at"] is None:
                opened.incoming = opened.stack.enter_context(self._attachments.receive())
        if exists:
            opened.result = Outcome(kind, opened.id, "exists")

    async def _take_part(self, opened: _Open, kind: str, record: JsonObject) -> None:
        if opened.kind == "file":
            _take_content(opened, kind, record)
            return
        right = {"agent_version", "role"} if opened.kind == "agent" else _OF_THREAD | {"role"}
        if kind not in right:
            raise BadRecord(f"a record {kind} belongs to no {opened.kind}")
        row = to_row(kind, record)
        belongs_to = {"role": "resource_id", "agent_version": "agent_id"}.get(kind, "thread_id")
        if row[belongs_to] != opened.id:
            raise BadRecord(f"the {kind} belongs to another {opened.kind}")
        if kind == "role":
            opened.roles.append(row)
        elif kind == "agent_version":
            opened.versions.append(row)
        elif kind == "run" and row["status"] in _UNFINISHED:
            opened.unfinished.append(row)
        else:
            opened.waiting.append((kind, row))
            if len(opened.waiting) >= _BATCH:
                await self._flush(opened)

    async def _flush(self, opened: _Open) -> None:
        """Write the rows that wait, in the order of their kinds."""
        waiting, opened.waiting = opened.waiting, []

        def write(connection: Any) -> None:
            for kind in dict.fromkeys(kind for kind, _ in waiting):
                rows = [row for each, row in waiting if each == kind]
                writing.write_rows(connection, kind, rows)

        await self._write(write)
        for kind, _ in waiting:
            opened.counts[kind] = opened.counts.get(kind, 0) + 1

    async def _finish(self, opened: _Open) -> None:
        notes: tuple[str, ...] = ()
        match opened.kind:
            case "agent":
                await self._write(
                    partial(
                        writing.write_agent,
                        agent=opened.row,
                        versions=opened.versions,
                        given=opened.roles,
                        owner_id=self._owner_id,
                    )
                )
            case "file":
                notes = await self._finish_file(opened)
            case _:
                await self._flush(opened)
                await self._write(
                    partial(
                        writing.end_thread,
                        thread_id=opened.id,
                        given=opened.roles,
                        unfinished=opened.unfinished,
                        owner_id=self._owner_id,
                    )
                )
                opened.begun = False
                notes = (f"{opened.counts.get('message', 0)} messages",)
                if opened.unfinished:
                    notes += (f"{len(opened.unfinished)} runs that were under way are cancelled",)
        opened.result = Outcome(opened.kind, opened.id, "imported", notes=notes)

    async def _finish_file(self, opened: _Open) -> tuple[str, ...]:
        row, attachments = opened.row, self._attachments
        if self._owner_id is not None:
            row["user_id"] = self._owner_id
        if opened.incoming is None or attachments is None:
            await self._write(partial(writing.write_file, row=writing.tombstone(row, row["user_id"])))
            return () if row["deleted_at"] is not None else ("without its content",)
        staged = await opened.incoming.finish()
        if staged.sha256 != row["sha256"]:
            if staged.size_bytes:
                raise BadRecord("its content is not that of its sha256")
            await self._write(partial(writing.write_file, row=writing.tombstone(row, row["user_id"])))
            return ("without its content",)
        try:
            inspected = await attachments.inspect(staged, row["filename"], declared=row["media_type"])
        except InvalidRequest:
            if row["media_type"] != PLAIN_TEXT:
                raise
            # Results of tools are kept as they are.
            inspected = InspectedFile(staged, row["filename"], PLAIN_TEXT, row["facts"])
        row |= {"media_type": inspected.media_type, "facts": dict(inspected.facts), "size_bytes": staged.size_bytes}
        async with attachments.kept(inspected):
            await self._write(partial(writing.write_file, row=row))
        return ()

    async def _close(self, *, cut: bool = False) -> None:
        """Tell what became of what is open. With `cut`, its last record did not come."""
        opened, self._open = self._open, None
        if opened is None:
            return
        opened.stack.close()
        result = opened.result
        if result is None:
            assert cut  # noqa: S101  # otherwise it was finished
            result = Outcome(opened.kind, opened.id, "failed", reason="its last record is missing")
        if opened.begun and result.result == "failed":
            await self._write(partial(writing.drop_thread, thread_id=opened.id))
        self.outcomes.add(result)

    async def _write(self, work: Callable[..., Any]) -> Any:
        return await self._database.write(work, long=True)


def _check_header(record: Mapping[str, Any]) -> None:
    if record[KIND] != HEADER:
        raise Unusable("Line 1: this is no export of AI Agents.")
    if record.get("format") != records.FORMAT:
        raise Unusable(f"Line 1: the export has format {record.get('format')!r}, not {records.FORMAT} as here.")


def _take_content(opened: _Open, kind: str, record: JsonObject) -> None:
    if kind != "file_content" or record.get("file_id") != opened.id:
        raise BadRecord(f"a record {kind} belongs to no file, or to another one")
    try:
        content = base64.b64decode(record["data"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise BadRecord("file_content.data is no base64") from error
    if opened.incoming is not None:
        opened.incoming.write(content)
