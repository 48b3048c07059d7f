"""The messages that processes send each other through Redis, as JSON: log rows, text in progress, and requests.

Each message begins with the name of the process that sent it, so that a process recognizes its own without parsing
them.
"""

from typing import Any, NamedTuple

from ai_agents.bus.base import TextInProgress, TextKind
from ai_agents.core import json
from ai_agents.core.types import LogRow


class TextUpdate(NamedTuple):
    """A stretch of a message's text that begins at position `start`; 1 is the first code point."""

    base_seq: int
    fence: int
    run_id: str
    message_id: str
    start: int
    segments: list[tuple[TextKind, str]]


class MessageWriter:
    """Writes the messages of one process. All of them begin with `mark`."""

    def __init__(self, process: str) -> None:
        self.mark = b'{"from":"%b",' % process.encode()

    def write(self, **fields: Any) -> bytes:
        """A message of one field.

        `rows`: committed rows of one thread. `cancel`: the id of a run, whose owner should look at its cancel flag.
        `sweep`: there are runs to take over. `ask`: ids of threads, whose text in progress should be published again
        from its start. `look`: this process failed to publish something, so readers should look at their logs.
        """
        return self.mark + json.dumps(fields).encode()[1:]

    def write_text(self, progress: TextInProgress, start: int) -> bytes:
        """The text from position `start` on."""
        text = (progress.base_seq, progress.fence, progress.run_id, progress.message_id)
        segments = [(segment.kind, segment.text) for segment in progress.since(start)]
        return self.write(text=text, start=start, segments=segments)


def read(message: bytes) -> dict[str, Any]:
    """The fields of a message, `rows` as `LogRow`s and `text` as a `TextUpdate`.

    Raises ValueError for anything that this version does not write.
    """
    try:
        fields: dict[str, Any] = {**json.loads(message)}
        if "text" in fields:
            segments = [(kind, text) for kind, text in fields["segments"]]
            base_seq, fence, run_id, message_id = fields["text"]
            fields["text"] = TextUpdate(base_seq, fence, run_id, message_id, fields["start"], segments)
        elif "rows" in fields:
            fields["rows"] = [LogRow(**row) for row in fields["rows"]]
    except (KeyError, TypeError) as error:
        raise ValueError("a message of another version") from error
    return fields
