"""What a stream's reader was sent, and what it is sent next: log rows and the text in progress, each of them once.

An event's id is `<seq>-<position>`: the newest row sent so far, and how much of the message in progress was sent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ai_agents.bus.base import TextInProgress, TextSegment
from ai_agents.core import json
from ai_agents.core.events import TERMINAL_EVENTS, EventType, event_data
from ai_agents.core.exceptions import InvalidEventId, LogTrimmed, ThreadNotFound
from ai_agents.core.types import LogRow
from ai_agents.store import runs, thread_log
from ai_agents.store.models import ThreadTable
from ai_agents.store.runs import OwnedRun

# 15 digits hold every number that a database or a clock produces here, and are exact in JavaScript.
MAX_EVENT_ID = 31
_EVENT_ID = re.compile(r"(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,14})")


@dataclass(frozen=True, slots=True)
class Frame:
    """An event to send: its type, its id and its data as one line of JSON."""

    type: EventType
    id: str
    data: str


def parse_event_id(event_id: str) -> tuple[int, int]:
    """`(seq, position)` of an event id. Raises `InvalidEventId`."""
    match = _EVENT_ID.fullmatch(event_id)
    if match is None:
        raise InvalidEventId
    return int(match[1]), int(match[2])


class Cursor:
    """How far a reader has come in the stream of a thread, or of one of its runs.

    `seq` is the newest row that it has passed, and `position` how much of the message in progress it was sent.
    `_sent_seq` is the newest row that it was sent; a run's stream passes the rows of other runs without sending them.
    `reset_seq` is the newest row known to reset positions: the text of a message that began before it is void.
    """

    __slots__ = ("_sent_seq", "ended", "position", "reset_seq", "run_id", "seq", "thread_id")

    def __init__(
        self, thread_id: str, run_id: str | None, *, seq: int, position: int, sent_seq: int, reset_seq: int
    ) -> None:
        self.thread_id = thread_id
        self.run_id = run_id
        self.seq = seq
        self.position = position
        self.reset_seq = reset_seq
        self.ended = False
        self._sent_seq = sent_seq

    def take_rows(self, rows: Sequence[LogRow]) -> list[Frame]:
        """Pass these rows, which are the next ones in ascending order; the frames to send for them."""
        frames: list[Frame] = []
        for row in rows:
            if self.ended:
                break
            self.seq = row.seq
            if self.run_id is not None and row.run_id != self.run_id and row.type != "thread.deleted":
                continue
            if self.position and row.type == "message.completed":
                frames.extend(self._rest_of(row))
            if row.resets:
                self.position = 0
                self.reset_seq = row.seq
            self._sent_seq = row.seq
            frames.append(Frame(row.type, f"{row.seq}-{self.position}", row.data))  # type: ignore[arg-type]  # rows hold only event types
            self.ended = row.type == "thread.deleted" or (self.run_id is not None and row.type in TERMINAL_EVENTS)
        return frames

    def take_text(self, progress: TextInProgress | None) -> list[Frame]:
        """Move to the end of the text in progress; the frames for the part that was not sent yet.

        There are none while rows before the text are still to come, where the text belongs to another run or to a void
        message, and where it is shorter than what was sent (another process has it only in part, or its writer died).
        """
        if (
            progress is None
            or self.ended
            or progress.base_seq > self.seq
            or progress.base_seq < self.reset_seq
            or progress.position <= self.position
            or (self.run_id is not None and progress.run_id != self.run_id)
        ):
            return []
        frames: list[Frame] = []
        if self.position == 0:
            self.position = 1
            facts = {"message_id": progress.message_id, "role": "assistant"}
            data = json.dumps(event_data("message.started", self.thread_id, progress.run_id, facts))
            frames.append(Frame("message.started", f"{self._sent_seq}-1", data))
        frames.extend(self._deltas(progress.since(self.position), progress.run_id, progress.message_id))
        return frames

    def _deltas(self, segments: Sequence[TextSegment], run_id: str | None, message_id: str) -> list[Frame]:
        """The frames of these segments, which are the next ones to send."""
        frames: list[Frame] = []
        for segment in segments:
            self.position += len(segment.text)
            event_type: EventType = "message.delta" if segment.kind == "text" else "reasoning.delta"
            facts = {"message_id": message_id, "text": segment.text, "offset": segment.offset}
            data = json.dumps(event_data(event_type, self.thread_id, run_id, facts))
            frames.append(Frame(event_type, f"{self._sent_seq}-{self.position}", data))
        return frames

    def _rest_of(self, row: LogRow) -> list[Frame]:
        """Deltas with the rest of a recorded message of which a part was sent, so that deltas always add up."""
        message = json.loads(row.data)["message"]
        if message["role"] != "assistant":
            return []
        whole = TextInProgress(run_id=row.run_id or "", fence=0, message_id=message["id"], base_seq=0)
        for part in message["parts"]:
            if part["type"] in ("text", "reasoning"):
                whole.append(part["type"], part["text"])
        if whole.position <= self.position:
            return []
        return self._deltas(whole.since(self.position), row.run_id, message["id"])


def cursor_in_run(connection: Connection, thread_id: str, run_id: str, after: str | None) -> Cursor | None:
    """The cursor after an event id of a run's stream, else before its first event.

    None where the id is the one of the run's terminal event, after which nothing comes. Raises `RunNotFound`,
    `InvalidEventId` for an id that is not of this run's stream, and `LogTrimmed` where what would come is gone.
    """
    runs.get_row(connection, thread_id, run_id)
    if after is None:
        first = thread_log.first_of_run(connection, thread_id, run_id)
        return _cursor_at(connection, thread_id, run_id, seq=max(0, first - 1), position=0)
    seq, position = parse_event_id(after)
    row = thread_log.find_row(connection, thread_id, seq)
    if row is None:
        thread_log.require_rows_after(connection, thread_id, seq - 1)
    if row is None or row.run_id != run_id:
        raise InvalidEventId
    if row.type in TERMINAL_EVENTS:
        return None
    return _cursor_at(connection, thread_id, run_id, seq=seq, position=position)


def cursor_in_thread(connection: Connection, thread_id: str, after: str | None) -> Cursor:
    """The cursor after an event id of a thread's stream, else after the newest row of its log.

    Raises `ThreadNotFound`, `InvalidEventId` for an id beyond the newest row, and `LogTrimmed` for one before rows that
    are gone.
    """
    found = select(ThreadTable.last_seq, ThreadTable.trimmed_seq).where(ThreadTable.id == thread_id)
    log = connection.execute(found).one_or_none()
    if log is None:
        raise ThreadNotFound
    seq, position = (log.last_seq, 0) if after is None else parse_event_id(after)
    if seq > log.last_seq:
        raise InvalidEventId
    if seq < log.trimmed_seq:
        raise LogTrimmed(log.trimmed_seq)
    return _cursor_at(connection, thread_id, None, seq=seq, position=position)


def cursor_at_start(run: OwnedRun) -> Cursor:
    """The cursor before the first event of a run that was just admitted; this needs no query."""
    before = run.reset_seq - 1
    return Cursor(run.thread_id, run.id, seq=before, position=0, sent_seq=before, reset_seq=before)


def _cursor_at(connection: Connection, thread_id: str, run_id: str | None, *, seq: int, position: int) -> Cursor:
    reset_seq = thread_log.last_reset(connection, thread_id, seq)
    return Cursor(thread_id, run_id, seq=seq, position=position, sent_seq=seq, reset_seq=reset_seq)
