"""A stored response: the rows of a run's log that it consists of, and what its request asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection

from ai_agents.core import json
from ai_agents.core.events import TERMINAL_EVENTS
from ai_agents.core.exceptions import LogTrimmed, NotFound, RunNotFound
from ai_agents.core.parts import tools_from_stored
from ai_agents.core.rows import Run
from ai_agents.core.types import JsonObject, LogRow
from ai_agents.store import foreign_ids, messages, runs, thread_log
from ai_agents.store.foreign_ids import ForeignId
from app.doors.responses.ids import ResponseId
from app.doors.responses.items import approval_answer_item, function_output_item, message_items
from app.doors.responses.resource import Asked, ResponseHead, tool_shown
from app.doors.responses.translator import ResponseFrames

# Where the metadata of a user's message has what its request for a response asked for.
ASKED = "openai_response"
# The foreign ids of responses that were deleted.
_DELETED = "responses.deleted"
_ROWS_PER_QUERY = 200


class ResponseNotFound(NotFound):
    """There is no such response."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response, whole or as far as it has come.

    `rows` are those that its frames are made of. `waited_for` is the event `run.waiting` before it began, if one was.
    `trimmed`: retention has removed its rows. It has ended, and its messages are there.
    """

    id: ResponseId
    run: Run
    head: ResponseHead
    rows: Sequence[LogRow]
    user_message_id: str
    waited_for: JsonObject | None = None
    trimmed: LogTrimmed | None = None

    @property
    def approved(self) -> list[str]:
        """The calls that waited for a person before it began."""
        return [each["tool_call_id"] for each in (self.waited_for or {"approvals": ()})["approvals"]]

    @property
    def waits_at(self) -> LogRow | None:
        """The row `run.waiting` with which it ended; None for one that ended otherwise, or has not ended."""
        return self.rows[-1] if self.rows and self.rows[-1].type == "run.waiting" else None

    @property
    def is_whole(self) -> bool:
        """Whether it has ended."""
        return self.trimmed is not None or (bool(self.rows) and _ends(self.rows[-1]))

    def frames(self, *, after: int = -1, known: int | None = None, silent: bool = False) -> ResponseFrames:
        """Its frames, before the first one; see `ResponseFrames`."""
        return ResponseFrames(self.head, after=after, known=known, silent=silent, approved_calls=self.approved)

    def fold(self) -> ResponseFrames:
        """How far it has come: its state, and the number of the next frame. Raises `LogTrimmed`."""
        if self.trimmed is not None:
            raise self.trimmed
        frames = self.frames(silent=True)
        if self.id.after_seq:
            frames.begin()
        for row in self.rows:
            frames.take(row.type, json.loads(row.data))
        if not self.rows and not self.id.after_seq:
            frames.state.status = "queued"
        return frames


def read_response(
    connection: Connection,
    thread_id: str,
    asked_id: ResponseId,
    *,
    is_fetched: bool = True,
    sees_instructions: bool = False,
) -> StoredResponse:
    """A response of this thread. Raises `ResponseNotFound`.

    `is_fetched`: a client asks for it later, which finds none that was deleted or was not to be stored.
    `sees_instructions`: those who may change the agent see what was told to it.
    """
    try:
        row = runs.get_row(connection, thread_id, asked_id.run_id)
    except RunNotFound:
        raise ResponseNotFound from None
    waited_for: JsonObject | None = None
    created_at = row["created_at"]
    trimmed: LogTrimmed | None = None
    rows: list[LogRow] = []
    try:
        if asked_id.after_seq:
            before = _find_wait(connection, thread_id, asked_id)
            created_at, waited_for = before.created_at, json.loads(before.data)
        rows = _rows_of(connection, thread_id, asked_id)
    except LogTrimmed as error:
        trimmed = error
    message = messages.find_message(connection, thread_id, row["user_message_id"])
    stored = cast("dict[str, Any]", (message or {"metadata": {}})["metadata"].get(ASKED) or {})
    model = stored.pop("model", None) or row["agent_id"]
    asked = cast("Asked", stored)
    if sees_instructions and (told := (row["overrides"] or {}).get("instructions")) is not None:
        asked["instructions"] = told
    if row["client_tools"]:
        asked["tools"] = [tool_shown(each) for each in tools_from_stored(row["client_tools"])]
    if asked_id.after_seq:
        asked["previous_response_id"] = str(_part_before(connection, asked_id))
    gone = ForeignId(row["user_id"], _DELETED, str(asked_id))
    if is_fetched and (not asked.get("store", True) or foreign_ids.find(connection, gone) is not None):
        raise ResponseNotFound
    head = ResponseHead(str(asked_id), created_at, model, asked)
    return StoredResponse(asked_id, runs.to_public(row), head, rows, row["user_message_id"], waited_for, trimmed)


def _find_wait(connection: Connection, thread_id: str, asked_id: ResponseId) -> LogRow:
    """The row `run.waiting` before its beginning. Raises `ResponseNotFound`, `LogTrimmed`."""
    row = thread_log.find_row(connection, thread_id, asked_id.after_seq)
    if row is None:
        thread_log.require_rows_after(connection, thread_id, asked_id.after_seq - 1)
    if row is None or row.run_id != asked_id.run_id or row.type != "run.waiting":
        raise ResponseNotFound
    return row


def _rows_of(connection: Connection, thread_id: str, asked_id: ResponseId) -> list[LogRow]:
    """The rows after its beginning, up to its end or the newest. Raises `LogTrimmed`."""
    begins = asked_id.after_seq or max(0, thread_log.first_of_run(connection, thread_id, asked_id.run_id) - 1)
    found = list(_rows_after(connection, thread_id, asked_id.run_id, begins))
    if not found or found[0].seq != begins + 1 or len(found) > _ROWS_PER_QUERY:
        # They may have gone since it was looked where they begin.
        thread_log.require_rows_after(connection, thread_id, begins)
    return found


def _rows_after(connection: Connection, thread_id: str, run_id: str, seq: int) -> Iterator[LogRow]:
    while True:
        page = thread_log.list_after(connection, thread_id, seq, run_id=run_id, limit=_ROWS_PER_QUERY)
        for row in page:
            yield row
            if _ends(row):
                return
        if len(page) < _ROWS_PER_QUERY:
            return
        seq = page[-1].seq


def _ends(row: LogRow) -> bool:
    return row.type == "run.waiting" or row.type in TERMINAL_EVENTS


def _part_before(connection: Connection, asked_id: ResponseId) -> ResponseId:
    """The part of the run that ended where this one begins."""
    waits = thread_log.waits_of_run(connection, asked_id.run_id)
    return ResponseId(asked_id.run_id, max((seq for seq in waits if seq < asked_id.after_seq), default=0))


def read_waiting(connection: Connection, thread_id: str, run_id: str) -> StoredResponse:
    """The response with which a run that waits has ended for now. Raises `ResponseNotFound`."""
    waits = thread_log.waits_of_run(connection, run_id)
    newest = ResponseId(run_id, waits[-1] if waits else 0)
    return read_response(connection, thread_id, _part_before(connection, newest), is_fetched=False)


def hide_response(connection: Connection, found: StoredResponse) -> None:
    """Answer no request for this response any more. What was said stays in its conversation."""
    key = ForeignId(found.run["user_id"], _DELETED, str(found.id))
    foreign_ids.thread_of(connection, key, found.run["agent_id"], lambda: found.run["thread_id"])


def input_of(connection: Connection, found: StoredResponse) -> list[JsonObject]:
    """The items that its request said: the user's message, or the answers to the calls that waited.

    Raises `LogTrimmed` for answers that the log tells of no longer.
    """
    if found.trimmed is not None and found.id.after_seq:
        raise found.trimmed
    if found.waited_for is None:
        message = messages.find_message(connection, found.run["thread_id"], found.user_message_id)
        return [] if message is None else message_items(message, (), {})
    said = [json.loads(row.data) for row in found.rows if row.type in ("tool.started", "tool.completed")]
    results = {each["tool_call_id"]: each for each in said if each["type"] == "tool.completed"}
    made = {each["tool_call_id"] for each in said if each["type"] == "tool.started"}
    answered = [results[each["tool_call_id"]] for each in found.waited_for.get("client_calls", ())
                if each["tool_call_id"] in results]  # fmt: skip
    decided = [each for each in found.waited_for["approvals"] if each["tool_call_id"] in {*results, *made}]
    return [
        *map(function_output_item, answered),
        *(approval_answer_item(each, approved=each["tool_call_id"] in made) for each in decided),
    ]
