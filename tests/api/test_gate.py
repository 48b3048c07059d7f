"""What one connection may cost before its client is known: bytes, time, places. On real sockets.

The limits of time are shorter here than the product's, which `tests/faults/test_strangers.py` waits for.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from tests.api.live import TIMEOUT_S, Live, serve
from tests.api.raw_clients import AGENT, CHUNKED, KEY, LIVEZ, POST, QUICK, connected, deaf_socket, until_gone
from tests.api.service import make_thread, settings_for
from tests.api.test_full_server import connections_of


@pytest.fixture
async def quick(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Live]:
    """A service whose limits of time are short."""
    async with serve(settings_for(sqlite_url, tmp_path), limits=QUICK) as served:
        yield served


class Slow:
    """An application that reads no body before it is told to."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.app.state.begin_drain = self.app.state.hurry = lambda: None
        self.may_read = asyncio.Event()
        self.app.add_api_route("/read", self.read, methods=["POST"])

    async def read(self, request: Request) -> dict[str, int]:
        await self.may_read.wait()
        return {"size": len(await request.body())}


@asynccontextmanager
async def serving_slowly(tmp_path: Path) -> AsyncIterator[tuple[Slow, Live]]:
    slow = Slow()
    async with serve(settings_for("sqlite://", tmp_path), slow.app, limits=QUICK) as served:
        yield slow, served


async def test_what_has_no_end_is_refused_while_it_is_read(quick: Live) -> None:
    line = b"x-padding: " + b"x" * 100 + b"\r\n"
    endless = {
        "url": (b"GET /", b"a" * 3_000_000),
        "query": (b"GET /livez?", b"a=b&" * 800_000),
        "headers": (b"GET /livez HTTP/1.1\r\n", line * 30_000),
        "small headers": (b"GET /livez HTTP/1.1\r\n", b"a:\r\n" * 800_000),
        "header": (b"GET /livez HTTP/1.1\r\nx: ", b"a" * 3_000_000),
        "name": (b"GET /livez HTTP/1.1\r\n", b"a" * 3_000_000),
        "blank lines": (b"", b"\r\n" * 1_500_000),
        "trailers": (CHUNKED + b"1\r\n{\r\n0\r\n", line * 30_000),
        "trailer": (CHUNKED + b"1\r\n{\r\n0\r\nx: ", b"a" * 3_000_000),
        "chunk line": (CHUNKED + b"1;", b"a" * 3_000_000),
        "chunks": (CHUNKED, b"1\r\n \r\n" * 20_000),
        "chunk lines": (CHUNKED, (b"1;" + b"a" * 1000 + b"\r\n \r\n") * 3000),
    }
    for name, (beginning, rest) in endless.items():
        async with connected(quick) as client:
            await client.send(beginning)
            sending = asyncio.create_task(client.send(rest))
            assert (name, await client.problem()) == (name, (413, "payload_too_large"))
            await sending
    await until_gone(quick)


async def test_a_head_of_just_the_limit_is_read(quick: Live) -> None:
    async with connected(quick) as client:
        # As it is counted: the path, and each header as `name: value` with the end of its line.
        size = 32 * 1024 - len("/livez") - len("host: service\r\n") - len("x: \r\n")
        await client.send(LIVEZ[:-2] + b"x: " + b"a" * size + b"\r\n\r\n")
        assert (await client.answer())[0] == 200
        await client.send(LIVEZ[:-2] + b"x: " + b"a" * (size + 1) + b"\r\n\r\n")
        assert await client.problem() == (413, "payload_too_large")


async def test_spaces_around_the_value_of_a_header_are_not_part_of_it(quick: Live) -> None:
    async with connected(quick) as client:
        spaced = KEY.replace(b": ", b": \t ").replace(b"\r\n", b" \t\r\n")
        await client.send(b"GET /me HTTP/1.1\r\nhost: service \r\n" + spaced + b"x-request-id: spaced \r\n\r\n")
        status, headers, _ = await client.answer()
        assert (status, headers["x-request-id"]) == (200, "spaced")


async def test_headers_have_to_be_complete_in_time(quick: Live) -> None:
    async def refuse(first: bytes, *rest: bytes) -> None:
        async with connected(quick) as client:
            await client.send(first)
            if first.startswith(LIVEZ):
                assert (await client.answer())[0] == 200
            sending = asyncio.create_task(client.send(*rest, every_s=0.04))
            assert await client.problem() == (408, "request_timeout")
            sending.cancel()

    drops = [b"x: y\r\n"] * 100
    await asyncio.gather(
        refuse(b"G", b"E", b"T"),
        refuse(b"GET /livez HTTP/1.1\r\n", *drops),
        refuse(b"GET /livez HTTP/1.1\r\nx-slow: ", *([b"a"] * 100)),
        # On a connection that had a request before, and when the next head began with that request.
        refuse(LIVEZ, b"GET /livez HTTP/1.1\r\n", *drops),
        refuse(LIVEZ + b"GET /li", b"v"),
    )
    async with connected(quick) as client:  # blank lines begin no request: there is nothing to be answered
        await client.send(*[b"\r\n"] * 20, every_s=0.03)
        assert await client.until_closed() == b""


async def test_idle_connections_are_not_held_to_the_time_of_headers(quick: Live) -> None:
    async with connected(quick) as fresh, connected(quick) as used:
        assert await used.is_open()
        async with connected(quick) as slow:
            await slow.send(b"GET")
            await slow.until_closed()
        assert await fresh.is_open()
        assert await used.is_open()


async def test_idle_connections_end_after_their_own_time(sqlite_url: str, tmp_path: Path) -> None:
    async with serve(settings_for(sqlite_url, tmp_path), limits=QUICK | {"idle_s": 0.2}) as live:
        async with connected(live) as fresh, connected(live) as used, connected(live) as rest:
            assert await used.is_open()
            # Its answer comes before the rest of its body: after that it is idle, too.
            await rest.send(POST + b"content-length: 3\r\n\r\nab")
            assert (await rest.answer())[0] == 401
            await rest.send(b"c")
            assert [await each.until_closed() for each in (fresh, used, rest)] == [b"", b"", b""]
        await until_gone(live)


async def test_a_body_has_to_come_at_a_least_rate(quick: Live) -> None:
    async def refuse(first: bytes, *rest: bytes) -> None:
        async with connected(quick) as client:
            sending = asyncio.create_task(client.send(first, *rest, every_s=0.02))
            assert await client.problem() == (408, "request_timeout")
            sending.cancel()

    head = POST + KEY + b"content-length: 1000\r\n\r\n"
    await asyncio.gather(
        refuse(head),
        refuse(head, *[b"a"] * 100),
        refuse(CHUNKED, *[b"1\r\na\r\n"] * 100),
        # Lines of chunks are no body, and neither are trailers.
        refuse(CHUNKED, *[b"1;" + b"a" * 50 + b"\r\na\r\n"] * 100),
        refuse(CHUNKED + b"1\r\n{\r\n0\r\n", *[b"x: y\r\n"] * 100),
    )
    agents = (await (await quick.admin()).get("/agents")).json()["data"]
    assert agents == []


async def test_a_slow_body_at_the_least_rate_is_read(quick: Live) -> None:
    body = b'{"name": ' + b" " * 700 + b'"assistant"}'
    async with connected(quick) as client:
        sent = POST + KEY + b"content-length: %d\r\n\r\n" % len(body)
        await client.send(sent, *[body[at : at + 40] for at in range(0, len(body), 40)], every_s=0.03)
        assert (await client.answer())[0] == 201
        # Chunks of one byte each, which come at once or in pieces, are as good.
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in AGENT) + b"0\r\nx: y\r\n\r\n"
        await client.send(CHUNKED + chunks)
        assert (await client.answer())[0] == 201
        await client.send(CHUNKED, *[chunks[at : at + 1] for at in range(len(chunks))])
        assert (await client.answer())[0] == 201
        assert await client.is_open()


async def test_the_rest_of_a_body_that_is_not_read_has_one_window(quick: Live) -> None:
    async with connected(quick) as client:
        sending = asyncio.create_task(client.send(POST + b"content-length: 9999999\r\n\r\n", *[b"a" * 999] * 400))
        assert (await client.answer())[0] == 401
        sending.cancel()
        await client.until_closed()
    async with connected(quick) as client:
        await client.send(POST + b"content-length: 3\r\n\r\nab")
        assert (await client.answer())[0] == 401
        await client.send(b"c")
        assert await client.is_open()
    await until_gone(quick)


async def test_a_body_that_this_service_does_not_read_is_not_late(tmp_path: Path) -> None:
    body = b"a" * 400_000
    async with serving_slowly(tmp_path) as (slow, live), connected(live) as client, connected(live) as polite:
        head = b"POST /read HTTP/1.1\r\nhost: service\r\ncontent-length: %d\r\n" % len(body)
        sending = asyncio.create_task(client.send(head + b"\r\n" + body))
        await polite.send(head + b"expect: 100-continue\r\n\r\n")
        async with connected(live) as other:
            await other.send(head + b"\r\n" + b"a")
            assert await other.problem() == (408, "request_timeout")
        slow.may_read.set()
        assert (await client.answer())[2] == b'{"size":400000}'
        assert (await polite.answer())[0] == 100
        await polite.send(body)
        assert (await polite.answer())[2] == b'{"size":400000}'
        await sending


async def test_open_streams_are_never_cut(quick: Live) -> None:
    admin = await quick.admin()
    thread = await make_thread(admin)
    head = f"GET /threads/{thread['id']}/events HTTP/1.1\r\nhost: service\r\n".encode() + KEY
    async with (
        connected(quick) as plain,
        connected(quick) as promising,
        connected(quick) as ahead,
        connected(quick) as deaf,
        connected(quick) as slow,
    ):
        await plain.send(head + b"\r\n")
        await promising.send(head + b"content-length: 10\r\n\r\na")
        await ahead.send(head + b"\r\n" + LIVEZ[:10])
        await deaf.send(head + b"\r\nGET /" + b"a" * 100_000)
        streams = (plain, promising, ahead, deaf)
        for stream in streams:
            assert b"text/event-stream" in await stream.reader.readuntil(b"\r\n\r\n")
        await slow.send(b"GET")
        await slow.until_closed()
        await asyncio.sleep(2 * QUICK["body_window_s"])
        await admin.post(f"/threads/{thread['id']}/messages", json={"content": "Hello!"})
        for stream in streams:
            async with asyncio.timeout(TIMEOUT_S):
                await stream.reader.readuntil(b"event: run.completed")


async def test_requests_that_are_sent_ahead_are_answered_in_their_order(quick: Live) -> None:
    async with connected(quick) as client:
        agents = b"GET /agents HTTP/1.1\r\nhost: service\r\n\r\n"
        post = POST + KEY + b"content-length: %d\r\n\r\n" % len(AGENT) + AGENT
        await client.send(LIVEZ + agents + post + LIVEZ)
        assert [(await client.answer())[0] for _ in range(4)] == [200, 401, 201, 200]
        assert await client.is_open()
    async with connected(quick) as client:  # more than any client means to send: what is not answered was not begun
        await client.send(LIVEZ * 2000)
        answers = await client.until_closed()
        assert answers.count(b"HTTP/1.1 200") == 33
        assert answers.count(b"connection: close") == 1


async def test_http_1_0_and_other_protocols(quick: Live) -> None:
    async with connected(quick) as client:
        await client.send(b"GET /livez HTTP/1.0\r\n\r\n")
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "close")
        await client.until_closed()
    asks = b"connection: upgrade\r\nupgrade: h2c\r\n"
    async with connected(quick) as client:
        await client.send(LIVEZ[:-2] + asks + b"\r\n")
        assert (await client.answer())[0] == 200
        assert await client.is_open()
        # The parser skips such a body: what comes of it later would be the next request.
        await client.send(POST + KEY + asks + b"content-length: %d\r\n\r\n" % len(AGENT), AGENT)
        assert await client.problem() == (400, "invalid_request")
    await until_gone(quick)


async def test_a_client_that_does_not_take_its_answers_is_cut(quick: Live) -> None:
    ask = b"GET /openapi.json HTTP/1.1\r\nhost: service\r\n"
    admin = await quick.admin()
    thread = await make_thread(admin)
    follow = f"GET /threads/{thread['id']}/events HTTP/1.1\r\nhost: service\r\n".encode() + KEY
    sent = [(ask + b"\r\n") * 30, (ask + b"\r\n") * 20 + ask + b"connection: close\r\n\r\n", follow + b"\r\n"]
    sockets = [await deaf_socket(quick, each) for each in sent]
    for _ in range(30):
        await admin.post(f"/threads/{thread['id']}/messages", json={"content": "x" * 99_000})
    await until_gone(quick, 2)  # the admin's and the stream's
    # A stream waits for its client, however long that takes.
    assert [each for each in connections_of(quick) if each.flow.write_paused]
    reader, writer = await asyncio.open_connection(sock=sockets[-1], limit=10_000_000)
    async with asyncio.timeout(TIMEOUT_S):
        for _ in range(30):
            await reader.readuntil(b"event: run.completed")
    writer.close()
    for each in sockets:
        each.close()
