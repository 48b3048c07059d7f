"""Hears what other processes publish, over one connection to Redis, however many channels there are."""

import asyncio
import logging
from collections.abc import Collection, Iterator
from typing import Protocol

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from ai_agents.bus.publisher import UNAVAILABLE

# A connection that is silent for this long is sent a ping, and is closed after as long again without an answer.
_SILENCE_S = 1.0
_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 2.0
_CHANNELS_AT_ONCE = 500
_log = logging.getLogger(__name__)


class Listener(Protocol):
    """What a subscriber calls."""

    def on_connected(self) -> None:
        """Redis is connected; each channel is heard from `on_subscribed` on."""
        ...

    def on_disconnected(self) -> None:
        """Nothing is heard any more."""
        ...

    def on_subscribed(self, channel: bytes) -> None:
        """From now on the channel is heard."""
        ...

    def on_message(self, channel: bytes, message: bytes) -> None:
        """A message was published on the channel."""
        ...


class Subscriber:
    """Subscribes to the channels that are wanted, and always to `control`.

    `client` must not connect again by itself: what was published meanwhile would be missed without notice.
    """

    def __init__(self, client: Redis, listener: Listener, *, control: bytes) -> None:
        self._client = client
        self._listener = listener
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
                self._listener.on_disconnected()
            if not warned:
                warned = True
                _log.warning("not connected to Redis; streams of other processes' runs are slower", exc_info=error)
            self.tried.set()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _MAX_PAUSE_S)

    async def _listen(self) -> Exception:
        """Listen on one connection until it breaks; the error that broke it."""
        pubsub = self._client.pubsub()
        self._changed.set()
        updating: asyncio.Task[Exception] | None = None
        try:
            # The control channel first: with its confirmation the connection counts as made.
            await pubsub.subscribe(self._control)
            updating = asyncio.create_task(self._update_subscriptions(pubsub), name="ai-agents-subscriptions")
            await self._hear(pubsub, updating)
            return await updating
        except UNAVAILABLE as error:
            return error
        except Exception as error:  # noqa: BLE001  # the edge of a task that must not end while the process lives
            _log.exception("hearing other processes failed")
            return error
        finally:
            if updating is not None:
                updating.cancel()
                # It must not find the connection gone.
                await asyncio.gather(updating, return_exceptions=True)
            await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py's gap

    async def _update_subscriptions(self, pubsub: PubSub) -> Exception:
        """Tell Redis which channels to send, whenever that changes; the error that ends it."""
        subscribed = {self._control}
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = set(self._wanted)
            try:
                for some in _in_batches(wanted - subscribed):
                    await pubsub.subscribe(*some)
                for some in _in_batches(subscribed - wanted):
                    await pubsub.unsubscribe(*some)
            except UNAVAILABLE as error:
                return error
            subscribed = wanted

    async def _hear(self, pubsub: PubSub, updating: asyncio.Task[Exception]) -> None:
        pinged = False
        while not updating.done():
            # `get_message` makes a dictionary of each message, which costs an eighth of hearing it.
            heard = await pubsub.parse_response(block=False, timeout=_SILENCE_S)
            if heard is None:
                if pinged:
                    raise TimeoutError("Redis is silent")
                await pubsub.ping()
            elif heard[0] == b"message":
                self._listener.on_message(heard[1], heard[2])
            else:
                await pubsub.handle_message(heard)  # type: ignore[no-untyped-call]  # redis-py's gap
                if heard[0] == b"subscribe":
                    self._on_subscribed(heard[1])
            pinged = heard is None

    def _on_subscribed(self, channel: bytes) -> None:
        if channel != self._control:
            self._listener.on_subscribed(channel)
        elif not self.is_connected:
            self.is_connected = True
            self.tried.set()
            _log.info("connected to Redis")
            self._listener.on_connected()


def _in_batches(channels: Collection[bytes]) -> Iterator[list[bytes]]:
    listed = list(channels)
    return (listed[first : first + _CHANNELS_AT_ONCE] for first in range(0, len(listed), _CHANNELS_AT_ONCE))
