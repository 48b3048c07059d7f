"""Tells other processes what happens here, in batches: one command for everything that has come up since the last."""

import asyncio
import logging
from collections import deque
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from ai_agents.bus.mirror import MirroredChannel
from ai_agents.bus.script import SCRIPT
from ai_agents.bus.wire import AWAY, Names, Speaker

# How long a batch is waited for at least, from the one before: rows wake people, text is read by them.
_ROWS_EVERY_S = 0.005
_TEXT_EVERY_S = 0.02
# With many channels at once text waits longer, so that a process spends a few hundredths of its time here at most.
_PER_CHANNEL_S = 0.0005
_TEXT_AT_MOST_EVERY_S = 0.1
# How often each mirror is looked at while its message is being written.
_KEEP_EVERY_S = 1.0
# Redis does nothing else while it works on a batch: this much takes it a few milliseconds.
_BATCH_OPERATIONS = 500
_BATCH_BYTES = 512 * 1024
# Beyond this many messages that could not be told yet, everybody is asked to look at their logs instead.
_MOST_QUEUED = 5000
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_log = logging.getLogger(__name__)


class Sender:
    """Publishes messages and mirrors text. Whoever hands something over is never made to wait, and never fails."""

    def __init__(self, client: Redis, names: Names, speaker: Speaker) -> None:
        self._client = client
        self._names = names
        self._speaker = speaker
        self._sha: str | None = None
        self._queue: deque[tuple[bytes, bytes]] = deque()
        self._to_tell: dict[bytes, MirroredChannel] = {}
        self._writers: dict[bytes, MirroredChannel] = {}
        self._missing: set[bytes] = set()
        # Something could not be told: the next batch asks everybody to look.
        self._lost = False
        # Until that batch nothing needs to be queued.
        self._dropping = False
        self._failing = False
        self._due = asyncio.Event()
        self._idle = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        # uvloop gives a handle that does not know its time where that has come already.
        self._timer_at = 0.0
        self._keeping: asyncio.TimerHandle | None = None
        self._last = 0.0
        self._text_every_s = _TEXT_EVERY_S

    def publish(self, channel: bytes, message: bytes) -> None:
        """Tell a message; while Redis is away it is dropped, and everybody looks at their logs afterwards."""
        if self._dropping:
            return
        if len(self._queue) >= _MOST_QUEUED:
            self._queue.clear()
            self._lost = True
        self._queue.append((channel, message))
        self._schedule(_ROWS_EVERY_S)

    def feed(self, channel: MirroredChannel) -> None:
        """Tell what is new of the text that is written on this channel."""
        self._to_tell[self._names.mirror(channel.thread_id)] = channel
        self._schedule(self._text_every_s)

    async def run(self) -> None:
        """Send until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._due.wait()
            self._due.clear()
            self._last = asyncio.get_running_loop().time()
            try:
                await self._send_batch()
            except AWAY as error:
                self._fail(error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            except Exception:  # noqa: BLE001  # the edge of a task that must not end while the process lives
                _log.exception("telling other processes failed")
                self._fail(None)
                await asyncio.sleep(_LONGEST_PAUSE_S)
            else:
                pause_s = _FIRST_PAUSE_S
                if self._failing:
                    self._failing = False
                    _log.info("Redis answers again")

    async def finish(self, longest_s: float) -> None:
        """Return when everything that was handed over has been sent, or cannot be."""
        self._due.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                while (self._queue or self._to_tell) and not self._failing:
                    self._idle.clear()
                    await self._idle.wait()

    def close(self) -> None:
        """Stop the timers."""
        for timer in (self._timer, self._keeping):
            if timer is not None:
                timer.cancel()

    # When to send.

    def _schedule(self, every_s: float) -> None:
        loop = asyncio.get_running_loop()
        when = max(loop.time(), self._last + every_s)
        if self._timer is not None:
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._due.set()

    def _keep(self) -> None:
        """Look once a second whether the mirrors are still there."""
        self._keeping = None
        for key, channel in self._writers.items():
            if key in self._missing and channel.written is not None:
                channel.written.forget_told()
            channel.to_keep = True
            self.feed(channel)
        self._missing.clear()
        if self._writers:
            self._keep_later()

    def _keep_later(self) -> None:
        if self._keeping is None:
            self._keeping = asyncio.get_running_loop().call_later(_KEEP_EVERY_S, self._keep)

    # What to send.

    async def _send_batch(self) -> None:
        arguments: list[bytes] = []
        if self._lost:
            arguments += (b"publish", self._names.control, self._speaker.look())
            # What happens from here on happens after everybody looked, and has to be told.
            self._lost = self._dropping = False
        self._take_messages(arguments)
        self._take_text(arguments)
        if arguments:
            self._missing.update(await self._call(arguments))
        if self._queue or self._to_tell:
            self._due.set()
        else:
            self._idle.set()

    def _take_messages(self, arguments: list[bytes]) -> None:
        count = size = 0
        while self._queue and count < _BATCH_OPERATIONS and size < _BATCH_BYTES:
            channel, message = self._queue.popleft()
            arguments += (b"publish", channel, message)
            count += 1
            size += len(message)

    def _take_text(self, arguments: list[bytes]) -> None:
        count = size = 0
        while self._to_tell and count < _BATCH_OPERATIONS and size < _BATCH_BYTES:
            key = next(iter(self._to_tell))
            channel = self._to_tell.pop(key)
            for operation in self._operations(key, channel):
                arguments += operation
                size += len(operation[-1])
            count += 1
        self._text_every_s = min(max(_TEXT_EVERY_S, count * _PER_CHANNEL_S), _TEXT_AT_MOST_EVERY_S)

    def _operations(self, key: bytes, channel: MirroredChannel) -> list[tuple[bytes, ...]]:
        written, over, keep = channel.written, channel.over, channel.to_keep
        channel.to_tell = channel.to_keep = False
        channel.over = None
        if written is None:
            self._writers.pop(key, None)
            return [(b"end", key, over)] if over is not None else []
        if self._writers.get(key) is not channel:
            self._writers[key] = channel
            self._keep_later()
        told = written.next_operation(key, self._names.channel(channel.thread_id))
        operations = [told] if told else []
        if keep:
            operations.append((b"keep", key, written.tag))
        return operations

    async def _call(self, arguments: list[bytes]) -> list[bytes]:
        """Run the script; the keys of the mirrors that are missing."""
        if self._sha is not None:
            with suppress(NoScriptError):
                return await self._evaluate(self._sha, arguments)
        self._sha = str(await self._client.script_load(SCRIPT))
        return await self._evaluate(self._sha, arguments)

    async def _evaluate(self, sha: str, arguments: list[bytes]) -> list[bytes]:
        call = self._client.execute_command("EVALSHA", sha, 0, *arguments)  # type: ignore[no-untyped-call]  # redis-py's gap
        return list(await call)

    # When it fails.

    def _fail(self, error: Exception | None) -> None:
        if not self._failing:
            _log.warning("Redis does not answer; other processes see what happens here later", exc_info=error)
        self._failing = self._lost = self._dropping = True
        self._queue.clear()
        self._to_tell.update(self._writers)
        for channel in self._writers.values():
            if channel.written is not None:
                channel.written.forget_told()
        self._due.set()
        self._idle.set()
