"""The bus of many processes. Redis wakes their readers and carries previews; nothing is stored in it.

    rows            are published on the channel of their thread
    text            is published there too, in updates, by the process that writes it
    requests        are published on one channel that all processes hear: to cancel a run, to look for abandoned runs,
                    to publish a text again, to look at the log; so are the end of a thread, and what was taken away

A process whose readers come late asks for the text so far, and the process that writes it publishes it from its start.
While Redis is away nothing fails: channels of threads whose run is executed elsewhere are not `live`, and their readers
poll the log. A process that could not publish something asks all others to look at the log afterwards.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ai_agents.bus.addresses import close_client, parse_address
from ai_agents.bus.base import Bus, Channel
from ai_agents.bus.failures import find_wrong_kind, why_not_used
from ai_agents.bus.publisher import Publisher
from ai_agents.bus.shared_channel import MessageWriter, SharedChannel, read_message
from ai_agents.core.exceptions import InvalidRequest
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
# A connection that is silent for this long is sent a ping, and is closed after as long again without an answer.
_SILENCE_S = 1.0
_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 2.0
# Readers of changes gather them for longer than that.
_CHANGES_EVERY_S = 0.25
_CHANGES_AT_ONCE = 1000
_log = logging.getLogger(__name__)


class Subscriber:
    """Hears the channels that are wanted, and always `control`, over one connection to Redis.

    `client` must not connect again by itself: what was published meanwhile would be missed without notice.
    """

    def __init__(self, client: Redis, bus: "RedisBus", *, url: str, control: bytes) -> None:
        self._client = client
        self._url = url
        self._bus = bus
        self._control = control
        self._wanted: set[bytes] = {control}
        self._changed = asyncio.Event()
        self.is_connected = False
        # Set once it is known whether Redis answers.
        self.tried = asyncio.Event()

    def subscribe(self, channel: bytes) -> None:
        """Hear a channel, from `on_subscribed` on."""
        self._wanted.add(channel)
        self._changed.set()

    def unsubscribe(self, channel: bytes) -> None:
        """Stop hearing it."""
        self._wanted.discard(channel)
        self._changed.set()

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is made again."""
        pause_s = _FIRST_PAUSE_S
        warned = False
        while True:
            error = await self._listen()
            if self.is_connected:
                self.is_connected = False
                pause_s, warned = _FIRST_PAUSE_S, False
                self._bus.on_connection(connected=False)
            if not warned:
                warned = True
                reason = why_not_used(error, self._url)
                _log.warning(
                    "not connected to Redis; streams of other processes' runs are slower",
                    extra={"reason": reason},
                    exc_info=error if reason is None else None,
                )
            self.tried.set()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _MAX_PAUSE_S)

    async def _listen(self) -> Exception:
        """Listen on one connection until it breaks; the error that broke it."""
        pubsub = self._client.pubsub()
        self._changed.set()
        updating: asyncio.Task[NoReturn] | None = None
        try:
            # The control channel first: with its confirmation the connection counts as made.
            await pubsub.subscribe(self._control)
            updating = asyncio.create_task(self._update_subscriptions(pubsub), name="ai-agents-subscriptions")
            await self._hear(pubsub, updating)
            await updating
        except Exception as error:  # noqa: BLE001  # the edge of a task that must not end while the process lives
            return error
        finally:
            if updating is not None:
                updating.cancel()
                # It must not find the connection gone.
                await asyncio.gather(updating, return_exceptions=True)
            await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py's gap

    async def _update_subscriptions(self, pubsub: PubSub) -> NoReturn:
        """Tell Redis which channels to send, whenever that changes."""
        subscribed = {self._control}
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = set(self._wanted)
            if new := wanted - subscribed:
                await pubsub.subscribe(*new)
            if old := subscribed - wanted:
                await pubsub.unsubscribe(*old)
            subscribed = wanted

    async def _hear(self, pubsub: PubSub, updating: asyncio.Task[NoReturn]) -> None:
        pinged = False
        while not updating.done():
            # `get_message` makes a dictionary of each message, which costs an eighth of hearing it.
            heard = await pubsub.parse_response(block=False, timeout=_SILENCE_S)
            if heard is None:
                if pinged:
                    raise TimeoutError("Redis is silent")
                await pubsub.ping()
            elif heard[0] == b"message":
                self._bus.on_message(heard[1], heard[2])
            else:
                await pubsub.handle_message(heard)  # type: ignore[no-untyped-call]  # redis-py's gap
                if heard[0] == b"subscribe":
                    self._on_subscribed(heard[1])
            pinged = heard is None

    def _on_subscribed(self, channel: bytes) -> None:
        if channel != self._control:
            self._bus.on_subscribed(channel)
        elif not self.is_connected:
            self.is_connected = True
            self.tried.set()
            _log.info("connected to Redis")
            self._bus.on_connection(connected=True)


class RedisBus(Bus):
    """Keeps the channels of this process in step with those of other processes.

    `url` is as `bus.addresses` reads it. Raises `InvalidRequest` for another.
    """

    is_shared = True
    _channels: dict[str, SharedChannel]  # type: ignore[assignment]  # `_make_channel` makes no others

    def __init__(self, url: str) -> None:
        super().__init__()
        address = parse_address(url)
        self._url = url
        self._client = address.open_client(
            protocol=2,  # what is used here is the same in both protocols, and all servers and proxies speak this one
            decode_responses=False,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # Connecting again without notice would hide that messages were missed.
            retry=Retry(NoBackoff(), 0, supported_errors=()),
        )
        # All databases of a Redis share their channels, so names carry the number of this one.
        database = address.database
        self._control = b"aia:%d:control" % database
        self._thread_prefix = b"aia:%d:thread:" % database
        self._changes_name = b"aia:%d:changes" % database
        self._changed: set[str] = set()
        self._changed_timer: asyncio.TimerHandle | None = None
        self._wants_changes = False
        self._hears_changes = False
        self._writer = MessageWriter(new_id())
        self._publisher = Publisher(self._client, self._writer, url=url, control=self._control)
        self._subscriber = Subscriber(self._client, self, url=url, control=self._control)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Connect. Where Redis does not answer, a warning is logged and it is tried again until `close`.

        Raises `InvalidRequest` for a server that cannot be used: a node of a cluster.
        """
        if self._tasks:
            return
        self._tasks = [
            asyncio.create_task(self._subscriber.run(), name="ai-agents-bus-subscriber"),
            asyncio.create_task(self._publisher.run(), name="ai-agents-bus-publisher"),
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPENING_S):
                await self._subscriber.tried.wait()
                if self._subscriber.is_connected and (fault := await find_wrong_kind(self._client, self._url)):
                    raise InvalidRequest(fault)

    async def close(self) -> None:
        """Publish what is left, for a second at most, and disconnect."""
        self._publish_changed()
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
            channel.stop_timer()
        await super().close()
        # uvloop raises RuntimeError for a connection that was closed just now.
        with suppress(RedisError, OSError, RuntimeError):
            await close_client(self._client)

    # Channels.

    def _make_channel(self, thread_id: str) -> Channel:
        return SharedChannel(thread_id, self, connected=self._subscriber.is_connected)

    def _drop_unused(self, thread_id: str) -> None:
        channel = self._channels.get(thread_id)
        if channel is not None and not channel.is_wanted and channel.holders <= 0:
            channel.stop_timer()
            del self._channels[thread_id]

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
        channel.stop_timer()
        if bool(channel.readers) != channel.is_wanted:
            wait_s = _UNSUBSCRIBE_AFTER_S if channel.is_wanted else _SUBSCRIBE_AFTER_S if channel.is_owned else 0.0
            channel.timer = asyncio.get_running_loop().call_later(wait_s, self._update_subscription_now, channel)

    def _update_subscription_now(self, channel: SharedChannel) -> None:
        channel.is_wanted = bool(channel.readers)
        if channel.is_wanted:
            self._subscriber.subscribe(self._name(channel.thread_id))
        else:
            channel.is_subscribed = False
            self._subscriber.unsubscribe(self._name(channel.thread_id))
            self._drop_unused(channel.thread_id)

    def _name(self, thread_id: str) -> bytes:
        return self._thread_prefix + thread_id.encode()

    # Publishing.

    def _publish_in_thread(self, thread_id: str, rows: Sequence[LogRow]) -> None:
        super()._publish_in_thread(thread_id, rows)
        ends = any(row.type == "thread.deleted" for row in rows)
        self._publisher.publish(self._control if ends else self._name(thread_id), self._writer.write(rows=rows))

    def request_cancel(self, run_id: str) -> None:
        """Tell the owner of the run, in whichever process, to look at its cancel flag now."""
        super().request_cancel(run_id)
        self._publisher.publish(self._control, self._writer.write(cancel=run_id))

    def request_sweep(self) -> None:
        """Tell the other processes that there are runs to take over now."""
        self._publisher.publish(self._control, self._writer.write(sweep=True))

    def revoke(self, subjects: Sequence[str]) -> None:
        """Tell all processes what was taken away: see `store.revocations`."""
        super().revoke(subjects)
        self._publisher.publish(self._control, self._writer.write(revoked=list(subjects)))

    def tell_usage(self, facts: Mapping[str, Any]) -> None:
        """Tell all other processes what users use here; `facts` are JSON."""
        self._publisher.publish(self._control, self._writer.write(usage=dict(facts)))

    def note_changed(self, thread_ids: Collection[str]) -> None:
        """Tell all processes that something has changed in these threads; the others a moment later."""
        super().note_changed(thread_ids)
        self._changed.update(thread_ids)
        if self._changed_timer is None:
            loop = asyncio.get_running_loop()
            self._changed_timer = loop.call_later(_CHANGES_EVERY_S, self._publish_changed)

    def _publish_changed(self) -> None:
        if self._changed_timer is not None:
            self._changed_timer.cancel()
            self._changed_timer = None
        changed, self._changed = list(self._changed), set()
        for first in range(0, len(changed), _CHANGES_AT_ONCE):
            part = changed[first : first + _CHANGES_AT_ONCE]
            self._publisher.publish(self._changes_name, self._writer.write(changed=part))

    # Hearing.

    def hear_changes(self, *, wanted: bool) -> None:
        """Begin or end to hear which threads change in other processes."""
        self._wants_changes = wanted
        if wanted:
            self._subscriber.subscribe(self._changes_name)
        else:
            self._hears_changes = False
            self._subscriber.unsubscribe(self._changes_name)

    @property
    def hears_changes(self) -> bool:
        """Whether changes of all processes arrive here now."""
        return self._hears_changes

    def _miss_changes(self) -> None:
        for listener in self._missed_listeners:
            listener()

    def on_connection(self, *, connected: bool) -> None:
        """Redis is connected, or the connection is lost."""
        if not connected:
            self._hears_changes = False
            self._miss_changes()
        if connected:
            for listener in self._connected_listeners:
                listener()
        for channel in self._channels.values():
            channel.set_connected(connected)

    def on_subscribed(self, name: bytes) -> None:
        """From now on the channel is heard; its readers catch up with what happened before."""
        if name == self._changes_name:
            self._hears_changes = self._wants_changes
            self._miss_changes()
        channel = self._find_channel(name)
        if channel is not None:
            channel.is_subscribed = channel.is_wanted
            self._catch_up(channel)

    def on_message(self, name: bytes, message: bytes) -> None:
        """Take a message of another process; this process's own are ignored."""
        if message.startswith(self._writer.mark):
            return
        channel = self._find_channel(name)
        try:
            fields = read_message(message)
        except ValueError:
            _log.warning("a message that is not understood", extra={"channel": name.decode(errors="replace")})
            if channel is not None:
                channel.miss()
            return
        if "text" in fields:
            if channel is not None:
                channel.take_text(fields["text"])
        elif "rows" in fields:
            self._take_rows(fields["rows"])
        elif "changed" in fields:
            for listener in self._changed_listeners:
                listener(fields["changed"])
        elif name == self._control:
            self._take_request(fields)

    def _find_channel(self, name: bytes) -> SharedChannel | None:
        return self._channels.get(name.removeprefix(self._thread_prefix).decode())

    def _take_rows(self, rows: Sequence[LogRow]) -> None:
        channel = self._channels.get(rows[0].thread_id) if rows else None
        if channel is not None:
            channel.add_rows(rows)
        if channel is None or not channel.is_wanted:
            rows = [row for row in rows if row.type == "thread.deleted"]
        if rows:
            for listener in self._listeners:
                listener(rows)

    def _take_request(self, fields: dict[str, Any]) -> None:
        if "cancel" in fields:
            for cancel in self._cancel_listeners:
                cancel(str(fields["cancel"]))
        elif "revoked" in fields:
            for revoked in self._revoked_listeners:
                revoked([str(each) for each in fields["revoked"]])
        elif "usage" in fields:
            for usage in self._usage_listeners:
                usage(fields["usage"])
        elif "sweep" in fields:
            for sweep in self._sweep_listeners:
                sweep()
        else:
            self._take_request_for_text(fields)

    def _take_request_for_text(self, fields: dict[str, Any]) -> None:
        if "ask" in fields:
            for thread_id in fields["ask"]:
                channel = self._channels.get(thread_id)
                if channel is not None:
                    channel.publish_again()
        elif "look" in fields:
            for channel in self._channels.values():
                self._catch_up(channel)
            self._miss_changes()

    def _catch_up(self, channel: SharedChannel) -> None:
        """Have the channel's readers look at the log, and ask for the text, even if that was done a moment ago."""
        channel.miss()
        # A channel whose last reader has left is still wanted for a while, and the next reader gets what it has.
        if channel.is_wanted and not channel.is_owned:
            channel.ask_again_at = 0.0
            self.ask_for_text(channel)
