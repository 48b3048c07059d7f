"""An HTTP client that does nothing but measure: it looks for two marks in the bytes and keeps their end."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Self, cast

import orjson

# Enough for the last event of a run, which says how it ended.
_KEPT_BYTES = 4096


class Unexpected(Exception):
    """An answer that is not what was asked for: what was measured would mean nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. Times are seconds since the request was written; `first_s` is that of the mark."""

    status: int
    first_s: float
    total_s: float
    tail: bytes

    def json(self) -> Any:
        """The body of an answer that is short."""
        return orjson.loads(self.tail.partition(b"\r\n\r\n")[2] or b"null")


class Client(asyncio.Protocol):
    """One connection, kept for one request after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport
        self._done: asyncio.Future[Answer] | None = None
        self._seen = b""
        self._mark: bytes = b""
        self._began = self._first = 0.0
        self._expected: int | None = None
        self._chunked = False

    @classmethod
    async def connect(cls, port: int) -> Self:
        """A connection to this port of the loopback address."""
        _, client = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It was closed."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(Unexpected(f"the connection was closed: {exc}; {self._seen[-500:]!r}"))

    async def send(self, request: bytes, *, mark: bytes = b"", began: float | None = None) -> Answer:
        """The answer to a request. `mark` is what the first token is known by; times count from `began`, else now."""
        self._done = asyncio.get_running_loop().create_future()
        self._seen, self._mark, self._first, self._expected, self._chunked = b"", mark, 0.0, None, False
        self._began = time.perf_counter() if began is None else began
        self._transport.write(request)
        return await self._done

    async def open_stream(self, request: bytes, *, until: bytes) -> None:
        """Send a request whose answer does not end, and return when it has brought `until`."""
        sent = asyncio.ensure_future(self.send(request, mark=until))
        while not self._first:
            await asyncio.sleep(0.001)
            if sent.done():
                raise Unexpected(sent.result().tail.decode())

    def data_received(self, data: bytes) -> None:
        """Look for the marks."""
        self._seen += data
        if not self._expected and not self._chunked:
            self._read_head()
        if self._mark and not self._first and self._mark in self._seen:
            self._first = time.perf_counter() - self._began
        if self._chunked:
            if self._seen.endswith(b"\r\n0\r\n\r\n"):
                self._finish()
            elif len(self._seen) > 4 * _KEPT_BYTES and (self._first or not self._mark):
                self._seen = self._seen[-_KEPT_BYTES:]
        elif self._expected is not None and len(self._seen) >= self._expected:
            self._finish()

    def _read_head(self) -> None:
        head, separator, _ = self._seen.partition(b"\r\n\r\n")
        if not separator:
            return
        head = head.lower()
        self._chunked = b"transfer-encoding: chunked" in head
        if not self._chunked:
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._expected = len(head) + 4 + int(length or b"0")
            self._mark = b""
        self._status = int(head[9:12])

    def _finish(self) -> None:
        done, self._done = self._done, None
        if done is not None and not done.done():
            total = time.perf_counter() - self._began
            done.set_result(Answer(self._status, self._first or total, total, self._seen))

    def close(self) -> None:
        """Close the connection."""
        self._done = None
        self._transport.close()


def request(method: str, path: str, *, key: str, body: Any = None, accept: str = "application/json") -> bytes:
    """The bytes of a request."""
    content = b"" if body is None else orjson.dumps(body)
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\naccept: {accept}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
