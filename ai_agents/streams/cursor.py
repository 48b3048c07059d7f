"""Where a reader is in a stream, and what it gets next: rows of the log and the text in progress, each once.

An event's id is `<seq>-<position>`: the last row before or at it, and how much of the message in progress had been
sent by then.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ai_agents.bus.progress import Piece, TextInProgress
from ai_agents.core import json
from ai_agents.core.events import TERMINAL_EVENTS, EventType, event_data
from ai_agents.core.exceptions import InvalidEventId
from ai_agents.core.types import LogRow

# 15 digits hold every number that a database or a clock here can produce, and stay exact in JavaScript.
_EVENT_ID = re.compile(r"(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,14})")


@dataclass(frozen=True, slots=True)
class Frame:
    """One event to be sent: its name, id and JSON line."""

    type: EventType
    id: str
    data: str


def parse_event_id(event_id: str) -> tuple[int, int]:
    """`(seq, position)`. Raises `InvalidEventId`."""
    match = _EVENT_ID.fullmatch(event_id)
    if match is None:
        raise InvalidEventId
    return int(match[1]), int(match[2])


class Cursor:
    """A reader's cursor in the stream of a thread, or of one run of it.

    `seq` is the newest row that was looked at; ids name the newest row that was sent (in a run's stream, of that run).
    `reset_seq` is the newest row known to have reset positions: the text of a message that began before it is over.
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
        """Move past these rows (ascending, the next ones); the frames to send for them."""
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
        """Move to the end of the text in progress; the frames for what was not sent of it yet.

        Nothing while rows before it are still to come, while it belongs to another run or to a message that is
        over, and while it
        is shorter than what this reader already has (a mirror that lags behind, or a process that died).
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

    def _deltas(self, pieces: Sequence[Piece], run_id: str | None, message_id: str) -> list[Frame]:
        frames: list[Frame] = []
        for piece in pieces:
            self.position += len(piece.text)
            event_type: EventType = "message.delta" if piece.kind == "text" else "reasoning.delta"
            facts = {"message_id": message_id, "text": piece.text, "offset": piece.offset}
            data = json.dumps(event_data(event_type, self.thread_id, run_id, facts))
            frames.append(Frame(event_type, f"{self._sent_seq}-{self.position}", data))
        return frames

    def _rest_of(self, row: LogRow) -> list[Frame]:
        """Whoever has part of a message gets the rest as deltas before the whole, so that deltas always add up."""
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
