"""Listings of MCP servers in which something is odd: it is left out with a reason, and everything else stays."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ai_agents.core.table_rows import OfferedTool, ServerTools
from ai_agents.tools.mcp import McpServer, McpTool
from ai_agents.tools.outbound import Outbound
from tests.fakes.http_server import HttpServer
from tests.fakes.mcp_wire import LEGACY, MODERN, TOOL, McpWire
from tests.unit.tools.test_mcp import ignore

KEY = "a-key-that-must-not-be-seen"
STRING = {"type": "string"}


@pytest.fixture
async def http() -> AsyncIterator[HttpServer]:
    async with HttpServer() as opened:
        yield opened


@pytest.fixture(params=[LEGACY, MODERN])
def wire(request: pytest.FixtureRequest, http: HttpServer) -> McpWire:
    return McpWire(http, version=request.param)


@pytest.fixture
def server(http: HttpServer) -> McpServer:
    return McpServer("shop", http.url("/mcp"), Outbound([http.host]), headers={"x-api-key": KEY})


def names(listing: ServerTools) -> list[str]:
    return [tool["name"] for tool in listing["tools"]]


async def approve(server: McpServer) -> OfferedTool:
    return next(tool for tool in (await server.list_tools())["tools"] if tool["name"] == "pay")


ODD: dict[str, tuple[Any, str]] = {
    "no object": ("pay2", "Its name is not"),
    "null": (None, "Its name is not"),
    "a number as name": ({"name": 7}, "Its name is not"),
    "no name": ({"name": None}, "Its name is not"),
    "a name with a slash": ({"name": "a/b"}, "Its name is not"),
    "an empty schema": ({"inputSchema": {}}, 'is not of type "object"'),
    "no schema": ({"inputSchema": None}, "Its inputSchema cannot be read"),
    "a schema that is a list": ({"inputSchema": []}, "Its inputSchema cannot be read"),
    "a schema of an array": ({"inputSchema": {"type": "array"}}, 'is not of type "object"'),
    "a schema that is none": ({"inputSchema": {"type": "object", "properties": []}}, "is not a JSON Schema"),
    "annotations that are a text": ({"annotations": "read only"}, "Its annotations cannot be read"),
    "an odd hint": ({"annotations": {"readOnlyHint": "who knows"}}, "Its annotations.readOnlyHint cannot be read"),
    "an output schema that is a text": ({"outputSchema": "a text"}, "Its outputSchema cannot be read"),
    "an output schema that is a list": ({"outputSchema": [STRING]}, "Its outputSchema cannot be read"),
    "a description that is a list": ({"description": ["Pays."]}, "Its description cannot be read"),
    "a title that is a number": ({"title": 7}, "Its title cannot be read"),
    "icons that are a text": ({"icons": "icon.png"}, "Its icons cannot be read"),
    "meta that is a list": ({"_meta": []}, "Its _meta cannot be read"),
    "a long description": ({"description": "x" * 9000}, "Its description is longer"),
    "a large number": ({"inputSchema": {"type": "object", "maxProperties": 2**70}}, "is not JSON"),
}


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_tool_is_left_out_with_its_reason_and_the_others_work(
    wire: McpWire, server: McpServer, odd: str
) -> None:
    changes, reason = ODD[odd]
    tool = McpTool(server, await approve(server), ignore)
    wire.lists(TOOL | {"name": "odd"} | changes if isinstance(changes, dict) else changes, TOOL)
    server.listed_at = float("-inf")
    assert await tool.execute() == "paid"
    listing = await server.list_tools()
    assert names(listing) == ["pay"]
    (left_out,) = listing["left_out"]
    assert reason in left_out["reason"]


async def test_a_tool_that_asks_for_an_impossible_header_is_left_out(http: HttpServer, server: McpServer) -> None:
    """The current version of MCP wants it so; an older one does not know such headers."""
    properties = {"x": {"type": "object", "x-mcp-header": "X"}}
    odd = TOOL | {"name": "odd", "inputSchema": {"type": "object", "properties": properties}}
    McpWire(http).lists(odd, TOOL)
    listing = await server.list_tools()
    assert names(listing) == ["pay"]
    assert "asks for a header that cannot be sent" in listing["left_out"][0]["reason"]


async def test_an_approved_tool_that_becomes_odd_is_off_alone(wire: McpWire, server: McpServer) -> None:
    tool = McpTool(server, await approve(server), ignore)
    wire.lists(TOOL | {"inputSchema": {}}, TOOL | {"name": "ask"})
    server.listed_at = float("-inf")
    with pytest.raises(Exception, match="does not offer this tool any more"):
        await tool.execute()
    assert names(await server.list_tools()) == ["ask"]
    wire.lists(TOOL)
    server.listed_at = float("-inf")
    assert await tool.execute() == "paid"


async def test_two_tools_of_one_name_are_told_of(wire: McpWire, server: McpServer) -> None:
    wire.lists(TOOL, TOOL | {"description": "Pays twice."}, TOOL)
    listing = await server.list_tools()
    assert [tool["description"] for tool in listing["tools"]] == ["Pays."]
    assert listing["left_out"] == [
        {"name": "pay", "reason": "The server describes two tools of this name; the first one counts."}
    ]


@pytest.mark.parametrize("cursors", [["again"], ["a", "b", "c"]], ids=["one", "a_ring"])
async def test_pages_in_a_loop_are_read_once(wire: McpWire, server: McpServer, cursors: list[str]) -> None:
    asked: list[Any] = []

    def page(params: dict[str, Any]) -> dict[str, Any]:
        asked.append(params.get("cursor"))
        following = cursors[(cursors.index(asked[-1]) + 1) % len(cursors)] if asked[-1] else cursors[0]
        return {"tools": [TOOL | {"name": f"{asked[-1] or 'pay'}"}], "nextCursor": following}

    wire.listing = page
    listing = await server.list_tools()
    assert names(listing) == ["pay", *cursors]
    assert listing["left_out"] == []
    assert asked == [None, *cursors]


@pytest.mark.parametrize("cursor", [7, {}, ["a"]], ids=str)
async def test_an_odd_cursor_ends_the_listing(wire: McpWire, server: McpServer, cursor: Any) -> None:
    wire.listing = lambda _params: {"tools": [TOOL], "nextCursor": cursor}
    assert names(await server.list_tools()) == ["pay"]
    assert wire.methods.count("tools/list") == 1


async def test_what_else_stands_on_a_page_may_be_odd(wire: McpWire, server: McpServer) -> None:
    wire.listing = lambda _params: {"tools": [TOOL], "ttlMs": "soon", "cacheScope": 7, "_meta": [], "more": None}
    assert names(await server.list_tools()) == ["pay"]


async def test_endless_pages_of_a_listing_are_not_followed(wire: McpWire, server: McpServer) -> None:
    numbers = iter(range(10_000))
    wire.listing = lambda _params: {"tools": [TOOL], "nextCursor": f"page {next(numbers)}"}
    listing = await server.list_tools()
    assert names(listing) == ["pay"]
    assert listing["left_out"][0]["name"] == "(others)"
    assert wire.methods.count("tools/list") == 100


async def test_approved_tools_are_found_in_a_list_of_ten_thousand(wire: McpWire, server: McpServer) -> None:
    tool = McpTool(server, await approve(server), ignore)

    def page(params: dict[str, Any]) -> dict[str, Any]:
        first = int(params.get("cursor") or 0)
        tools = [TOOL | {"name": f"tool{number}"} for number in range(first, first + 200)]
        last = {"tools": [*tools, TOOL]}
        return last if first == 9_800 else {"tools": tools, "nextCursor": str(first + 200)}

    wire.listing = page
    server.listed_at = float("-inf")
    assert await tool.execute() == "paid"
    listing = await server.list_tools(keep=["pay"])
    assert len(listing["tools"]) == 256
    assert listing["tools"][0]["name"] == "pay"
    reasons = {each["name"]: each["reason"] for each in listing["left_out"]}
    assert reasons["(others)"] == "The server lists more tools than are read (1024)."
    assert reasons["tool300"] == "At most 256 tools of a server are offered."


async def test_no_reason_has_the_secret_or_ends_its_line(wire: McpWire, server: McpServer) -> None:
    wire.lists({"name": f"[{KEY}]\n\0"}, TOOL | {"name": "b", "annotations": {"title": [KEY]}}, TOOL)
    listing = await server.list_tools()
    assert KEY not in str(listing)
    assert [each["name"] for each in listing["left_out"]] == [".[redacted]...".replace("[", ".").replace("]", "."), "b"]


async def test_half_an_emoji_takes_no_tool_down(wire: McpWire, server: McpServer) -> None:
    wire.lists(TOOL, TOOL | {"name": "cut", "description": "A long text, cut in \ud83d"})
    assert [tool["description"] for tool in (await server.list_tools())["tools"]] == [
        "Pays.",
        "A long text, cut in \ufffd",
    ]
