"""The HTTP server: uvicorn, told to let go of open streams when the process is asked to stop."""

import asyncio
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.settings import Settings

# What ending streams and closing connections takes after the runs' grace.
_CLOSING_S = 10


class Server(uvicorn.Server):
    """Tells the application the moment that a signal comes: a stream that is left open would keep the process alive."""

    def __init__(self, config: uvicorn.Config, *, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit
        self._loop: asyncio.AbstractEventLoop | None = None
        # Called with the address once the service listens.
        self.announce: Callable[[str], None] = lambda _address: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, listen, and say where."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self.announce(self.address)

    @property
    def address(self) -> str:
        """Where it listens, once it does."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second SIGINT stops at once. The signal is not passed on: to stop in order is a success."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.stop()

    def stop(self) -> None:
        """Begin to stop. May be called from any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._on_exit)


def build_server(app: FastAPI, settings: Settings, *, host: str | None = None, port: int | None = None) -> Server:
    """A server for this application, on its settings' address unless another is given. Port 0 takes a free one."""
    config = uvicorn.Config(
        app,
        host=host or settings.host,
        port=settings.port if port is None else port,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,  # logs.py has configured them
        access_log=False,  # the middleware writes it
        server_header=False,
        timeout_keep_alive=65,  # longer than proxies keep an idle connection, so that it is they who close it
        timeout_graceful_shutdown=round(settings.shutdown_grace_s + _CLOSING_S),
    )
    return Server(config, on_exit=app.state.begin_drain)
