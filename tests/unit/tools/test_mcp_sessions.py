"""Servers of the older versions keep sessions, and forget them. Then a new one begins, where that does no harm."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ai_agents.tools.base import ToolError
from ai_agents.tools.mcp import McpServer
from ai_agents.tools.outbound import Outbound
from tests.fakes.http_server import HttpServer, reply
from tests.fakes.mcp_wire import LEGACY, McpWire


@pytest.fixture
async def http() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        yield opened


@pytest.fixture
def wire(http: HttpServer) -> McpWire:
    return McpWire(http, version=LEGACY)


@pytest.fixture
def server(http: HttpServer, wire: McpWire) -> McpServer:
    return McpServer("shop", http.url("/mcp"), Outbound([http.host]))


def error(message: str, *, code: int = -32600, status: str = "404 Not Found") -> bytes:
    body = b'{"jsonrpc": "2.0", "id": null, "error": {"code": %d, "message": "%s"}}' % (code, message.encode())
    return reply(body, status=status, kind="application/json")


def refuse(method: str, answer: bytes, *, times: int) -> Callable[[str], bytes | None]:
    """Answer the first `times` requests of this method so."""
    left = [answer] * times
    return lambda asked: left.pop() if asked == method and left else None


FORGOTTEN = {
    "of the SDK in Python": error("Session not found"),
    "of the SDK in TypeScript": error("Session not found", code=-32001),
    "of a proxy": reply(b"<html>Not found</html>", status="404 Not Found", kind="text/html"),
    "of an empty answer": reply(b"", status="404 Not Found"),
}


@pytest.mark.parametrize("answer", FORGOTTEN)
async def test_a_call_is_made_again_in_a_new_session_where_the_server_forgot_the_first(
    wire: McpWire, server: McpServer, answer: str
) -> None:
    wire.refuse = refuse("tools/call", FORGOTTEN[answer], times=1)
    assert await server.call("pay", {}) == "paid"
    assert (wire.methods.count("initialize"), wire.methods.count("tools/call")) == (2, 2)


async def test_a_session_is_begun_anew_once(wire: McpWire, server: McpServer) -> None:
    wire.refuse = refuse("tools/call", error("Session not found"), times=5)
    with pytest.raises(ToolError, match="Session not found"):
        await server.call("pay", {})
    assert wire.methods.count("tools/call") == 2


NO_SESSION = error("Bad Request: No valid session ID provided", code=-32000, status="400 Bad Request")
UNCLEAR = {
    "in the answer": None,
    "with status 400": NO_SESSION,
    "with status 500": reply(b"session lost", status="500 Oh"),
}


@pytest.mark.parametrize("answer", UNCLEAR)
async def test_a_call_that_may_have_been_carried_out_is_not_made_again(
    wire: McpWire, server: McpServer, answer: str
) -> None:
    """A tool may speak of sessions of its own."""
    refusal = UNCLEAR[answer]
    if refusal is None:
        wire.result = lambda _params: {"error": {"code": -32600, "message": "session not found"}}
    else:
        wire.refuse = refuse("tools/call", refusal, times=1)
    with pytest.raises(ToolError):
        await server.call("pay", {})
    assert wire.methods.count("tools/call") == 1


@pytest.mark.parametrize("answer", [*FORGOTTEN.values(), NO_SESSION])
async def test_a_listing_is_asked_for_again(wire: McpWire, server: McpServer, answer: bytes) -> None:
    wire.refuse = refuse("tools/list", answer, times=1)
    assert [tool["name"] for tool in (await server.list_tools())["tools"]] == ["pay"]
    assert wire.methods.count("tools/list") == 2


async def test_the_pages_of_a_listing_are_read_anew(wire: McpWire, server: McpServer) -> None:
    """A cursor belongs to its session."""
    refusals = iter([None, error("Session not found")])
    wire.refuse = lambda method: next(refusals, None) if method == "tools/list" else None
    wire.listing = page
    assert [tool["name"] for tool in (await server.list_tools())["tools"]] == ["first", "second"]
    cursors = [
        params.get("cursor") for method, params in zip(wire.methods, wire.params, strict=True) if "list" in method
    ]
    assert cursors == [None, "2", None, "2"]


def page(params: dict[str, Any]) -> dict[str, Any]:
    schema = {"inputSchema": {"type": "object"}}
    if params.get("cursor") == "2":
        return {"tools": [{"name": "second", **schema}]}
    return {"tools": [{"name": "first", **schema}], "nextCursor": "2"}


async def test_a_forgotten_session_is_not_ended(http: HttpServer, wire: McpWire, server: McpServer) -> None:
    wire.refuse = refuse("tools/call", error("Session not found"), times=1)
    await server.call("pay", {})
    assert [asked.method for asked in http.asked].count("DELETE") == 1
