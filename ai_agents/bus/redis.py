"""The bus of many processes: Redis wakes their readers and carries previews; it holds nothing that may not be lost.

    rows            are given to this process's channels at once, and published on the thread's channel
    text            is published in pieces by the process that writes it, and mirrored in a key for late readers
    cancel, sweep   are published on one channel that every process listens to; so is the end of a thread

While Redis is away nothing fails: channels of threads whose run is not executed here say that they are not `live`, and
their readers ask the log. Whatever could not be told is made good by asking everybody to look at the log afterwards.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ai_agents.bus import wire
from ai_agents.bus.base import Channel
from ai_agents.bus.mirror import MirroredChannel
from ai_agents.bus.sender import Sender
from ai_agents.bus.subscriber import Hearing, Subscriber
from ai_agents.core.ids import new_id
from ai_agents.core.types import LogRow

# Redis answers within a millisecond or two; a second without a byte is a fault, and nobody waits for longer.
_TIMEOUT_S = 1.5
# Most turns are over before their reader needs to hear from others; then nothing is asked of Redis for them.
_LISTEN_AFTER_S = 0.25
# A reader that comes again, or the next turn's, finds the channel still listened to.
_LINGER_S = 2.0
_OPENING_S = 2.0
_FINISHING_S = 1.0
_CANCEL_AGAIN_AFTER_S = 0.2
_LOADS_AT_ONCE = 20
_LOAD_EVERY_S = 0.02
_LOAD_AGAIN_AFTER_S = 0.25
_log = logging.getLogger(__name__)


class RedisBus:
    """Channels of this process, kept in step with those of others by way of Redis.

    `url` is `redis://`, `rediss://` or `unix://`, as redis-py reads it. Raises ValueError for another.
    """

    def __init__(self, url: str) -> None:
        self._client = Redis.from_url(
            url,
            protocol=2,  # everything here is the same in both; this one every server and proxy speaks
            decode_responses=False,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            health_check_interval=15,
            max_connections=8,
            retry=Retry(NoBackoff(), 1),
        )
        self._names = wire.Names(int(self._client.connection_pool.connection_kwargs.get("db") or 0))
        self._speaker = wire.Speaker(new_id())
        self._sender = Sender(self._client, self._names, self._speaker)
        hearing = Hearing(self._on_up, self._on_down, self._on_subscribed, self._on_message)
        self._subscriber = Subscriber(self._client, self._names.control, hearing)
        self._channels: dict[str, MirroredChannel] = {}
        # Threads whose channels are listened to.
        self._heard: set[str] = set()
        self._to_load: dict[str, MirroredChannel] = {}
        self._load_asked = asyncio.Event()
        self._listeners: list[Callable[[Sequence[LogRow]], None]] = []
        self._cancel_listeners: list[Callable[[str], None]] = []
        self._sweep_listeners: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_up(self) -> bool:
        """Whether Redis is connected."""
        return self._subscriber.is_up

    async def open(self) -> None:
        """Connect; where Redis does not answer a warning is logged, and it is tried again for as long as this lasts."""
        if self._tasks:
            return
        self._tasks = [
            asyncio.create_task(self._subscriber.run(), name="ai-agents-bus-subscriber"),
            asyncio.create_task(self._sender.run(), name="ai-agents-bus-sender"),
            asyncio.create_task(self._load_mirrors(), name="ai-agents-bus-loader"),
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPENING_S):
                await self._subscriber.tried.wait()

    async def close(self) -> None:
        """Send what has not been sent, for a second at most, and disconnect."""
        if self._tasks:
            await self._sender.finish(_FINISHING_S)
        self._sender.close()
        tasks, self._tasks = set(self._tasks), []
        while tasks:
            # A cancellation that comes while redis-py connects is at times lost in it.
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_AFTER_S)
        for channel in self._channels.values():
            self._stop_arranging(channel)
        self._channels.clear()
        with suppress(*wire.AWAY):
            await self._client.aclose()

    # Channels.

    def hold(self, thread_id: str) -> Channel:
        """The thread's channel, made if nobody has it."""
        channel = self._channels.get(thread_id)
        if channel is None:
            channel = self._channels[thread_id] = MirroredChannel(
                thread_id, self, self._speaker, connected=self._subscriber.is_up
            )
        channel.holders += 1
        return channel

    def release(self, channel: Channel) -> None:
        """The last to release it drops it, after a while where it is listened to."""
        channel.holders -= 1
        if channel.holders <= 0 and channel.thread_id not in self._heard:
            self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        held = self._channels.get(channel.thread_id)
        if held is channel:
            del self._channels[channel.thread_id]
            self._stop_arranging(held)

    # What channels tell.

    def feed(self, channel: MirroredChannel) -> None:
        """There is text to be told."""
        self._sender.feed(channel)

    def load(self, channel: MirroredChannel) -> None:
        """A part of the text is missing."""
        self._to_load[channel.thread_id] = channel
        self._load_asked.set()

    def arrange(self, channel: MirroredChannel) -> None:
        """Listen for readers, at once where the run is elsewhere; stop a while after the last has left.

        At once is after this turn of the event loop: a reader is there a moment before the run that it is there for.
        """
        heard = channel.thread_id in self._heard
        self._stop_arranging(channel)
        if bool(channel.readers) == heard:
            return
        wait_s = _LINGER_S if heard else _LISTEN_AFTER_S if channel.is_owned else 0.0
        channel.arranging = asyncio.get_running_loop().call_later(wait_s, self._arrange_now, channel)

    def _arrange_now(self, channel: MirroredChannel) -> None:
        channel.arranging = None
        thread_id = channel.thread_id
        if channel.readers:
            self._heard.add(thread_id)
            self._subscriber.want(self._names.channel(thread_id))
            return
        self._heard.discard(thread_id)
        self._subscriber.unwant(self._names.channel(thread_id))
        if channel.holders <= 0:
            self._drop(channel)

    @staticmethod
    def _stop_arranging(channel: MirroredChannel) -> None:
        if channel.arranging is not None:
            channel.arranging.cancel()
            channel.arranging = None

    # Telling.

    def publish(self, rows: Sequence[LogRow]) -> None:
        """Hand the rows to this process's channels and listeners, and tell the others."""
        by_thread: dict[str, list[LogRow]] = {}
        for row in rows:
            by_thread.setdefault(row.thread_id, []).append(row)
        for thread_id, its_rows in by_thread.items():
            channel = self._channels.get(thread_id)
            if channel is not None:
                channel.add_rows(its_rows)
            message = self._speaker.rows(its_rows)
            self._sender.publish(self._names.channel(thread_id), message)
            if any(row.type == "thread.deleted" for row in its_rows):
                self._sender.publish(self._names.control, message)
        for listener in self._listeners:
            listener(rows)

    def request_cancel(self, run_id: str) -> None:
        """Tell the listeners here at once, and those elsewhere."""
        for listener in self._cancel_listeners:
            listener(run_id)
        self._sender.publish(self._names.control, self._speaker.cancel(run_id))

    def request_sweep(self) -> None:
        """Tell the other processes to look for abandoned runs now."""
        self._sender.publish(self._names.control, self._speaker.sweep())

    # Listening.

    def listen(self, listener: Callable[[Sequence[LogRow]], None]) -> None:
        """Call the listener with the rows published here, those of threads that are read here, and the end of any
        thread.
        """
        self._listeners.append(listener)

    def listen_cancel(self, listener: Callable[[str], None]) -> None:
        """Call the listener with the id of each run to be cancelled, wherever that was asked for."""
        self._cancel_listeners.append(listener)

    def listen_sweep(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever another process asks for a look for abandoned runs."""
        self._sweep_listeners.append(listener)

    # What is heard.

    def _on_up(self) -> None:
        for channel in self._channels.values():
            channel.set_connected(True)

    def _on_down(self) -> None:
        for channel in self._channels.values():
            channel.set_connected(False)

    def _on_subscribed(self, name: bytes) -> None:
        """What happened before now is in the log, and in the mirror where it is written elsewhere."""
        channel = self._channels.get(self._names.thread_id(name))
        if channel is not None:
            channel.miss()
            if not channel.is_owned:
                self.load(channel)

    def _on_message(self, name: bytes, message: bytes) -> None:
        if message.startswith(self._speaker.mark):
            return
        channel = None if name == self._names.control else self._channels.get(self._names.thread_id(name))
        try:
            fields = wire.read(message)
            if channel is not None and "text" in fields:
                channel.take_text(wire.read_text(fields))
            elif "rows" in fields:
                self._take_rows(wire.read_rows(fields), is_control=name == self._names.control)
            elif name == self._names.control:
                self._take_control(fields)
        except ValueError:
            _log.warning("a message that is not understood", extra={"channel": name.decode(errors="replace")})
            if channel is not None:
                channel.miss()

    def _take_rows(self, rows: Sequence[LogRow], *, is_control: bool) -> None:
        channel = self._channels.get(rows[0].thread_id) if rows else None
        if channel is not None:
            channel.add_rows(rows)
        # The end of a thread comes on both channels, to be heard by everybody; it is told to listeners once.
        told = [row for row in rows if (row.type == "thread.deleted") == is_control]
        if told:
            for listener in self._listeners:
                listener(told)

    def _take_control(self, fields: dict[str, Any]) -> None:
        if "cancel" in fields:
            for cancel in self._cancel_listeners:
                cancel(str(fields["cancel"]))
        elif "sweep" in fields:
            for sweep in self._sweep_listeners:
                sweep()
        elif "look" in fields:
            for channel in self._channels.values():
                channel.miss()

    async def _load_mirrors(self) -> None:
        """Read the mirrors of texts of which a part is missing here, until cancelled."""
        while True:
            await self._load_asked.wait()
            self._load_asked.clear()
            while self._to_load:
                keys = list(self._to_load)[:_LOADS_AT_ONCE]
                channels = [self._to_load.pop(key) for key in keys]
                try:
                    await self._load(channels)
                except wire.AWAY:
                    # Where the connection for hearing is gone too, everything is loaded once it stands again.
                    if self._subscriber.is_up:
                        self._to_load.update((channel.thread_id, channel) for channel in channels if channel.readers)
                    await asyncio.sleep(_LOAD_AGAIN_AFTER_S)
                except Exception:  # noqa: BLE001  # the edge of a task that must not end while the process lives
                    _log.exception("reading the text in progress failed")
            # A part that stays missing is asked for again with every piece that comes.
            await asyncio.sleep(_LOAD_EVERY_S)

    async def _load(self, channels: Sequence[MirroredChannel]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for channel in channels:
            pipeline.lrange(self._names.mirror(channel.thread_id), 1, -1)
        for channel, messages in zip(channels, await pipeline.execute(), strict=True):
            try:
                channel.take_mirror([wire.read_text(wire.read(message)) for message in messages])
            except ValueError:
                _log.warning("a text that is not understood", extra={"thread_id": channel.thread_id})
