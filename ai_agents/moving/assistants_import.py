"""Importing what OpenAI's Assistants left behind: first everything is sorted on disk, then written, thread by thread.

Each object has the same id here each time (`assistants.id_of`), so that a second import finds what is there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from ai_agents.attachments.files import Attachments, checked_filename
from ai_agents.core.exceptions import FileTooLarge, InvalidRequest, RequestError, UnsupportedFile
from ai_agents.core.parts import part_to_stored
from ai_agents.core.types import JsonObject
from ai_agents.moving import assistants, writing
from ai_agents.moving.assistants import DraftMessage, Found, id_of, objects_in, time_of, to_agent, to_message
from ai_agents.moving.json_values import read_values
from ai_agents.moving.outcomes import Outcome, Outcomes, Unusable
from ai_agents.moving.records import BadRecord
from ai_agents.moving.sorted_objects import SortedObjects, sorted_objects
from ai_agents.moving.writing import event_row
from ai_agents.store import files
from ai_agents.store.agents import DEFAULTS
from ai_agents.store.database import HasDatabase
from ai_agents.store.messages import to_public

_BATCH = 200
# So many lines that are no JSON are no mistake of a line.
_MOST_FAULTS = 100
_LOOK_THROUGH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a thread's messages go."""

    thread_id: str
    agent_id: str


class AssistantsImport:
    """Imports assistants, threads, messages and files for a user, who owns all of it.

    `contents` is a directory with the contents of files, each named by its id, with any extension: the API's lists have
    none. `agent_id` is the agent of threads in which no assistant of the file answered.
    """

    def __init__(
        self,
        conn: HasDatabase,
        tell: Callable[[Outcome], None],
        *,
        user_id: str,
        attachments: Attachments | None = None,
        contents: Path | None = None,
        agent_id: str | None = None,
    ) -> None:
        self._database = conn.database
        self._user_id = user_id
        self._attachments = attachments
        self._contents = contents
        self._agent_id = agent_id
        self.outcomes = Outcomes(tell)

    async def run(self, file: BinaryIO) -> Outcomes:
        """Import everything. Raises `Unusable`, `DatabaseUnavailable`, `StorageUnavailable`."""
        if self._agent_id is not None and not await self._has("agent", self._agent_id):
            raise Unusable("There is no such agent.")
        with sorted_objects() as found:
            self._sort(file, found)
            for assistant, line in found.of("assistant"):
                await self._attempt("assistant", assistant, line, partial(self._import_assistant, assistant))
            for thread, line in found.of("thread"):
                await self._attempt("thread", thread, line, partial(self._import_thread, thread, found))
            for thread_id in found.threads_without_object():
                first, line = next(found.messages(thread_id))
                thread = Found("thread", thread_id, {"id": thread_id}, created_at=first.created_at)
                await self._attempt("thread", thread, line, partial(self._import_thread, thread, found))
        return self.outcomes

    def _sort(self, file: BinaryIO, into: SortedObjects) -> None:
        faults = seen = 0
        for value in read_values(file):
            if value.fault is not None:
                faults += 1
                if faults > _MOST_FAULTS:
                    raise Unusable(f"Line {value.line}: more than {_MOST_FAULTS} lines are no JSON.")
                self.outcomes.add(Outcome("line", str(value.line), "failed", reason=value.fault))
                continue
            for found in objects_in(value.value):
                seen += 1
                if found.kind is not None:
                    into.add(found, value.line)
                elif found.skipped:
                    self.outcomes.add(Outcome("object", found.id, "skipped", reason=found.skipped))
                else:
                    self.outcomes.add(Outcome("line", str(value.line), "failed", reason=found.fault))
        if not seen and not faults:
            raise Unusable("There is nothing in the file.")

    async def _attempt(self, kind: str, found: Found, line: int, do: Callable[[], Any]) -> None:
        try:
            self.outcomes.add(await do())
        except RequestError as error:
            self.outcomes.add(Outcome(kind, found.id, "failed", reason=f"line {line}: {error}"))

    async def _import_assistant(self, found: Found) -> Outcome:
        draft = to_agent(found, self._user_id)
        if await self._has("agent", draft.id):
            return Outcome("assistant", found.id, "exists", new_id=draft.id)
        spec = {name: draft.spec.get(name, default) for name, default in DEFAULTS.items()}
        times = {"created_at": draft.created_at, "updated_at": draft.created_at}
        agent = {"id": draft.id, "name": spec["name"], "version": 1, "spec": spec, "deleted_at": None, **times}
        version = {"agent_id": draft.id, "version": 1, "spec": spec, "created_at": draft.created_at}
        write = partial(writing.write_agent, agent=agent, versions=[version], given=(), owner_id=self._user_id)
        await self._database.write(write, long=True)
        return Outcome("assistant", found.id, "imported", new_id=draft.id, notes=draft.notes)

    async def _import_thread(self, found: Found, objects: SortedObjects) -> Outcome:
        thread_id = id_of("thread", found.id, self._user_id, found.created_at)
        metadata, notes = assistants.to_thread_metadata(found)
        agent_id = await self._agent_of(found, objects)
        last = count = 0
        for message, _ in objects.messages(found.id):
            last, count = max(last, message.created_at), count + 1
        row = {
            "id": thread_id,
            "agent_id": agent_id,
            "title": None,
            "title_by": None,
            "metadata": metadata,
            "last_seq": 0,
            "version": 1,
            "created_at": time_of(found.created_at),
            "updated_at": time_of(max(last, found.created_at)),
            "last_activity_at": time_of(max(last, found.created_at)),
            "summary_misses": None,
        }
        if not await self._database.write(partial(writing.begin_thread, thread=row), long=True):
            return Outcome("thread", found.id, "exists", new_id=thread_id)
        try:
            written, more = await self._write_messages(_Place(thread_id, agent_id), found, objects)
        except RequestError:
            await self._database.write(partial(writing.drop_thread, thread_id=thread_id))
            raise
        end = partial(writing.end_thread, thread_id=thread_id, given=(), unfinished=(), owner_id=self._user_id)
        await self._database.write(end, long=True)
        told = (f"{written} messages", *notes, *more)
        return Outcome("thread", found.id, "imported", new_id=thread_id, notes=told)

    async def _agent_of(self, thread: Found, objects: SortedObjects) -> str:
        """The agent of the assistant that answered last. Raises `BadRecord` where none of the file did."""
        answered: Found | None = None
        for message, _ in objects.messages(thread.id):
            named = assistants.assistant_of(message)
            if named is not None:
                answered = objects.find("assistant", named) or answered
        if answered is None and self._agent_id is None and objects.count("assistant") == 1:
            answered = next(found for found, _ in objects.of("assistant"))
        if answered is not None:
            return id_of("assistant", answered.id, self._user_id, answered.created_at)
        if self._agent_id is None:
            raise BadRecord("no assistant of the file answered in it; name an agent with --agent")
        return self._agent_id

    async def _write_messages(
        self, place: _Place, thread: Found, objects: SortedObjects
    ) -> tuple[int, tuple[str, ...]]:
        """How many were written, and what is to be said of them."""
        notes: dict[str, None] = {}
        waiting: list[JsonObject] = []
        seq = 0
        for found, line in objects.messages(thread.id):
            try:
                draft = to_message(found, self._user_id)
            except BadRecord as error:
                raise BadRecord(f"message {found.id} of line {line}: {error}") from error
            parts = await self._with_files(draft, objects, notes)
            notes |= dict.fromkeys(draft.notes)
            if not parts:
                notes["a message without content left out"] = None
                continue
            seq += 1
            waiting.append(self._row(place, draft, parts, seq))
            if len(waiting) == _BATCH:
                await self._flush(place, waiting)
                waiting = []
        await self._flush(place, waiting)
        return seq, tuple(notes)

    def _row(self, place: _Place, draft: DraftMessage, parts: list[JsonObject], seq: int) -> JsonObject:
        return {
            "id": draft.id,
            "thread_id": place.thread_id,
            "run_id": None,
            "seq": seq,
            "role": draft.role,
            "parts": parts,
            "status": draft.status,
            "user_id": self._user_id if draft.role == "user" else None,
            "usage": None,
            "cost": None,
            "metadata": draft.metadata,
            "created_at": draft.created_at,
            "refused": False,
            "superseded": False,
        }

    async def _flush(self, place: _Place, rows: list[JsonObject]) -> None:
        if not rows:
            return

        def write(connection: Any) -> None:
            writing.write_rows(connection, "message", rows)
            told = [event_row(place.thread_id, row["seq"], to_public(row), row["created_at"]) for row in rows]  # type: ignore[arg-type]
            writing.write_rows(connection, "event", told)
            writing.set_last_seq(connection, place.thread_id, rows[-1]["seq"])

        await self._database.write(write, long=True)

    async def _with_files(
        self, draft: DraftMessage, objects: SortedObjects, notes: dict[str, None]
    ) -> list[JsonObject]:
        """The message's parts with its files in place: those of users whose content is there, of others their names."""
        parts: list[JsonObject] = []
        for part in draft.parts:
            if part["type"] != "openai_file":
                parts.append(part)
                continue
            found = objects.find("file", part["file_id"])
            named = str(found.value.get("filename") or part["file_id"]) if found is not None else part["file_id"]
            file = await self._file(part["file_id"], named, found, notes) if draft.role == "user" else None
            if draft.role != "user":
                notes["files of answers are named in their texts"] = None
            parts.append(file or {"type": "text", "text": f"\n[{part['as']}: {named}]"})
        return parts

    async def _file(
        self, foreign_id: str, named: str, found: Found | None, notes: dict[str, None]
    ) -> JsonObject | None:
        """The part of a file; None, and a note, where its content is not there or not taken."""
        created_at = found.created_at if found is not None else 0
        file_id = id_of("file", foreign_id, self._user_id, created_at)
        held = await self._database.write(lambda c: files.hold_files(c, [file_id]))
        if file_id in held:
            return part_to_stored(held[file_id])
        content = _content_of(self._contents, foreign_id)
        if content is None or self._attachments is None:
            notes["files without content are named in the texts"] = None
            return None
        try:
            await self._store(file_id, content, _filename(named, content), created_at)
        except (InvalidRequest, UnsupportedFile, FileTooLarge) as error:
            notes[f"file {foreign_id} is not taken: {error}"] = None
            return None
        held = await self._database.write(lambda c: files.hold_files(c, [file_id]))
        return part_to_stored(held[file_id])

    async def _store(self, file_id: str, content: Path, filename: str, created_at: int) -> None:
        attachments = self._attachments
        assert attachments is not None  # noqa: S101  # asked before
        with attachments.receive() as incoming, content.open("rb") as source:
            while chunk := source.read(_LOOK_THROUGH_BYTES):
                incoming.write(chunk)
            staged = await incoming.finish()
            inspected = await attachments.inspect(staged, filename, user_id=self._user_id)
            row = {
                "id": file_id,
                "user_id": self._user_id,
                "filename": filename,
                "media_type": inspected.media_type,
                "size_bytes": staged.size_bytes,
                "sha256": staged.sha256,
                "facts": dict(inspected.facts),
                "created_at": time_of(created_at),
                "deleted_at": None,
            }
            async with attachments.kept(inspected):
                await self._database.write(partial(writing.write_file, row=row))

    async def _has(self, kind: Any, found_id: str) -> bool:
        return bool(await self._database.read(partial(writing.has, kind=kind, id=found_id)))


def _content_of(directory: Path | None, foreign_id: str) -> Path | None:
    """The file of this name, with any extension."""
    if directory is None or not foreign_id.replace("-", "").replace("_", "").isalnum():
        return None
    plain = directory / foreign_id
    found = [plain] if plain.is_file() else sorted(each for each in directory.glob(f"{foreign_id}.*") if each.is_file())
    return found[0] if found else None


def _filename(named: str, content: Path) -> str:
    try:
        return checked_filename(named if "." in named else f"{named}{content.suffix}")
    except InvalidRequest:
        return content.name
