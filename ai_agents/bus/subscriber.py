"""Hears what other processes tell: one connection to Redis, whatever the number of readers here."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection

from ai_agents.bus.wire import AWAY

# A connection that is silent for this long is asked whether it is alive, and given up after as long again.
_SILENCE_S = 1.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_CHANNELS_AT_ONCE = 500
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is done with what is heard.

    `up`: the connection stands, and what is wanted will be heard once it is confirmed. `down`: nothing is heard any
    more. `subscribed`: from now on this channel is heard. `message`: a channel and what was said on it.
    """

    up: Callable[[], None]
    down: Callable[[], None]
    subscribed: Callable[[bytes], None]
    message: Callable[[bytes, bytes], None]


class Subscriber:
    """Listens to the channels that are wanted, and to `control` always."""

    def __init__(self, client: Redis, control: bytes, hearing: Hearing) -> None:
        self._client = client
        self._control = control
        self._hearing = hearing
        self._wanted: set[bytes] = {control}
        self._asked: set[bytes] = set()
        self._changed = asyncio.Event()
        self._is_up = False
        # Set once it is known whether Redis answers.
        self.tried = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether the connection stands."""
        return self._is_up

    def want(self, channel: bytes) -> None:
        """Listen to a channel; `subscribed` tells when that has begun."""
        self._wanted.add(channel)
        self._changed.set()

    def unwant(self, channel: bytes) -> None:
        """Stop listening to it."""
        self._wanted.discard(channel)
        self._changed.set()

    async def run(self) -> None:
        """Listen until cancelled, connecting again as often as it takes."""
        pause_s = _FIRST_PAUSE_S
        warned = False
        while True:
            error = await self._listen()
            if self._is_up:
                self._is_up = False
                pause_s, warned = _FIRST_PAUSE_S, False
                self._hearing.down()
            if not warned:
                warned = True
                _log.warning("not connected to Redis; streams of other processes' runs are slower", exc_info=error)
            self.tried.set()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _listen(self) -> Exception:
        """Listen on one connection until it breaks; what broke it."""
        pool = self._client.connection_pool
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py's gap
        self._asked.clear()
        self._changed.set()
        asking: asyncio.Task[None] | None = None
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's gap
            asking = asyncio.create_task(self._ask(connection), name="ai-agents-subscriptions")
            await self._hear(connection)
        except AWAY as error:
            return error
        except Exception as error:  # noqa: BLE001  # the edge of a task that must not end while the process lives
            _log.exception("hearing other processes failed")
            return error
        finally:
            if asking is not None:
                asking.cancel()
                # What it was about to send must not find the connection gone.
                await asyncio.gather(asking, return_exceptions=True)
            await connection.disconnect(nowait=True)

    async def _ask(self, connection: AbstractConnection) -> None:
        """Tell Redis which channels to send, whenever that changes; an error here ends the hearing as well."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                # The control channel first: with its confirmation the connection counts as standing.
                new = sorted(self._wanted - self._asked, key=lambda channel: channel != self._control)
                old = list(self._asked - self._wanted)
                self._asked = set(self._wanted)
                for command, channels in ((b"SUBSCRIBE", new), (b"UNSUBSCRIBE", old)):
                    for first in range(0, len(channels), _CHANNELS_AT_ONCE):
                        some = channels[first : first + _CHANNELS_AT_ONCE]
                        await connection.send_command(command, *some, check_health=False)
        except AWAY:
            await connection.disconnect(nowait=True)

    async def _hear(self, connection: AbstractConnection) -> NoReturn:
        asked_if_alive = False
        while True:
            heard = await connection.read_response(timeout=_SILENCE_S, disconnect_on_error=False)
            if heard is None:
                if asked_if_alive:
                    raise TimeoutError("Redis is silent")
                asked_if_alive = True
                await connection.send_command(b"PING", check_health=False)
                continue
            asked_if_alive = False
            kind = heard[0]
            if kind == b"message":
                self._hearing.message(heard[1], heard[2])
            elif kind == b"subscribe":
                self._on_subscribed(heard[1])

    def _on_subscribed(self, channel: bytes) -> None:
        if channel != self._control:
            self._hearing.subscribed(channel)
        elif not self._is_up:
            self._is_up = True
            self.tried.set()
            _log.info("connected to Redis")
            self._hearing.up()
