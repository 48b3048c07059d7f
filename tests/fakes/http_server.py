"""A plain HTTP server on loopback. It sends the given bytes and counts its connections."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

import orjson


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


class HttpServer:
    """Answers the paths in `answers`, and other paths with 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def host(self) -> str:
        """The server in the form of an allow-list."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/") -> str:
        """The URL of a path."""
        return f"http://{self.host}{path}"

    def on(self, path: str, answer: Answer | bytes) -> None:
        """Answer this path with these bytes or this function."""
        if isinstance(answer, bytes):
            raw = answer

            async def write(_asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(raw)

            self.answers[path] = write
        else:
            self.answers[path] = answer

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            asked = await _read(reader)
            self.asked.append(asked)
            answer = self.answers.get(asked.target.partition("?")[0])
            if answer is None:
                writer.write(reply(b"not found", status="404 Not Found"))
            else:
                await answer(asked, writer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
        self._tasks.discard(task)


async def _read(reader: asyncio.StreamReader) -> Asked:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, target, headers, body)


def reply(
    body: bytes = b"", *, status: str = "200 OK", kind: str = "text/plain; charset=utf-8", more: str = ""
) -> bytes:
    """A whole response; `more` is further header lines."""
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{more}\r\n"
    )
    return head.encode() + body


def reply_json(value: object) -> bytes:
    """A whole response with JSON."""
    return reply(orjson.dumps(value), kind="application/json")


def redirect(location: str, status: str = "302 Found") -> bytes:
    """A whole response that redirects."""
    return reply(status=status, more=f"location: {location}\r\n")
