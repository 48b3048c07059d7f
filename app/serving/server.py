"""The HTTP server: uvicorn, which ends open streams when the process must stop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from types import FrameType
from typing import Any, cast

import structlog
import uvicorn
from fastapi import FastAPI

from app.descriptors import DescriptorShares, share_descriptors
from app.doors.listed import door_at
from app.serving.gate import Gate, GateLimits
from app.serving.http_protocol import HttpProtocol
from app.serving.signals import Deadline, end_at_once
from app.settings import Settings

# After the runs' grace: for their last writes, and for requests that are still answered.
_ANSWERING_S = 4
# After the grace the process ends by then, whatever is under way. A stop may take the grace and 5 seconds.
_CLOSING_S = 4.6
# All is closed: for threads that still do something for what has been given up.
_THREADS_S = 1.0
# With so many, an operator who asked for no number need not be told that there could be more.
_FEW_CONNECTIONS = 1000
log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app")


class Server(uvicorn.Server):
    """Tells the application at once when a signal arrives: an open stream would keep the process alive."""

    def __init__(
        self,
        config: uvicorn.Config,
        gate: Gate,
        *,
        grace_s: float,
        on_exit: Callable[[], object],
        on_hurry: Callable[[], object],
    ) -> None:
        super().__init__(config)
        self.gate = gate
        self._grace_s = grace_s
        self._on_exit, self._on_hurry = on_exit, on_hurry
        self._deadline = Deadline()
        # One of several processes: the parent alone says what comes after the first signal.
        self.is_child = False
        # Sockets that this process may listen on, beside its own; they are closed when it stops.
        self.inherited: list[socket.socket] = []
        self._adopted: dict[int, asyncio.Server] = {}
        self._adopting: set[asyncio.Task[None]] = set()
        self._is_hurried = False
        self._loop: asyncio.AbstractEventLoop | None = None
        # Called in the event loop before the application starts.
        self.on_loop: Callable[[], object] = lambda: None
        # Called with the address once the service listens.
        self.announce: Callable[[str], Awaitable[None] | None] = lambda _address: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, listen, and announce the address."""
        self._loop = asyncio.get_running_loop()
        self.on_loop()
        await super().startup(sockets)
        if self.started:
            self.gate.open(self.servers[0].sockets[0].fileno())
            announced = self.announce(self.address)
            if announced is not None:
                await announced

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the connections and end the application."""
        asyncio.get_running_loop().call_later(self._grace_s, self._end_bodies)
        for server in self._adopted.values():
            server.close()
        for each in self.inherited:
            each.close()
        try:
            await super().shutdown(sockets)
        finally:
            self.gate.close()
            if self._deadline.is_set:
                self._deadline.set(_THREADS_S)

    def _end_bodies(self) -> None:
        """The time is over for requests that are still being sent."""
        for connection in tuple(self.server_state.connections):
            cast("HttpProtocol", connection).end_body()

    @property
    def address(self) -> str:
        """The address that it listens on, after `startup`."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second signal ends the grace time, a third one the process.

        The first is not raised again: this is a success. Before the start is complete nothing is acknowledged, and one
        signal ends the process.
        """
        if not self.started or (self._is_hurried and not self.is_child):
            end_at_once(sig)
        elif not self.should_exit:
            self.end()
        elif not self.is_child:
            self.hurry()

    def end(self) -> None:
        """Begin to stop, and end the process in time. Any thread may call it."""
        self._deadline.set(self._grace_s + _CLOSING_S)
        self.stop()

    def hurry(self) -> None:
        """Give what is under way no more time: a stop that has begun takes 5 seconds at most from now on."""
        self._is_hurried = True
        self._deadline.set(_CLOSING_S)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._on_hurry)
            self._loop.call_soon_threadsafe(self._end_bodies)

    def adopt(self, sockets: Sequence[socket.socket]) -> None:
        """Take the connections of these sockets, too, until `release`."""
        for each in sockets:
            task = asyncio.ensure_future(self._adopt(each))
            self._adopting.add(task)
            task.add_done_callback(self._adopting.discard)

    async def _adopt(self, listening: socket.socket) -> None:
        loop, number = asyncio.get_running_loop(), listening.fileno()
        if self.should_exit or number in self._adopted:
            return

        def connect() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]  # as in uvicorn
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        self._adopted[number] = await loop.create_server(connect, sock=listening.dup(), backlog=self.config.backlog)

    def release(self, sockets: Sequence[socket.socket]) -> None:
        """Leave the connections of these sockets to another process again."""
        for each in sockets:
            if (server := self._adopted.pop(each.fileno(), None)) is not None:
                server.close()

    def stop(self) -> None:
        """Begin to stop. Any thread may call it."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._on_exit)


def build_server(
    app: FastAPI,
    settings: Settings,
    *,
    host: str | None = None,
    port: int | None = None,
    limits: Mapping[str, Any] | None = None,
) -> Server:
    """A server for the application. Host and port default to the settings; port 0 takes a free one.

    `limits` replaces fields of `GateLimits`, for tests that do not wait as long as clients may.
    """
    shares = share_descriptors(settings)
    usual = GateLimits(settings.max_header_bytes, connections=shares.clients, beyond=shares.backlog // 2)
    gate = Gate(replace(usual, **limits or {}))
    config = uvicorn.Config(
        app,
        host=host or settings.host,
        port=settings.port if port is None else port,
        http=cast("type[asyncio.Protocol]", partial(HttpProtocol, gate, find_door=door_at)),
        ws="none",
        lifespan="on",
        log_config=None,  # app/logs.py configures the logs
        access_log=False,  # the middleware logs requests
        server_header=False,
        proxy_headers=False,  # the middleware believes those of AI_AGENTS_TRUST_PROXY
        backlog=shares.backlog,
        timeout_keep_alive=round(usual.idle_s),
        timeout_graceful_shutdown=int(settings.shutdown_grace_s + _ANSWERING_S),
    )
    _warn(shares, settings, config.host)
    return Server(
        config, gate, grace_s=settings.shutdown_grace_s, on_exit=app.state.begin_drain, on_hurry=app.state.hurry
    )


def _warn(shares: DescriptorShares, settings: Settings, host: str) -> None:
    """Log what an operator may not have meant."""
    if _are_too_few(shares, settings):
        log.warning(
            "fewer connections than the settings ask for: this process may open too few files (ulimit -Hn)",
            descriptors=shares.limit,
            clients=shares.clients,
            providers=shares.upstream,
        )
    if not _is_loopback(host):
        log.warning("listening without TLS for other machines: let a proxy that has TLS pass on requests", host=host)


def _are_too_few(shares: DescriptorShares, settings: Settings) -> bool:
    """Whether there are fewer connections than the settings ask for; without a setting, than a small service needs."""
    given = settings.model_fields_set
    asked = {"max_connections": shares.clients, "max_upstream_connections": shares.upstream}
    return any(
        share < (getattr(settings, name) if name in given else min(getattr(settings, name), _FEW_CONNECTIONS))
        for name, share in asked.items()
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
