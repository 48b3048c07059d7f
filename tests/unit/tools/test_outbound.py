"""Requests to addresses from outside: none reaches a private network by any spelling of its address."""

import _socket
import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ai_agents.core import tracing
from ai_agents.tools.outbound import Outbound, OutboundFailed, OutboundRefused, is_public
from tests.fakes.http_server import Asked, HttpServer, redirect, reply
from tests.support.spans import kept_spans

# Each means this machine, or a network that is not the Internet; the port is that of a server here.
SPELLINGS = [
    "127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7F.1", "017700000001",
    "0177.0.0.1", "0177.0.0.01", "127.0.0.1.", "0", "0.0.0.0", "0x0", "localhost", "LOCALHOST", "localhost.",
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fc00::1]", "[fd12:3456::1]",
    "[ff02::1]", "[2001:0:7f00:1::]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.0.8", "198.18.0.1", "224.0.0.1", "255.255.255.255", "[::ffff:10.0.0.1]", "[::ffff:a9fe:a9fe]",
    "\u2460\u2461\u2466.0.0.1", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "lOcAlHoSt",
    "user@127.0.0.1", "example.com@127.0.0.1",
]  # fmt: skip
assert len(set(SPELLINGS)) >= 40


async def numeric(host: str, port: int) -> list[str]:
    """Resolve numeric addresses and `localhost` as the system does, without a name server."""
    if host.lower().rstrip(".") == "localhost":
        return ["127.0.0.1", "::1"]
    found = _socket.getaddrinfo(host.rstrip("."), port, 0, _socket.SOCK_STREAM, 0, _socket.AI_NUMERICHOST)
    return [str(entry[4][0]) for entry in found]


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        opened.on("/", reply(b"you are in"))
        yield opened


@pytest.fixture
async def target() -> AsyncIterator[HttpServer]:
    """A server that must not be reached."""
    async with HttpServer() as opened:
        opened.on("/", reply(b"you are in"))
        yield opened


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_private_addresses_are_refused(server: HttpServer, target: HttpServer, spelling: str) -> None:
    address = f"http://{spelling}:{target.port}/"
    outbound = Outbound([server.host], resolve=numeric)
    with pytest.raises((OutboundRefused, OutboundFailed)):
        await outbound.request("GET", address, timeout_s=5)
    server.on("/away", redirect(address))
    with pytest.raises((OutboundRefused, OutboundFailed)):
        await outbound.request("GET", server.url("/away"), timeout_s=5)
    await outbound.aclose()
    assert target.connections == 0
    assert server.connections == 1


@pytest.mark.parametrize("own", ["127.0.0.1", "127.0.0.1:{port}", "api.internal", "127.0.0.1:1", ""])
async def test_only_servers_of_the_operator_are_told_the_trace(
    server: HttpServer, target: HttpServer, own: str
) -> None:
    hosts = [own.format(port=server.port)] if own else []
    outbound = Outbound(["127.0.0.1"], resolve=numeric, trace=hosts)
    server.on("/away", redirect(target.url("/")))
    with kept_spans(), tracing.spanned("outer", {}) as span:
        await outbound.request("GET", server.url("/away"))
        expected = tracing.traceparent_of(span)
    await outbound.request("GET", server.url("/"))
    await outbound.aclose()
    is_told = own in {"127.0.0.1", "127.0.0.1:{port}"}
    first, later = (asked.headers.get("traceparent") for asked in server.asked)
    assert first == (expected if is_told else None)
    assert later is None
    # A redirect leads to a server of others, unless its host is named.
    assert target.asked[0].headers.get("traceparent") == (expected if own == "127.0.0.1" else None)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "10.1.2.3", "169.254.169.254", "64:ff9b::7f00:1", "fd00::1",
        "fe80::1%lo", "100.100.100.200", "2002:7f00:1::1",
    ],
)  # fmt: skip
async def test_no_name_leads_to_a_private_address(target: HttpServer, address: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return [address]

    async def mixed(host: str, port: int) -> list[str]:
        return ["93.184.215.14", address]

    for each in (resolve, mixed):
        with pytest.raises(OutboundRefused):
            await Outbound(resolve=each).request("GET", f"http://rebind.example:{target.port}/", timeout_s=5)
    assert target.connections == 0


async def test_the_connection_goes_to_the_address_that_was_checked(server: HttpServer) -> None:
    """The name is not looked up again, so that a name server that changes its answer has no effect."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    outbound = Outbound([f"api.internal:{server.port}"], resolve=resolve)
    response = await outbound.request("GET", f"http://api.internal:{server.port}/")
    assert (response.status, response.body, asked) == (200, b"you are in", ["api.internal"])
    assert server.asked[0].headers["host"] == f"api.internal:{server.port}"
    await outbound.aclose()


@pytest.mark.parametrize("allowed", ["{host}", "127.0.0.1", "LOCALHOST"])
async def test_hosts_on_the_allow_list_can_be_reached(server: HttpServer, allowed: str) -> None:
    outbound = Outbound([allowed.format(host=server.host)], resolve=numeric)
    name = "localhost" if allowed == "LOCALHOST" else "127.0.0.1"
    assert (await outbound.request("GET", f"http://{name}:{server.port}/")).body == b"you are in"
    with pytest.raises(OutboundRefused):
        await outbound.request("GET", f"http://127.0.0.3:{server.port}/")
    await outbound.aclose()


async def test_an_allowed_port_allows_no_other_port(server: HttpServer, target: HttpServer) -> None:
    outbound = Outbound([server.host], resolve=numeric)
    with pytest.raises(OutboundRefused):
        await outbound.request("GET", target.url())
    await outbound.aclose()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.com/", "//example.com", "", "http://", "http://[::1", "javascript:1"]
)
async def test_only_http_and_https_are_allowed(url: str) -> None:
    with pytest.raises((OutboundRefused, OutboundFailed)):
        await Outbound(resolve=numeric).request("GET", url)


@pytest.mark.parametrize(
    "address,public",
    [("93.184.215.14", True), ("2606:2800:21f:cb07::1", True), ("64:ff9b::5db8:d70e", True),
     ("::ffff:93.184.215.14", True),
     ("nonsense", False), ("", False), ("2001:db8::1", False), ("192.88.99.1", False), ("240.0.0.1", False)],
)  # fmt: skip
def test_public_addresses_are_distinguished_from_others(address: str, public: bool) -> None:
    assert is_public(address) is public


# Redirects.


async def test_redirects_are_followed_up_to_a_limit(server: HttpServer) -> None:
    outbound = Outbound([server.host], resolve=numeric)
    server.on("/1", redirect("/2"))
    server.on("/2", redirect(server.url("/")))
    server.on("/loop", redirect("/loop"))
    assert (await outbound.request("GET", server.url("/1"))).body == b"you are in"
    with pytest.raises(OutboundFailed, match="more than 3 times"):
        await outbound.request("GET", server.url("/loop"))
    await outbound.aclose()


async def test_a_redirect_elsewhere_carries_no_headers_and_no_body(server: HttpServer, target: HttpServer) -> None:
    outbound = Outbound([server.host, target.host], resolve=numeric)
    server.on("/away", redirect(target.url(), "307 Temporary Redirect"))
    headers = {"authorization": "Bearer of-the-first", "x-api-key": "of-the-first"}
    await outbound.request("GET", server.url("/away"), headers=headers)
    assert server.asked[0].headers["authorization"] == "Bearer of-the-first"
    assert "of-the-first" not in str(target.asked)
    with pytest.raises(OutboundRefused):
        await outbound.request("POST", server.url("/away"), headers=headers, content=b"mine")
    assert len(target.asked) == 1
    await outbound.aclose()


# What is sent, and what is not.


async def test_nothing_is_inherited(server: HttpServer, target: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, target.url())
    outbound = Outbound([server.host], resolve=numeric)
    server.on("/", reply(b"ok", more="set-cookie: session=1; path=/\r\n"))
    for _ in range(2):
        await outbound.request("GET", server.url())
    assert target.connections == 0
    assert set(server.asked[1].headers) == {"host", "accept", "accept-encoding", "connection", "user-agent"}
    await outbound.aclose()


# Bytes and time.


async def endless(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x" * 65536)
        await writer.drain()


async def dripping(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silent(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def dying(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")


async def test_no_more_is_read_than_the_limit(server: HttpServer) -> None:
    outbound = Outbound([server.host], resolve=numeric, max_bytes=200_000)
    server.on("/endless", endless)
    response = await outbound.request("GET", server.url("/endless"), timeout_s=10)
    assert (len(response.body), response.cut) == (200_000, True)
    await outbound.aclose()


@pytest.mark.parametrize(
    "answer,sentence", [(dripping, "within 0.3 s"), (silent, "within 0.3 s"), (dying, "broke off")]
)
async def test_a_server_that_is_slow_or_dies_is_one_clear_error(server: HttpServer, answer: Any, sentence: str) -> None:
    outbound = Outbound([server.host], resolve=numeric)
    server.on("/", answer)
    with pytest.raises(OutboundFailed, match=sentence):
        await outbound.request("GET", server.url(), timeout_s=0.3)
    await outbound.aclose()


async def test_a_compressed_answer_is_refused(server: HttpServer) -> None:
    outbound = Outbound([server.host], resolve=numeric)
    bomb = gzip.compress(b"0" * 50_000_000)
    server.on("/", reply(bomb, more="content-encoding: gzip\r\n"))
    with pytest.raises(OutboundFailed):
        await outbound.request("GET", server.url())
    await outbound.aclose()


async def test_compressed_answers_give_their_connections_back(server: HttpServer, target: HttpServer) -> None:
    server.on("/", reply(gzip.compress(b"x"), more="content-encoding: gzip\r\n"))
    outbound = Outbound([server.host, target.host])
    for _ in range(410):
        with pytest.raises(OutboundFailed, match="RemoteProtocolError"):
            await outbound.request("GET", server.url())
    assert (await outbound.request("GET", target.url(), timeout_s=5)).body == b"you are in"


async def test_a_silent_server_delays_no_other_server(server: HttpServer, target: HttpServer) -> None:
    server.on("/", silent)
    outbound = Outbound([server.host, target.host])
    waiting = [asyncio.create_task(outbound.request("GET", server.url())) for _ in range(500)]
    async with asyncio.timeout(60):
        while not server.asked:
            await asyncio.sleep(0.01)
    assert (await outbound.request("GET", target.url(), timeout_s=5)).body == b"you are in"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert server.connections <= 50
    server.on("/", reply(b"awake"))
    assert (await outbound.request("GET", server.url(), timeout_s=5)).body == b"awake"


async def test_a_name_that_is_not_found_in_time_is_one_clear_error(server: HttpServer) -> None:
    async def never(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(3600)
        return []

    outbound = Outbound(resolve=never, connect_timeout_s=0.05)
    with pytest.raises(OutboundFailed, match="ConnectTimeout"):
        await outbound.request("GET", "http://slow.example/", timeout_s=20)


async def test_an_answer_in_single_bytes_does_not_block_the_event_loop(server: HttpServer) -> None:
    async def crumbs(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")

    server.on("/", crumbs)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert len((await Outbound([server.host]).request("GET", server.url())).body) == 20_000
    counting.cancel()
    assert turns > 20_000 / 256
