"""A TCP proxy that spoils connections: cuts them at a byte, delays them, refuses them, or goes silent."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

_CHUNK_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one connection.

    After `cut_after` bytes from the target it is closed; `refuse` resets it before anything is passed on.
    """

    cut_after: int | None = None
    refuse: bool = False


class TcpProxy:
    """Listens on a port of its own and passes everything on to `target_port`; `choose` says how it spoils a connection.

    While `silent` it accepts connections and passes nothing on, as a network that drops packets; each stretch of bytes
    that it passes on, either way, waits for `delay_s`.
    """

    def __init__(self, target_port: int, choose: Callable[[], Fault] = Fault) -> None:
        self.choose = choose
        self.port = 0
        self.cuts = 0
        self.delay_s = 0.0
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._speaking = asyncio.Event()
        self._speaking.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.silent = False
        self.cut_all()
        await self._server.wait_closed()

    @property
    def silent(self) -> bool:
        """Whether nothing passes."""
        return not self._speaking.is_set()

    @silent.setter
    def silent(self, value: bool) -> None:
        (self._speaking.clear if value else self._speaking.set)()

    def cut_all(self) -> None:
        """Reset every connection that is open now."""
        self.cuts += len(self._open)
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self.choose()
        self._open.add(writer)
        try:
            if not fault.refuse:
                await self._connect(reader, writer, fault)
        except OSError:
            pass  # the target is away: so is the client's connection
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault) -> None:
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._open.add(target_writer)
        there = asyncio.create_task(self._pass_on(reader, target_writer, cut_after=None))
        back = asyncio.create_task(self._pass_on(target_reader, writer, cut_after=fault.cut_after))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            if back.done() and not back.cancelled() and back.exception() is None and not writer.is_closing():
                # An answer that is whole: what was written is let out before the connection is closed.
                writer.close()
                await writer.wait_closed()
        finally:
            self._open.discard(target_writer)
            target_writer.transport.abort()
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, cut_after: int | None
    ) -> None:
        left = cut_after
        while data := await reader.read(_CHUNK_BYTES):
            await self._speaking.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if left is not None and len(data) >= left:
                writer.write(data[:left])
                await writer.drain()
                self.cuts += 1
                # What was written is on its way already; closing keeps it so, a reset might take it back.
                writer.close()
                return
            if left is not None:
                left -= len(data)
            writer.write(data)
            await writer.drain()
