"""The HTTP server: uvicorn, which ends open streams when the process must stop."""

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ai_agents.core.ids import new_id
from app.middleware import SAFE_HEADERS
from app.problems import problem
from app.settings import Settings

# The time for ending streams and closing connections, after the runs' grace.
_CLOSING_S = 10


class HttpProtocol(HttpToolsProtocol):
    """Answers what is not HTTP as the service answers every other mistake: with a problem."""

    def send_400_response(self, msg: str) -> None:
        """Send the problem and close the connection."""
        request_id = new_id()
        detail = "This is no valid HTTP request."
        answer = problem("invalid_request", detail, request_id=request_id, title="Bad Request", status=400)
        headers = [
            *answer.raw_headers,
            (b"x-request-id", request_id.encode()),
            *SAFE_HEADERS,
            (b"connection", b"close"),
        ]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + bytes(answer.body))
        self.transport.close()


class Server(uvicorn.Server):
    """Tells the application at once when a signal arrives: an open stream would keep the process alive."""

    def __init__(self, config: uvicorn.Config, *, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit
        self._loop: asyncio.AbstractEventLoop | None = None
        # Called with the address once the service listens.
        self.announce: Callable[[str], None] = lambda _address: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, listen, and announce the address."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self.announce(self.address)

    @property
    def address(self) -> str:
        """The address that it listens on, after `startup`."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second SIGINT stops at once. The signal is not raised again: this is a success."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.stop()

    def stop(self) -> None:
        """Begin to stop. Any thread may call it."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._on_exit)


def raise_descriptor_limit() -> None:
    """Let this process open as many files and connections as the system allows it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # macOS refuses to remove the limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def build_server(app: FastAPI, settings: Settings, *, host: str | None = None, port: int | None = None) -> Server:
    """A server for the application. Host and port default to the settings; port 0 takes a free one."""
    config = uvicorn.Config(
        app,
        host=host or settings.host,
        port=settings.port if port is None else port,
        http=HttpProtocol,
        ws="none",
        lifespan="on",
        log_config=None,  # app/logs.py configures the logs
        access_log=False,  # the middleware logs requests
        server_header=False,
        timeout_keep_alive=65,  # longer than proxies keep idle connections, so that the proxy closes them
        timeout_graceful_shutdown=round(settings.shutdown_grace_s + _CLOSING_S),
    )
    return Server(config, on_exit=app.state.begin_drain)
