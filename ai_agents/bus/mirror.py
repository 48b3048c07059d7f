"""The text in progress, told to other processes by the one that writes it and followed by those that read it.

Both sides speak of positions, so that whatever is told twice, late or not at all is noticed: a piece that overlaps what
is known is cut, one that begins beyond it makes the follower load the mirror, one of an older message is ignored.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ai_agents.bus.base import Channel
from ai_agents.bus.progress import TextInProgress
from ai_agents.bus.wire import News, Speaker, tag, text_message
from ai_agents.core.types import LogRow

# A mirror of more pieces than this is written anew as one, so that whoever loads it reads few.
_MOST_PIECES = 256
# Pieces that wait for the mirror to be loaded; with more, the mirror is loaded again.
_MOST_WAITING = 64


class Written:
    """A message that this process writes, and how much of it the others have been told.

    Each time that it is told from its beginning has a number of its own: a command that Redis carries out long after it
    was given up must not write over a later one's mirror.
    """

    __slots__ = ("_head", "_mirrored", "_times", "_told", "progress", "tag")

    def __init__(self, speaker: Speaker, progress: TextInProgress) -> None:
        self.progress = progress
        self._head = speaker.text_head(progress)
        self._told = 0
        self._mirrored = 0
        self._times = 0
        self.tag = tag(progress, self._times)

    @property
    def was_told(self) -> bool:
        """Whether others know of it."""
        return self._times > 0

    def forget_told(self) -> None:
        """Nobody can be relied on to know anything of it: it has to be told from its beginning."""
        self._told = 0

    def next_operation(self, key: bytes, channel: bytes) -> tuple[bytes, ...]:
        """What to send to tell the rest (see `script.py`); empty where all was told."""
        start, self._told = self._told, self.progress.position
        if start == self._told:
            return ()
        if start == 0:
            return self._begin(key, channel, b"")
        piece = text_message(self._head, self.progress, start)
        if self._mirrored >= _MOST_PIECES:
            return self._begin(key, channel, piece)
        self._mirrored += 1
        return b"piece", key, channel, self.tag, piece

    def _begin(self, key: bytes, channel: bytes, piece: bytes) -> tuple[bytes, ...]:
        self._times += 1
        self._mirrored = 1
        self.tag = tag(self.progress, self._times)
        return b"begin", key, channel, self.tag, text_message(self._head, self.progress, 1), piece


class Keeper(Protocol):
    """What a channel tells its bus."""

    def feed(self, channel: "MirroredChannel") -> None:
        """There is text to be told."""
        ...

    def arrange(self, channel: "MirroredChannel") -> None:
        """Its readers, or the runs executed here, have changed."""
        ...

    def load(self, channel: "MirroredChannel") -> None:
        """A part of the text is missing."""
        ...


class MirroredChannel(Channel):
    """A thread's channel that other processes have one of, too.

    While a run of the thread is executed here, what this process knows of its text is the truth, and `live` does not
    depend on Redis.
    """

    __slots__ = (
        "_connected",
        "_keeper",
        "_owners",
        "_reset_seq",
        "_speaker",
        "_waiting",
        "arranging",
        "over",
        "to_keep",
        "to_tell",
        "written",
    )

    def __init__(self, thread_id: str, keeper: Keeper, speaker: Speaker, *, connected: bool) -> None:
        super().__init__(thread_id)
        self.live = connected
        self.written: Written | None = None
        # The tag of the message whose mirror is of no use any more.
        self.over: bytes | None = None
        self.to_tell = self.to_keep = False
        # The bus's timer for what it has to do about this channel.
        self.arranging: asyncio.TimerHandle | None = None
        self._connected = connected
        self._keeper = keeper
        self._speaker = speaker
        self._owners = 0
        self._reset_seq = 0
        self._waiting: deque[News] = deque()

    # Who is there.

    @property
    def is_owned(self) -> bool:
        """Whether a run of the thread is executed in this process."""
        return self._owners > 0

    def own(self) -> None:
        """A run begins here."""
        self._owners += 1
        self.live = True
        self._keeper.arrange(self)

    def disown(self) -> None:
        """A run ends here, or goes on elsewhere."""
        self._owners -= 1
        if not self._owners:
            self._end_written()
            self.set_connected(self._connected)
            self._keeper.arrange(self)

    def set_connected(self, connected: bool) -> None:
        """Whether what others publish arrives here."""
        self._connected = connected
        live = connected or self.is_owned
        if live != self.live:
            self.live = live
            self.touch()

    def attach(self, waker: Callable[[], None]) -> None:
        """A reader comes; the first one makes the process listen to what others publish."""
        super().attach(waker)
        if len(self._wakers) == 1:
            self._keeper.arrange(self)

    def detach(self, waker: Callable[[], None]) -> None:
        """A reader leaves."""
        super().detach(waker)
        if not self._wakers:
            self._keeper.arrange(self)

    # Writing here.

    def begin(self, progress: TextInProgress) -> None:
        """A message begins here."""
        self._end_written()
        self.written = Written(self._speaker, progress)
        super().begin(progress)

    def touch(self) -> None:
        """There is more to read, and to tell where it was written here."""
        super().touch()
        self._feed()

    def touch_text(self) -> None:
        """More text."""
        super().touch_text()
        self._feed()

    def _feed(self) -> None:
        if self.written is not None and not self.to_tell:
            self.to_tell = True
            self._keeper.feed(self)

    def add_rows(self, rows: Sequence[LogRow]) -> None:
        """Take note of rows; a message that they complete or void is told no further."""
        for row in rows:
            if row.resets and row.seq > self._reset_seq:
                self._reset_seq = row.seq
        super().add_rows(rows)
        if self.written is not None and self.written.progress is not self.progress:
            self._end_written()

    def _end_written(self) -> None:
        written, self.written = self.written, None
        if written is not None and written.was_told:
            self.over = written.tag
            if not self.to_tell:
                self.to_tell = True
                self._keeper.feed(self)

    # Following what is written elsewhere.

    def take_text(self, news: News) -> None:
        """A stretch of text that another process wrote."""
        if not self._append(news):
            if len(self._waiting) < _MOST_WAITING:
                self._waiting.append(news)
            self._keeper.load(self)

    def take_mirror(self, whole: Sequence[News]) -> None:
        """The text so far, as the mirror has it; empty where there is none."""
        for news in whole:
            self._append(news)
        waiting, self._waiting = self._waiting, deque()
        for news in waiting:
            self.take_text(news)

    def _append(self, news: News) -> bool:
        """Add what is new of it; False where something before it is missing."""
        progress = self.progress
        if news.base_seq < self._reset_seq:
            return True
        order = (news.base_seq, news.fence)
        if progress is None or order > (progress.base_seq, progress.fence):
            if news.start > 1:
                return False
            self._end_written()
            progress = self.progress = TextInProgress(
                run_id=news.run_id, fence=news.fence, message_id=news.message_id, base_seq=news.base_seq
            )
        elif order != (progress.base_seq, progress.fence):
            return True
        skip = progress.position - news.start
        if skip < 0:
            return False
        for kind, text in news.pieces:
            if skip < len(text):
                progress.append(kind, text[skip:])
            skip = max(skip - len(text), 0)
        self.touch()
        return True
