"""Clients that send bytes of their own choosing, for tests of what the server bears."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from tests.api.live import TIMEOUT_S, Live
from tests.api.service import ADMIN_KEY

QUICK = {
    "head_s": 0.2,
    "body_window_s": 0.2,
    "least_rate": 1000,
    "sending_window_s": 0.2,
    "linger_s": 0.2,
    "look_every_s": 0.05,
}
KEY = f"authorization: Bearer {ADMIN_KEY}\r\n".encode()
LIVEZ = b"GET /livez HTTP/1.1\r\nhost: service\r\n\r\n"
POST = b"POST /agents HTTP/1.1\r\nhost: service\r\ncontent-type: application/json\r\n"
CHUNKED = POST + KEY + b"transfer-encoding: chunked\r\n\r\n"
AGENT = b'{"name": "assistant"}'


class Client:
    """A connection on which bytes are sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes, every_s: float = 0.0) -> "Client":
        """Send pieces, one after the other. What cannot be sent because the other side has closed is dropped."""
        for piece in pieces:
            self._writer.write(piece)
            try:
                await self._writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(every_s)
        return self

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer of this connection: status, headers, body."""
        async with asyncio.timeout(TIMEOUT_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            return int(status.split()[1]), headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def problem(self) -> tuple[int, str]:
        """The status and the code of the next answer, which is a problem and the last one."""
        status, headers, body = await self.answer()
        assert headers["content-type"] == "application/problem+json"
        assert headers["connection"] == "close"
        problem = orjson.loads(body)
        assert (problem["status"], problem["request_id"]) == (status, headers["x-request-id"])
        await self.until_closed()
        return status, problem["code"]

    async def until_closed(self) -> bytes:
        """What still comes until the other side closes."""
        async with asyncio.timeout(TIMEOUT_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def is_open(self) -> bool:
        """Whether this connection still answers."""
        await self.send(LIVEZ)
        return (await self.answer())[0] == 200


@asynccontextmanager
async def connected(live: Live) -> AsyncIterator[Client]:
    """A connection to the service."""
    reader, writer = await asyncio.open_connection(*address_of(live))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def address_of(live: Live) -> tuple[str, int]:
    host, port = live.server.servers[0].sockets[0].getsockname()[:2]
    return host, port


async def until_gone(live: Live, count: int = 0) -> None:
    """Wait until the service has so many connections."""
    async with asyncio.timeout(TIMEOUT_S):
        while len(live.server.server_state.connections) > count:
            await asyncio.sleep(0.02)


async def deaf_socket(live: Live, sent: bytes) -> socket.socket:
    """A connection that sends this and reads nothing."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, address_of(live))
    await loop.sock_sendall(deaf, sent)
    return deaf
