"""Results of MCP tools that are not quite what MCP says: the call was made, and the model reads what can be read."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ai_agents.tools.base import ToolError
from ai_agents.tools.mcp import McpServer
from ai_agents.tools.outbound import Outbound
from tests.fakes.http_server import HttpServer
from tests.fakes.mcp_wire import LEGACY, MODERN, McpWire

PAID = {"type": "text", "text": "paid"}


@pytest.fixture
async def http() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        yield opened


@pytest.fixture(params=[LEGACY, MODERN])
def wire(request: pytest.FixtureRequest, http: HttpServer) -> McpWire:
    return McpWire(http, version=request.param)


@pytest.fixture
def server(http: HttpServer, wire: McpWire) -> McpServer:
    return McpServer("shop", http.url("/mcp"), Outbound([http.host]))


ODD: dict[str, tuple[dict[str, Any], Any]] = {
    "a kind that is not known": ({"content": [{"type": "video", "data": "x"}, PAID]}, "[video, not shown]\npaid"),
    "a block without a kind": ({"content": [{}, PAID]}, "[None, not shown]\npaid"),
    "a block that is a text": ({"content": ["paid"]}, "paid"),
    "a block that is null": ({"content": [None, PAID]}, "null\npaid"),
    "a text that is a number": ({"content": [{"type": "text", "text": 7}]}, "7"),
    "a text without text": ({"content": [{"type": "text"}, PAID]}, "\npaid"),
    "half an emoji": ({"content": [{"type": "text", "text": "paid \ud83d"}]}, "paid \ufffd"),
    "odd annotations": ({"content": [PAID | {"annotations": "x"}]}, "paid"),
    "content that is a text": ({"content": "paid"}, "paid"),
    "content that is null": ({"content": None}, ""),
    "no content": ({"structuredContent": {"sum": 7}}, {"sum": 7}),
    "a list as structured content": ({"content": [PAID], "structuredContent": [1, 2]}, [1, 2]),
    "null as structured content": ({"content": [PAID], "structuredContent": None}, "paid"),
    "no answer to whether it failed": ({"content": [PAID], "isError": None}, "paid"),
    "meta that is a list": ({"content": [PAID], "_meta": []}, "paid"),
    "an image without a type": ({"content": [{"type": "image", "data": "AAAA"}]}, "[image, about 3 bytes, not shown]"),
    "a file without anything": ({"content": [{"type": "resource", "resource": None}]}, "[a file, , not shown]"),
}


@pytest.mark.parametrize("odd", ODD)
async def test_a_call_is_not_lost_for_an_odd_word_in_its_result(wire: McpWire, server: McpServer, odd: str) -> None:
    result, read = ODD[odd]
    wire.result = lambda _params: result
    assert await server.call("pay", {}) == read


@pytest.mark.parametrize("said", [True, "true"])
async def test_an_error_is_one_however_it_is_said(wire: McpWire, server: McpServer, said: Any) -> None:
    wire.result = lambda _params: {"content": [PAID], "structuredContent": {"sum": 7}, "isError": said}
    with pytest.raises(ToolError, match=r"^paid$"):
        await server.call("pay", {})
