"""Hears what other processes publish, over one connection to Redis, however many channels there are."""

import asyncio
import logging
from typing import NoReturn, Protocol

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

# A connection that is silent for this long is sent a ping, and is closed after as long again without an answer.
_SILENCE_S = 1.0
_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 2.0
_log = logging.getLogger(__name__)


class SubscriberObserver(Protocol):
    """What a subscriber calls."""

    def on_connection(self, *, connected: bool) -> None:
        """Redis is connected, and channels are heard from `on_subscribed` on; or nothing is heard any more."""

    def on_subscribed(self, name: bytes) -> None:
        """From now on the channel is heard."""

    def on_message(self, name: bytes, message: bytes) -> None:
        """A message was published on the channel."""


class Subscriber:
    """Subscribes to the channels that are wanted, and always to `control`.

    `client` must not connect again by itself: what was published meanwhile would be missed without notice.
    """

    def __init__(self, client: Redis, observer: SubscriberObserver, *, control: bytes) -> None:
        self._client = client
        self._observer = observer
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
                self._observer.on_connection(connected=False)
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
                self._observer.on_message(heard[1], heard[2])
            else:
                await pubsub.handle_message(heard)  # type: ignore[no-untyped-call]  # redis-py's gap
                if heard[0] == b"subscribe":
                    self._on_subscribed(heard[1])
            pinged = heard is None

    def _on_subscribed(self, channel: bytes) -> None:
        if channel != self._control:
            self._observer.on_subscribed(channel)
        elif not self.is_connected:
            self.is_connected = True
            self.tried.set()
            _log.info("connected to Redis")
            self._observer.on_connection(connected=True)
