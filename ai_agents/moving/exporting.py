"""Exporting agents and threads: every record of them, as they were in one moment each, with little memory."""

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, exists, or_, select, text

from ai_agents.attachments.files import Attachments
from ai_agents.core.exceptions import BlobMissing
from ai_agents.core.ids import utc_now
from ai_agents.moving.records import FORMAT, HEADER, TABLES, row_to_line, to_line
from ai_agents.store.database import Database, HasDatabase
from ai_agents.store.models import MessageFileTable

T = TypeVar("T")
# Rows of one read.
_PAGE = 200
# Bytes of a file in one record.
_CHUNK_BYTES = 384 * 1024
_AGENTS, _THREADS, _FILES, _ROLES = (TABLES[kind].c for kind in ("agent", "thread", "file", "role"))
# What a thread has, in the order of its records, each by the columns of its key.
_OF_THREAD = {
    "summary": ("covers_through_seq", "number"),
    "event": ("seq",),
    "message": ("id",),
    "run": ("id",),
    "feedback": ("id",),
}


@dataclass(slots=True)
class Counts:
    """How many of each kind were exported or imported."""

    of: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, count: int = 1) -> None:
        """Count some more."""
        self.of[kind] = self.of.get(kind, 0) + count


class Export:
    """Writes agents and threads as lines. `attachments` has the bytes of files; without it they are left out.

    With `user_id`, what this user owns, and the agents of these threads; else everything. Temporary threads are left
    out. `write` is called with each line, from any thread, and `tell` after each agent, file and thread.
    """

    def __init__(
        self,
        conn: HasDatabase,
        write: Callable[[str], None],
        *,
        attachments: Attachments | None = None,
        user_id: str | None = None,
        tell: Callable[[Counts], None] = lambda _counts: None,
    ) -> None:
        self._database: Database = conn.database
        self._attachments = attachments
        self._user_id = user_id
        self._write = write
        self._tell = tell
        self.counts = Counts()

    async def run(self) -> Counts:
        """Write everything. Raises `DatabaseUnavailable`, `StorageUnavailable`."""
        self._write(to_line(HEADER, {"format": FORMAT, "at": utc_now()}))
        async for agent_id in self._ids(self._agents()):
            await self._snapshot(partial(self._write_agent, agent_id=agent_id))
        async for file_id in self._ids(self._files()):
            await self._write_file(file_id)
        async for thread_id in self._ids(self._threads()):
            await self._snapshot(partial(self._write_thread, thread_id=thread_id))
        self._write(to_line("end", {"counts": self.counts.of}))
        return self.counts

    async def _ids(self, statement: Select[str]) -> Any:
        """All ids of a statement, which selects one column, page by page."""
        (column,) = statement.selected_columns
        last = ""
        while found := await self._database.read(partial(_page, statement, column, last), long=True):
            for each in found:
                yield each
            last = found[-1]

    async def _snapshot(self, work: Callable[[Connection], None]) -> None:
        """Do it on the database as it is in one moment. After a lost connection it begins anew: lines are repeated."""
        if self._database.dialect == "sqlite":
            await self._database.read(work, long=True)
            return

        def do(connection: Connection) -> None:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            work(connection)

        await self._database.write(do, long=True)

    def _owned(self, kind: str, column: ColumnElement[str]) -> ColumnElement[bool]:
        return exists().where(
            _ROLES.resource_type == kind,
            _ROLES.resource_id == column,
            _ROLES.user_id == self._user_id,
            _ROLES.role == "owner",
        )

    def _threads(self) -> Select[str]:
        found = select(_THREADS.id).where(_THREADS.expires_at.is_(None))
        return found if self._user_id is None else found.where(self._owned("thread", _THREADS.id))

    def _agents(self) -> Select[str]:
        if self._user_id is None:
            return select(_AGENTS.id)
        used = _AGENTS.id.in_(self._threads().with_only_columns(_THREADS.agent_id))
        return select(_AGENTS.id).where(or_(self._owned("agent", _AGENTS.id), used))

    def _files(self) -> Select[str]:
        links = MessageFileTable.__table__.c
        attached = select(links.file_id).where(links.thread_id.in_(self._threads()))
        return select(_FILES.id).where(_FILES.id.in_(attached))

    def _write_agent(self, connection: Connection, agent_id: str) -> None:
        agent = connection.execute(select(TABLES["agent"]).where(_AGENTS.id == agent_id)).mappings().one_or_none()
        if agent is None:
            return
        self._write(row_to_line("agent", agent))
        versions = TABLES["agent_version"]
        of_agent = select(versions).where(versions.c.agent_id == agent_id)
        self._write_rows(connection, "agent_version", of_agent, ("version",))
        self._write_roles(connection, "agent", agent_id)
        self._write(to_line("agent_end", {"id": agent_id}))
        self._count("agent")

    def _write_thread(self, connection: Connection, thread_id: str) -> None:
        thread = connection.execute(select(TABLES["thread"]).where(_THREADS.id == thread_id)).mappings().one_or_none()
        if thread is None:
            return
        self._write(row_to_line("thread", thread))
        for kind, keys in _OF_THREAD.items():
            table = TABLES[kind]
            self._write_rows(connection, kind, select(table).where(table.c.thread_id == thread_id), keys)
        self._write_roles(connection, "thread", thread_id)
        self._write(to_line("thread_end", {"id": thread_id}))
        self._count("thread")

    def _write_roles(self, connection: Connection, kind: str, resource_id: str) -> None:
        on_it = select(TABLES["role"]).where(_ROLES.resource_type == kind, _ROLES.resource_id == resource_id)
        self._write_rows(connection, "role", on_it, ("id",))

    def _write_rows(self, connection: Connection, kind: str, statement: Select[Any], keys: Sequence[str]) -> None:
        for row in _rows(connection, statement, [TABLES[kind].c[key] for key in keys]):
            self._write(row_to_line(kind, row))
            self.counts.add(kind)

    async def _write_file(self, file_id: str) -> None:
        row = await self._database.read(lambda c: _find(c, file_id))
        if row is None:
            return
        self._write(row_to_line("file", row))
        if self._attachments is not None and row["deleted_at"] is None:
            try:
                async with aclosing(self._attachments.blobs.stream(row["sha256"])) as chunks:
                    await self._write_content(file_id, chunks)
            except BlobMissing:
                self.counts.add("files_without_content")
        self._write(to_line("file_end", {"id": file_id}))
        self._count("file")

    async def _write_content(self, file_id: str, chunks: Any) -> None:
        kept = bytearray()
        async for chunk in chunks:
            kept += chunk
            while len(kept) >= _CHUNK_BYTES:
                self._write_chunk(file_id, kept[:_CHUNK_BYTES])
                del kept[:_CHUNK_BYTES]
        if kept:
            self._write_chunk(file_id, kept)

    def _write_chunk(self, file_id: str, content: bytes | bytearray) -> None:
        self._write(to_line("file_content", {"file_id": file_id, "data": base64.b64encode(content).decode()}))

    def _count(self, kind: str) -> None:
        self.counts.add(kind)
        self._tell(self.counts)


def _page(statement: Select[str], column: ColumnElement[str], after: str, connection: Connection) -> list[str]:
    return list(connection.scalars(statement.where(column > after).order_by(column).limit(_PAGE)))


def _find(connection: Connection, file_id: str) -> Any:
    return connection.execute(select(TABLES["file"]).where(_FILES.id == file_id)).mappings().one_or_none()


def _rows(connection: Connection, statement: Select[Any], keys: Sequence[ColumnElement[Any]]) -> Iterator[Any]:
    """The rows of a statement in the order of their keys, a page at a time."""
    from sqlalchemy import tuple_

    last: tuple[Any, ...] | None = None
    while True:
        page = statement if last is None else statement.where(tuple_(*keys) > last)
        rows = connection.execute(page.order_by(*keys).limit(_PAGE)).mappings().all()
        yield from rows
        if len(rows) < _PAGE:
            return
        last = tuple(rows[-1][key] for key in keys)
