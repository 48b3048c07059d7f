"""A server that counts: the effect outside of the service that a tool has."""

import asyncio
import re
from collections import Counter, defaultdict
from typing import Self

_IDEMPOTENCY_KEY = re.compile(rb"(?i)\r\nidempotency-key: (\S+)")


class CounterServer:
    """Counts `POST /<key>` and answers the count; where the key is in `held`, the answer waits for its event.

    `idempotency_keys` are the headers of this name that came with each key.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.arrived: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.held: dict[str, asyncio.Event] = {}
        self.idempotency_keys: defaultdict[str, list[bytes]] = defaultdict(list)
        self.url = ""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2048)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            key = head.split(b" ")[1].decode().lstrip("/")
            self.counts[key] += 1
            self.idempotency_keys[key] += _IDEMPOTENCY_KEY.findall(head)
            self.arrived[key].set()
            if key in self.held:
                await self.held[key].wait()
            body = str(self.counts[key]).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the process that counted was killed
        finally:
            self._open.discard(writer)
            writer.transport.abort() if writer.is_closing() else writer.close()
