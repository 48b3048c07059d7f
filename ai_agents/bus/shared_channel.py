"""A thread's channel that is kept in step with the channels of the same thread in other processes, and their messages.

The process that executes a run publishes its text as updates. An update says at which position it begins, so that a
channel notices what came twice, late or not at all: it cuts an update that overlaps what it has, it ignores one of an
older message, and it asks for the whole text where something is missing.

The messages that processes send each other through Redis are JSON. Each begins with the name of the process that sent
it, so that a process recognizes its own without parsing them.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, get_args

from ai_agents.bus.base import Channel, TextInProgress, TextKind
from ai_agents.core import json
from ai_agents.core.types import LogRow

_TEXT_KINDS: tuple[object, ...] = get_args(TextKind)


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
        from its start. `changed`: ids of threads in which something happened. `usage`: what users use in this process.
        `look`: this process failed to publish something, so
        readers should look at their logs.
        """
        return self.mark + json.dumps(fields).encode()[1:]

    def write_text(self, progress: TextInProgress, start: int) -> bytes:
        """The text from position `start` on."""
        text = (progress.base_seq, progress.fence, progress.run_id, progress.message_id)
        segments = [(segment.kind, segment.text) for segment in progress.since(start)]
        return self.write(text=text, start=start, segments=segments)


def read_message(message: bytes) -> dict[str, Any]:
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
    if not _has_its_types(fields):
        raise ValueError("a message of another version")
    return fields


def _has_its_types(fields: dict[str, Any]) -> bool:
    """Whether each value is of the type that it is written with: whatever has Redis's password can write there."""
    if "text" in fields:
        update: TextUpdate = fields["text"]
        return (
            _are(int, update.base_seq, update.fence, update.start)
            and _are(str, update.run_id, update.message_id, *(text for _, text in update.segments))
            and all(kind in _TEXT_KINDS for kind, _ in update.segments)
        )
    if "rows" in fields:
        return all(map(_is_row, fields["rows"]))
    if "usage" in fields:
        return isinstance(fields["usage"], dict)
    lists = [fields[name] for name in ("ask", "revoked", "changed") if name in fields]
    return all(isinstance(each, list) and _are(str, *each) for each in lists)


def _is_row(row: LogRow) -> bool:
    texts = (row.thread_id, row.type, row.run_id or "", row.data, row.created_at)
    return _are(str, *texts) and _are(int, row.seq) and _are(bool, row.resets)


def _are(kind: type, *values: object) -> bool:
    return all(type(value) is kind for value in values)


class ChannelObserver(Protocol):
    """What a shared channel calls."""

    def publish_text(self, channel: "SharedChannel") -> None:
        """The channel has text for other processes."""

    def ask_for_text(self, channel: "SharedChannel") -> None:
        """The channel has missed a part of the text."""

    def update_subscription(self, channel: "SharedChannel") -> None:
        """The channel's first reader came, its last one left, or a run of its thread began or ended here."""


class SharedChannel(Channel):
    """A channel that publishes the text written here, and follows the text written elsewhere.

    While a run of the thread is executed here, `live` does not depend on Redis: what this process knows is the truth.
    """

    def __init__(self, thread_id: str, observer: ChannelObserver, *, connected: bool) -> None:
        super().__init__(thread_id)
        self.live = connected
        self._connected = connected
        self._observer = observer
        # How many runs of the thread are executed here.
        self._owners = 0
        self._reset_seq = 0
        # The message that is written here, and the position up to which it was published.
        self._outgoing: TextInProgress | None = None
        self._published = 0
        # Whether other processes listen; None until the message's first text was published.
        self._has_listeners: bool | None = None
        # Set while the bus has it in its queue of channels with text to publish.
        self.is_queued = False
        # Whether this process wants to hear what others publish on the channel, and whether Redis has confirmed that.
        self.is_wanted = self.is_subscribed = False
        # Fires when `is_wanted` has to change.
        self.timer: asyncio.TimerHandle | None = None
        self.ask_again_at = 0.0

    @property
    def is_owned(self) -> bool:
        """Whether a run of the thread is executed in this process."""
        return self._owners > 0

    def own(self) -> None:
        """Say that a run of this thread is executed in this process from now on."""
        self._owners += 1
        self.live = True
        self._observer.update_subscription(self)

    def disown(self) -> None:
        """Say that a run of this thread is no longer executed in this process."""
        self._owners -= 1
        if not self._owners:
            self._outgoing = None
            self._update_live()
            self._observer.update_subscription(self)

    def set_connected(self, connected: bool) -> None:
        """Say whether Redis is connected.

        The count of listeners may have been wrong before the connection was noticed to be lost, so the text written
        here is published again.
        """
        self._connected = connected
        self._update_live()
        if connected:
            self.publish_again()
        else:
            self.is_subscribed = False

    def _update_live(self) -> None:
        live = self._connected or self.is_owned
        if live != self.live:
            self.live = live
            self.touch()

    def attach(self, waker: Callable[[], None]) -> None:
        """Add a reader; the first one makes the bus subscribe."""
        super().attach(waker)
        if len(self._wakers) == 1:
            self._observer.update_subscription(self)

    def detach(self, waker: Callable[[], None]) -> None:
        """Remove a reader; the last one makes the bus unsubscribe."""
        super().detach(waker)
        if not self._wakers:
            self._observer.update_subscription(self)

    def stop_timer(self) -> None:
        """Cancel the change of `is_wanted` to come, if any."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    # Publishing the text that is written here.

    def begin(self, progress: TextInProgress) -> None:
        """Begin a message that is written here."""
        self._outgoing = progress
        self._published = 0
        self._has_listeners = None
        super().begin(progress)

    def touch(self) -> None:
        """Wake the readers, and publish the text that was written here."""
        super().touch()
        self._queue()

    def touch_text(self) -> None:
        """Wake the readers for more text, and publish it."""
        super().touch_text()
        self._queue()

    def _queue(self) -> None:
        if self._outgoing is not None and self._has_listeners is not False and not self.is_queued:
            self.is_queued = True
            self._observer.publish_text(self)

    def take_unpublished(self) -> tuple[TextInProgress, int] | None:
        """The text written here and the position to publish it from; None where there is nothing to publish."""
        self.is_queued = False
        progress = self._outgoing
        # Another one is in its place once its message was completed, or once a later owner publishes.
        if progress is None or progress is not self.progress or self._published == progress.position:
            return None
        start, self._published = self._published, progress.position
        return progress, max(start, 1)

    def note_listeners(self, progress: TextInProgress, count: int) -> None:
        """Take note of how many processes the first text of a message was delivered to.

        Where only this one listens, the rest is not published until another one asks for it.
        """
        if progress is self._outgoing and self._has_listeners is None:
            self._has_listeners = count > self.is_subscribed

    def publish_again(self) -> None:
        """Publish the text that is written here from its start."""
        self._has_listeners = True
        self._published = 0
        self._queue()

    # Following text that is written elsewhere.

    def add_rows(self, rows: Sequence[LogRow]) -> None:
        """Keep committed rows, and ignore text of messages that they end."""
        for row in rows:
            if row.resets and row.seq > self._reset_seq:
                self._reset_seq = row.seq
        super().add_rows(rows)

    def take_text(self, update: TextUpdate) -> None:
        """Add what is new in a text update of another process; ask for the whole text where a part is missing."""
        if update.base_seq < self._reset_seq:
            return
        progress = self.progress
        known = (progress.base_seq, progress.fence) if progress is not None else (-1, -1)
        order = (update.base_seq, update.fence)
        if order < known:
            return
        position = progress.position if progress is not None and order == known else 1
        if update.start > position:
            self._observer.ask_for_text(self)
            return
        if progress is None or order > known:
            progress = self.progress = TextInProgress(
                run_id=update.run_id, fence=update.fence, message_id=update.message_id, base_seq=update.base_seq
            )
        skip = position - update.start
        for kind, text in update.segments:
            if skip < len(text):
                progress.append(kind, text[skip:])
            skip = max(skip - len(text), 0)
        self.touch()
