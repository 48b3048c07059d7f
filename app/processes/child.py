"""One of several processes on a port: it does what its parent says, and ends with it.

Once a second its event loop tells the parent that it turns. Where it hangs, a signal of the parent lets the interpreter
say where, also where nothing of Python's runs any more.
"""

import asyncio
import faulthandler
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from app.processes.pulse import ASKS_WHERE, READY, TURNING, TURNING_EVERY_S
from app.processes.told import Told
from app.serving.server import Server


class Child:
    """`announce` prints where the service is, once all processes serve. `grace_s` is what a stop of it may take."""

    def __init__(
        self, told: Told, server: Server, announce: Callable[[str], Awaitable[None]], *, grace_s: float
    ) -> None:
        self._server = server
        self._grace_s = grace_s
        self._announce = announce
        self._control = socket.socket(fileno=told.control)
        self._sockets = [[socket.socket(fileno=each) for each in group] for group in told.sockets]
        self.sockets = self._sockets[told.own]
        self._announcing: asyncio.Task[None] | None = None
        server.is_child = True
        server.inherited = [each for group in self._sockets for each in group]
        server.on_loop = self._tell_turning
        self._loop: asyncio.AbstractEventLoop | None = None
        faulthandler.register(ASKS_WHERE, self._control, all_threads=False)

    async def tell_ready(self) -> None:
        """Tell the parent that this process serves."""
        self._loop = asyncio.get_running_loop()
        self._control.sendall(f"{READY} {self._grace_s}\n".encode())

    def _tell_turning(self) -> None:
        # A parent that was stopped for long reads nothing: then what it has not read says the same.
        with suppress(OSError):
            self._control.send(f"{TURNING}\n".encode(), socket.MSG_DONTWAIT)
        asyncio.get_running_loop().call_later(TURNING_EVERY_S, self._tell_turning)

    def obey(self) -> None:
        """Begin to do what the parent says, in a thread: also where the event loop does nothing any more."""
        threading.Thread(target=self._obey, name="parent", daemon=True).start()

    def _obey(self) -> None:
        with self._control.makefile("rb") as orders:
            for line in orders:
                order, _, place = line.decode().strip().partition(" ")
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(self._do, order, place)
                if order == "hurry":
                    self._server.hurry()
        # The parent is gone. Another one may want the port.
        if self._loop is None:
            os._exit(1)
        self._server.end()

    def _do(self, order: str, place: str) -> None:
        if order == "announce":
            self._announcing = asyncio.create_task(self._tell())
        elif order == "adopt":
            self._server.adopt(self._sockets[int(place)])
        elif order == "release":
            self._server.release(self._sockets[int(place)])

    async def _tell(self) -> None:
        await self._announce(self._server.address)
