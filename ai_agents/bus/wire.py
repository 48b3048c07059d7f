"""What passes between processes through Redis, as JSON: rows of a log, text in progress, and control messages.

Every message names its sender first, so that a process knows its own by its beginning, without reading it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from ai_agents.bus.progress import TextInProgress, TextKind
from ai_agents.core import json
from ai_agents.core.types import LogRow

# What a call of Redis raises where it is away. RuntimeError is uvloop's word for a connection that was closed just now.
AWAY = (RedisError, OSError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of keys and channels. Channels carry the number of the database, as Redis has one space for all."""

    database: int

    @property
    def control(self) -> bytes:
        """The channel that every process listens to."""
        return b"aia:%d:control" % self.database

    def channel(self, thread_id: str) -> bytes:
        """The channel of a thread."""
        return f"aia:{self.database}:thread:{thread_id}".encode()

    def thread_id(self, channel: bytes) -> str:
        """The thread whose channel this is."""
        return channel.rpartition(b":")[2].decode()

    def mirror(self, thread_id: str) -> bytes:
        """The key of a thread's text in progress: a list, its tag first, then messages as `text_message` makes them."""
        return f"aia:text:{thread_id}".encode()


def tag(progress: TextInProgress, times: int) -> bytes:
    """What tells one mirror from another: the message, and how many times it was begun.

    Compared as strings, the later one is greater.
    """
    return b"%015d-%010d-%010d" % (progress.base_seq, progress.fence, times)


@dataclass(frozen=True, slots=True)
class News:
    """A stretch of a message's text that begins at position `start`, 1 being the first."""

    base_seq: int
    fence: int
    run_id: str
    message_id: str
    start: int
    pieces: tuple[tuple[TextKind, str], ...]


class Speaker:
    """Writes the messages of one process."""

    def __init__(self, name: str) -> None:
        self.mark = b'{"from":"%b",' % name.encode()

    def rows(self, rows: Sequence[LogRow]) -> bytes:
        """Rows of one thread that were committed."""
        return self._message(rows=list(rows))

    def cancel(self, run_id: str) -> bytes:
        """The owner of the run should look at its cancel flag."""
        return self._message(cancel=run_id)

    def sweep(self) -> bytes:
        """There are runs to be taken over."""
        return self._message(sweep=True)

    def look(self) -> bytes:
        """This process could not tell what happened: everybody should look at their logs."""
        return self._message(look=True)

    def text_head(self, progress: TextInProgress) -> bytes:
        """The beginning that all messages with this text share."""
        whose = json.dumps([progress.base_seq, progress.fence, progress.run_id, progress.message_id])
        return self.mark + b'"text":' + whose.encode()

    def _message(self, **fields: Any) -> bytes:
        return self.mark + json.dumps(fields).encode()[1:]


def text_message(head: bytes, progress: TextInProgress, start: int) -> bytes:
    """The text from position `start` on."""
    pieces = json.dumps([(piece.kind, piece.text) for piece in progress.since(start)]).encode()
    return b'%b,"start":%d,"pieces":%b}' % (head, start, pieces)


def read(message: bytes) -> dict[str, Any]:
    """The message's fields. Raises ValueError for anything that no process of this kind has sent."""
    fields = json.loads(message)
    if isinstance(fields, dict):
        return fields
    raise ValueError("not a message of the bus")


def read_rows(fields: dict[str, Any]) -> list[LogRow]:
    """The rows of a message. Raises ValueError where they have another form, as those of another version may."""
    try:
        return [LogRow(**row) for row in fields["rows"]]
    except TypeError as error:
        raise ValueError("rows of another version") from error


def read_text(fields: dict[str, Any]) -> News:
    """The text of a message. Raises ValueError where it has another form."""
    try:
        base_seq, fence, run_id, message_id = fields["text"]
        pieces = tuple((kind, text) for kind, text in fields["pieces"])
        return News(base_seq, fence, run_id, message_id, fields["start"], pieces)
    except (KeyError, TypeError) as error:
        raise ValueError("text of another version") from error
