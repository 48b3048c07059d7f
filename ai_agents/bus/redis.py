"""The bus of many processes. Redis wakes their readers and carries previews; nothing is stored in it.

    rows            go to this process's channels at once, and are published on the thread's channel
    text            is published in updates by the process that writes it
    requests        go to one channel that every process listens to: to cancel a run, to look for abandoned runs, to
                    publish a text again, to look at the log; so does the end of a thread

A reader that comes late asks for the text so far; the process that writes it answers with an update from its start.
While Redis is away nothing fails: channels of threads whose run is executed elsewhere are not `live`, and their readers
poll the log. A process that could not publish something asks all others to look at the log afterwards.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ai_agents.bus import messages
from ai_agents.bus.base import Channel
from ai_agents.bus.messages import MessageWriter
from ai_agents.bus.publisher import UNAVAILABLE, Publisher
from ai_agents.bus.shared_channel import SharedChannel
from ai_agents.bus.subscriber import Subscriber
from ai_agents.core.ids import new_id
from ai_agents.core.types import LogRow

# Redis answers within a millisecond or two; more than a second without a byte is a fault.
_TIMEOUT_S = 1.5
# Most turns end before their reader needs to hear other processes; no subscription is made for them.
_SUBSCRIBE_AFTER_S = 0.25
# A reader that comes back, or reads the next turn, finds the channel still subscribed.
_UNSUBSCRIBE_AFTER_S = 2.0
_OPENING_S = 2.0
_FINISHING_S = 1.0
_CANCEL_AGAIN_AFTER_S = 0.2
# While one request for a text is under way, further updates do not make another one.
_ASK_AGAIN_AFTER_S = 0.25
_log = logging.getLogger(__name__)


class RedisBus:
    """Channels of this process, kept in step with those of other processes through Redis.

    `url` is `redis://`, `rediss://` or `unix://`, as redis-py reads it. Raises ValueError for another.
    """

    def __init__(self, url: str) -> None:
        self._client = _client(url, Retry(NoBackoff(), 1))
        # One that never connects again by itself.
        self._listening_client = _client(url, Retry(NoBackoff(), 0, supported_errors=()))
        # The channels of Redis are common to its databases, so their names carry the number of this one.
        database = int(self._client.connection_pool.connection_kwargs.get("db") or 0)
        self._control = b"aia:%d:control" % database
        self._thread_prefix = b"aia:%d:thread:" % database
        self._messages = MessageWriter(new_id())
        self._publisher = Publisher(self._client, self._messages, control=self._control)
        self._subscriber = Subscriber(self._listening_client, self, control=self._control)
        self._channels: dict[str, SharedChannel] = {}
        self._listeners: list[Callable[[Sequence[LogRow]], None]] = []
        self._cancel_listeners: list[Callable[[str], None]] = []
        self._sweep_listeners: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_connected(self) -> bool:
        """Whether Redis is connected."""
        return self._subscriber.is_connected

    async def open(self) -> None:
        """Connect. Where Redis does not answer, a warning is logged and it is tried again until `close`."""
        if self._tasks:
            return
        self._tasks = [
            asyncio.create_task(self._subscriber.run(), name="ai-agents-bus-subscriber"),
            asyncio.create_task(self._publisher.run(), name="ai-agents-bus-publisher"),
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPENING_S):
                await self._subscriber.tried.wait()

    async def close(self) -> None:
        """Publish what is left, for a second at most, and disconnect."""
        if self._tasks:
            await self._publisher.finish(_FINISHING_S)
        self._publisher.close()
        tasks, self._tasks = set(self._tasks), []
        while tasks:
            # redis-py at times loses a cancellation that comes while it connects.
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_AFTER_S)
        for channel in self._channels.values():
            _stop_timer(channel)
        self._channels.clear()
        for client in (self._client, self._listening_client):
            with suppress(*UNAVAILABLE):
                await client.aclose()

    # Channels.

    def hold(self, thread_id: str) -> Channel:
        """The thread's channel, made if there is none."""
        channel = self._channels.get(thread_id)
        if channel is None:
            channel = SharedChannel(thread_id, self, connected=self._subscriber.is_connected)
            self._channels[thread_id] = channel
        channel.holders += 1
        return channel

    def release(self, channel: Channel) -> None:
        """Give a hold back. A channel without holders is dropped, after a while where it is subscribed."""
        channel.holders -= 1
        held = self._channels.get(channel.thread_id)
        if held is channel and not held.is_wanted:
            self._drop_unheld(held)

    def _drop_unheld(self, channel: SharedChannel) -> None:
        if channel.holders <= 0:
            del self._channels[channel.thread_id]
            _stop_timer(channel)

    def publish_text(self, channel: SharedChannel) -> None:
        """Publish the channel's text with the next batch."""
        self._publisher.publish_text(self._name(channel.thread_id), channel)

    def ask_for_text(self, channel: SharedChannel) -> None:
        """Ask for the channel's whole text, unless that was done a moment ago."""
        now = asyncio.get_running_loop().time()
        if now >= channel.ask_again_at:
            channel.ask_again_at = now + _ASK_AGAIN_AFTER_S
            self._publisher.ask_for_text(channel.thread_id)

    def update_subscription(self, channel: SharedChannel) -> None:
        """Subscribe for readers, at once where the run is elsewhere; unsubscribe a while after the last has left.

        At once means after this turn of the event loop: a reader attaches a moment before the run begins here.
        """
        _stop_timer(channel)
        if bool(channel.readers) == channel.is_wanted:
            return
        wait_s = _UNSUBSCRIBE_AFTER_S if channel.is_wanted else _SUBSCRIBE_AFTER_S if channel.is_owned else 0.0
        loop = asyncio.get_running_loop()
        channel.subscription_timer = loop.call_later(wait_s, self._update_subscription_now, channel)

    def _update_subscription_now(self, channel: SharedChannel) -> None:
        channel.subscription_timer = None
        channel.is_wanted = bool(channel.readers)
        if channel.is_wanted:
            self._subscriber.subscribe(self._name(channel.thread_id))
        else:
            channel.is_subscribed = False
            self._subscriber.unsubscribe(self._name(channel.thread_id))
            self._drop_unheld(channel)

    def _name(self, thread_id: str) -> bytes:
        return self._thread_prefix + thread_id.encode()

    # Publishing.

    def publish(self, rows: Sequence[LogRow]) -> None:
        """Give committed rows to the channels and listeners of this process, and publish them to the others."""
        by_thread: dict[str, list[LogRow]] = {}
        for row in rows:
            by_thread.setdefault(row.thread_id, []).append(row)
        for thread_id, its_rows in by_thread.items():
            channel = self._channels.get(thread_id)
            if channel is not None:
                channel.add_rows(its_rows)
            message = self._messages.rows(its_rows)
            self._publisher.publish(self._name(thread_id), message)
            if any(row.type == "thread.deleted" for row in its_rows):
                self._publisher.publish(self._control, message)
        for listener in self._listeners:
            listener(rows)

    def request_cancel(self, run_id: str) -> None:
        """Tell the owner of the run, which may be any process, to look at its cancel flag now."""
        for listener in self._cancel_listeners:
            listener(run_id)
        self._publisher.publish(self._control, self._messages.cancel(run_id))

    def request_sweep(self) -> None:
        """Ask the other processes to look for abandoned runs now."""
        self._publisher.publish(self._control, self._messages.sweep())

    # Listening.

    def listen(self, listener: Callable[[Sequence[LogRow]], None]) -> None:
        """Call the listener with the rows published here, those of threads that are read here, and the end of any
        thread.
        """
        self._listeners.append(listener)

    def listen_cancel(self, listener: Callable[[str], None]) -> None:
        """Call the listener with the id of each run that any process asks to cancel."""
        self._cancel_listeners.append(listener)

    def listen_sweep(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever another process asks to look for abandoned runs."""
        self._sweep_listeners.append(listener)

    def on_connected(self) -> None:
        """Redis is connected, for the first time or again."""
        for channel in self._channels.values():
            channel.set_connected(True)

    def on_disconnected(self) -> None:
        """The connection to Redis is lost."""
        for channel in self._channels.values():
            channel.set_connected(False)

    def on_subscribed(self, name: bytes) -> None:
        """From now on the channel is heard; its readers catch up with what happened before."""
        channel = self._find_channel(name)
        if channel is not None:
            channel.is_subscribed = channel.is_wanted
            channel.ask_again_at = 0.0
            self._catch_up(channel)

    def on_message(self, name: bytes, message: bytes) -> None:
        """A message of this process or another one."""
        if message.startswith(self._messages.mark):
            return
        channel = self._find_channel(name)
        try:
            fields = messages.read(message)
            if channel is not None and "text" in fields:
                channel.take_text(messages.read_text(fields))
            elif "rows" in fields:
                self._take_rows(messages.read_rows(fields), is_control=name == self._control)
            elif name == self._control:
                self._take_request(fields)
        except ValueError:
            _log.warning("a message that is not understood", extra={"channel": name.decode(errors="replace")})
            if channel is not None:
                channel.miss()

    def _find_channel(self, name: bytes) -> SharedChannel | None:
        return self._channels.get(name.removeprefix(self._thread_prefix).decode())

    def _take_rows(self, rows: Sequence[LogRow], *, is_control: bool) -> None:
        channel = self._channels.get(rows[0].thread_id) if rows else None
        if channel is not None:
            channel.add_rows(rows)
        # The end of a thread comes on both channels, so that every process hears it; listeners get it once.
        heard = [row for row in rows if (row.type == "thread.deleted") == is_control]
        if heard:
            for listener in self._listeners:
                listener(heard)

    def _take_request(self, fields: dict[str, Any]) -> None:
        if "cancel" in fields:
            for cancel in self._cancel_listeners:
                cancel(str(fields["cancel"]))
        elif "sweep" in fields:
            for sweep in self._sweep_listeners:
                sweep()
        elif "ask" in fields:
            for thread_id in fields["ask"]:
                channel = self._channels.get(thread_id)
                if channel is not None:
                    channel.publish_again()
        elif "look" in fields:
            for channel in self._channels.values():
                self._catch_up(channel)

    def _catch_up(self, channel: SharedChannel) -> None:
        """Have readers look at the log, and ask for the text."""
        channel.miss()
        if channel.readers and not channel.is_owned:
            self.ask_for_text(channel)


def _client(url: str, retry: Retry) -> Redis:
    return Redis.from_url(
        url,
        protocol=2,  # what is used here is the same in both protocols, and every server and proxy speaks this one
        decode_responses=False,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        max_connections=8,
        retry=retry,
    )


def _stop_timer(channel: SharedChannel) -> None:
    if channel.subscription_timer is not None:
        channel.subscription_timer.cancel()
        channel.subscription_timer = None
