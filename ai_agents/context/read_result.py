"""`read_result`: a model reads on in a result of a tool that was too long to be shown, or searches in it."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import Connection, select

from ai_agents.attachments.storage import BlobStore
from ai_agents.core.exceptions import BlobMissing, StorageUnavailable
from ai_agents.core.types import FilePart, ModelMessage, ToolDefinition, ToolResultPart
from ai_agents.store.database import Database
from ai_agents.store.models import FileTable, MessageFileTable, MessageTable
from ai_agents.tools.base import Tool, ToolContext, ToolError
from ai_agents.tools.results import READ_RESULT, ResultLine, result_lines

# A quarter of what a result may usually be, so that a model that reads on does not fill its window with it.
_MAX_BYTES = 16 * 1024
_MAX_LINES = 1000
_USUAL_LINES = 200
_MAX_SEARCH = 200
# For the sentences before and after the lines.
_ROOM = 160
_DELETED = "The file with this result was deleted."


class ReadResult(Tool):
    """Reads results that were cut, of the thread of the call alone."""

    name = READ_RESULT
    description = (
        "Reads a tool's result that was cut because it was too long. The cut result says its file_id, and the line "
        "from which to read on. Lines count from 1; a very long line counts as several. With `search`, only lines "
        "that have this text are shown, with their numbers; upper and lower case are the same."
    )
    retry_safe = True

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    async def execute(
        self,
        file_id: str,
        from_line: int = 1,
        lines: int = _USUAL_LINES,
        search: str | None = None,
        *,
        context: ToolContext,
    ) -> str:
        """Return so many lines of the result from this one on, or those that have the text. Raises `ToolError`."""
        sha256 = await self._database.read(lambda c: _find(c, file_id, context.thread_id))
        if sha256 is None:
            raise ToolError("This thread has no result with this file_id.")
        if not sha256:
            raise ToolError(_DELETED)
        try:
            content = await self._blobs.read(sha256)
        except BlobMissing:
            raise ToolError(_DELETED) from None
        except StorageUnavailable:
            raise ToolError("The result cannot be read at the moment.") from None
        room = max(0, min(_MAX_BYTES, context.max_result_bytes) - _ROOM)
        return await asyncio.to_thread(_read, content, from_line, lines, search, room)

    def get_definition(self) -> ToolDefinition:
        """Return the definition: the file, and where to read or what to search for."""
        properties = {
            "file_id": {"type": "string", "maxLength": 64},
            "from_line": {"type": "integer", "minimum": 1, "description": "The first line; 1 unless given."},
            "lines": {
                "type": "integer",
                "minimum": 1,
                "maximum": _MAX_LINES,
                "description": f"The most lines to show; {_USUAL_LINES} unless given.",
            },
            "search": {"type": "string", "minLength": 1, "maxLength": _MAX_SEARCH},
        }
        schema = {"type": "object", "properties": properties, "required": ["file_id"], "additionalProperties": False}
        return ToolDefinition(self.name, self.description, schema)


def has_cut_result(messages: Sequence[ModelMessage]) -> bool:
    """Whether a tool's result among these messages was cut while all of it is kept, or a model reads in one already."""
    parts = (part for message in messages if message.role == "tool" for part in message.parts)
    return any(
        isinstance(part, FilePart) or (type(part) is ToolResultPart and part.name == READ_RESULT) for part in parts
    )


def _find(connection: Connection, file_id: str, thread_id: str) -> str | None:
    """The key of the bytes of a result that this thread keeps, "" of a deleted one; None where there is none."""
    found = (
        select(FileTable.sha256)
        .join(MessageFileTable, MessageFileTable.file_id == FileTable.id)
        .join(MessageTable, MessageTable.id == MessageFileTable.message_id)
        .where(FileTable.id == file_id, MessageFileTable.thread_id == thread_id, MessageTable.role == "tool")
    )
    return connection.scalars(found.limit(1)).first()


def _read(content: bytes, from_line: int, most: int, search: str | None, room: int) -> str:
    """What the model is shown, with sentences that say what it is and how to go on."""
    lines = result_lines(content.decode(errors="replace"))
    total, wanted = len(lines), None if search is None else search.casefold()
    if from_line > total:
        raise ToolError(f"The result has {total} lines.")
    shown: list[str] = []
    size_bytes, next_line = 0, total + 1
    for number in range(from_line, total + 1):
        line = lines[number - 1].text
        if wanted is not None:
            if not _has(lines, number - 1, wanted):
                continue
            line = f"{number}: {line}"
        size_bytes += len(line.encode()) + 1
        if len(shown) == most or (shown and size_bytes > room):
            next_line = number
            break
        shown.append(line)
    which = "" if wanted is None else "that have the text " if shown else "do not have the text "
    said = f"[Lines {from_line} to {next_line - 1} of {total} {which}".rstrip() + ".]"
    more = [f"[There is more: go on with from_line {next_line}.]"] if next_line <= total else []
    return "\n".join([said, *shown, *more])


def _has(lines: Sequence[ResultLine], index: int, wanted: str) -> bool:
    """Whether the text begins in this line. In a long line it may reach into the next piece."""
    text = lines[index].text
    if lines[index].goes_on:
        text += lines[index + 1].text[: len(wanted) - 1]
    return wanted in text.casefold()
