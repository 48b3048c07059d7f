"""Publishes to other processes in batches: one command for everything that has come up since the last one."""

import asyncio
import logging
from collections import deque
from contextlib import suppress

from redis.asyncio import Redis

from ai_agents.bus.base import TextInProgress
from ai_agents.bus.failures import why_not_used
from ai_agents.bus.shared_channel import MessageWriter, SharedChannel

# The shortest time between two batches. Rows wake readers; text is read by people.
_ROWS_EVERY_S = 0.005
_TEXT_EVERY_S = 0.02
# With many channels at once text waits longer, so that a process spends at most a few hundredths of its time here.
_PER_CHANNEL_S = 0.0005
_TEXT_AT_MOST_EVERY_S = 0.1
# Redis serves no other client while it works on a batch of this size, which takes it a few milliseconds.
_BATCH_MESSAGES = 500
_BATCH_BYTES = 512 * 1024
# With more messages than this waiting, all processes are asked to look at their logs instead.
_MAX_QUEUED = 5000
_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 2.0
# One command and one answer for a batch cost the client a quarter of what a pipeline of PUBLISH commands costs.
_PUBLISH_ALL = """
local listeners = {}
for i = 1, #ARGV, 2 do listeners[#listeners + 1] = redis.call('PUBLISH', ARGV[i], ARGV[i + 1]) end
return listeners
"""
_log = logging.getLogger(__name__)


class Publisher:
    """Publishes rows, text and requests. Its callers never wait, and none of its errors reaches them."""

    def __init__(self, client: Redis, writer: MessageWriter, *, url: str, control: bytes) -> None:
        self._url = url
        self._publish_all = client.register_script(_PUBLISH_ALL)
        self._writer = writer
        self._control = control
        self._queue: deque[tuple[bytes, bytes]] = deque()
        self._texts: dict[bytes, SharedChannel] = {}
        self._asks: set[str] = set()
        # Something could not be published. The next batch asks all processes to look at their logs; that covers all
        # messages up to then.
        self._lost = False
        self._failing = False
        self._due = asyncio.Event()
        self._idle = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        # Kept here, since a timer of uvloop does not know its time once that has come.
        self._timer_at = 0.0
        self._last_batch_at = 0.0
        self._text_every_s = _TEXT_EVERY_S

    def publish(self, channel: bytes, message: bytes) -> None:
        """Publish a message. While Redis is away it is dropped, and all processes look at their logs afterwards."""
        if self._lost:
            return
        self._queue.append((channel, message))
        if len(self._queue) > _MAX_QUEUED:
            self._queue.clear()
            self._lost = True
        self._schedule(_ROWS_EVERY_S)

    def publish_text(self, name: bytes, channel: SharedChannel) -> None:
        """Publish the new text of a channel, whose name in Redis is `name`."""
        self._texts[name] = channel
        self._schedule(self._text_every_s)

    def ask_for_text(self, thread_id: str) -> None:
        """Ask the process that writes text in this thread to publish it from its start."""
        self._asks.add(thread_id)
        self._schedule(_ROWS_EVERY_S)

    async def run(self) -> None:
        """Publish until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._due.wait()
            self._due.clear()
            self._last_batch_at = asyncio.get_running_loop().time()
            try:
                await self._publish_batch()
            except Exception as error:  # noqa: BLE001  # the edge of a task that must not end while the process lives
                self._fail(error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _MAX_PAUSE_S)
            else:
                pause_s = _FIRST_PAUSE_S
                if self._failing:
                    self._failing = False
                    _log.info("publishing works again")

    async def finish(self, timeout_s: float) -> None:
        """Return when everything is published, or cannot be."""
        self._due.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while (self._queue or self._texts) and not self._failing:
                    self._idle.clear()
                    await self._idle.wait()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self, every_s: float) -> None:
        loop = asyncio.get_running_loop()
        when = max(loop.time(), self._last_batch_at + every_s)
        if self._timer is not None:
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._due.set()

    async def _publish_batch(self) -> None:
        arguments: list[bytes] = []
        if self._lost:
            arguments += (self._control, self._writer.write(look=True))
            self._lost = False
        asks, self._asks = self._asks, set()
        if asks:
            arguments += (self._control, self._writer.write(ask=tuple(asks)))
        self._take_queued(arguments)
        first_text = len(arguments) // 2
        texts = self._take_texts(arguments)
        if arguments:
            try:
                listeners: list[int] = await self._publish_all(args=arguments)
            except BaseException:
                self._asks |= asks
                raise
            for (channel, progress), count in zip(texts, listeners[first_text:], strict=True):
                channel.note_listeners(progress, count)
        if self._queue or self._texts:
            self._due.set()
        else:
            self._idle.set()

    def _take_queued(self, arguments: list[bytes]) -> None:
        count = size = 0
        while self._queue and count < _BATCH_MESSAGES and size < _BATCH_BYTES:
            channel, message = self._queue.popleft()
            arguments += (channel, message)
            count += 1
            size += len(message)

    def _take_texts(self, arguments: list[bytes]) -> list[tuple[SharedChannel, TextInProgress]]:
        """Add text to the batch; the channels and the messages that it comes from."""
        texts: list[tuple[SharedChannel, TextInProgress]] = []
        size = 0
        while self._texts and len(texts) < _BATCH_MESSAGES and size < _BATCH_BYTES:
            name = next(iter(self._texts))
            channel = self._texts.pop(name)
            unpublished = channel.take_unpublished()
            if unpublished is not None:
                message = self._writer.write_text(*unpublished)
                arguments += (name, message)
                texts.append((channel, unpublished[0]))
                size += len(message)
        self._text_every_s = min(max(_TEXT_EVERY_S, len(texts) * _PER_CHANNEL_S), _TEXT_AT_MOST_EVERY_S)
        return texts

    def _fail(self, error: Exception) -> None:
        if not self._failing:
            reason = why_not_used(error, self._url)
            _log.warning(
                "publishing failed; other processes see later what happens here",
                extra={"reason": reason},
                exc_info=error if reason is None else None,
            )
        self._failing = self._lost = True
        self._queue.clear()
        self._due.set()
        self._idle.set()
