"""A cancelled request gives its connection back, whenever it is cancelled."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any

import httpcore2
import pytest

from ai_agents.tools.outbound import Outbound, OutboundFailed
from tests.fakes.http_server import Answer, Asked, HttpServer, redirect, reply

KEPT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        opened.on("/", reply(b"you are in"))
        yield opened


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[httpcore2.AsyncConnectionPool]:
    """The connection pools that are opened."""
    opened: list[httpcore2.AsyncConnectionPool] = []

    class Noted(httpcore2.AsyncConnectionPool):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            opened.append(self)

    monkeypatch.setattr(httpcore2, "AsyncConnectionPool", Noted)
    return opened


@pytest.fixture
async def outbound(pools: list[httpcore2.AsyncConnectionPool]) -> AsyncIterator[Outbound]:
    """A client with one connection. At the end its pools have no requests and no connections in use."""
    opened = Outbound(["127.0.0.1"], max_connections=1, max_connections_per_origin=1)
    yield opened
    for pool in pools:
        assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
    await opened.aclose()


async def chunked(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(5):
        writer.write(b"5\r\nhello\r\n")
        await writer.drain()
        await asyncio.sleep(0)
    writer.write(b"0\r\n\r\n")


async def torn(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")


Reply = Answer | bytes
ANSWERS: dict[str, Reply] = {
    "short": reply(b"x"),
    "long": reply(b"x" * 300_000),
    "chunked": chunked,
    "packed": reply(gzip.compress(b"x"), more="content-encoding: gzip\r\n"),
    "redirecting": redirect("/"),
    "torn": torn,
}


async def cancelled_in_every_turn(work: Callable[[], Awaitable[Any]], *, again_after: int | None) -> int:
    """Repeat the work, cancelled one turn of the loop later each time, until it ends first; return how often."""
    for turns in count():
        task = asyncio.ensure_future(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        if task.done():
            await asyncio.gather(task, return_exceptions=True)
            return turns
        task.cancel()
        if again_after is not None:
            for _ in range(again_after):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    raise AssertionError


@pytest.mark.parametrize("again_after", [None, 1, 2])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_cancelled(server: HttpServer, outbound: Outbound, answer: Reply, again_after: int | None) -> None:
    """A request gives its connection back wherever it is cancelled."""
    server.on("/answer", answer)
    url = server.url("/answer")
    times = await cancelled_in_every_turn(lambda: outbound.request("GET", url), again_after=again_after)
    assert times > 5
    assert (await outbound.request("GET", server.url(), timeout_s=5)).body == b"you are in"


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_a_client_gives_connections_back_too(server: HttpServer, outbound: Outbound, answer: Reply) -> None:
    server.on("/answer", answer)
    async with outbound.client() as client:

        async def read() -> None:
            async with client.stream("GET", server.url("/answer")) as response:
                await response.aread()

        assert await cancelled_in_every_turn(read, again_after=None) > 5
        assert (await client.get(server.url(), timeout=5)).content == b"you are in"


class Keeping:
    """A server that keeps connections open, counts them, and answers if it is `speaking`."""

    def __init__(self, *, speaking: bool = True) -> None:
        self.open = 0
        self.port = 0
        self.changed = asyncio.Condition()
        self._speaking = speaking

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._count(+1)
        try:
            while await reader.read(65536):
                if self._speaking:
                    writer.write(KEPT)
        except OSError:
            pass
        writer.close()
        await self._count(-1)

    async def until_open(self, number: int) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: self.open == number)

    async def _count(self, change: int) -> None:
        async with self.changed:
            self.open += change
            self.changed.notify_all()


@pytest.fixture
async def keeping(request: pytest.FixtureRequest) -> AsyncIterator[Keeping]:
    opened = Keeping(speaking=getattr(request, "param", True))
    server = await asyncio.start_server(opened.serve, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    yield opened
    server.close()


@pytest.mark.parametrize("turns", range(6))
async def test_a_client_whose_closing_is_cancelled_has_closed_all_its_connections(keeping: Keeping, turns: int) -> None:
    client = Outbound(["127.0.0.1"]).client()
    await asyncio.gather(*[client.get(f"http://127.0.0.1:{keeping.port}/") for _ in range(5)])
    await keeping.until_open(5)
    closing = asyncio.create_task(client.aclose())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    await keeping.until_open(0 if turns else 5)
    await client.aclose()


@pytest.mark.parametrize("keeping", [False], indirect=True)
async def test_a_connection_whose_tls_handshake_times_out_is_closed(keeping: Keeping) -> None:
    outbound = Outbound(["127.0.0.1"])
    with pytest.raises(OutboundFailed, match=r"within 0\.2 s"):
        await outbound.request("GET", f"https://127.0.0.1:{keeping.port}/", timeout_s=0.2)
    await keeping.until_open(0)
    await outbound.aclose()


async def test_a_closed_client_has_no_open_connections(keeping: Keeping) -> None:
    outbound = Outbound(["127.0.0.1"])
    await outbound.request("GET", f"http://127.0.0.1:{keeping.port}/")
    await outbound.aclose()
    await keeping.until_open(0)
