"""An MCP server without the SDK, in the current protocol or the one before, for answers that the SDK never sends."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.fakes.http_server import Asked, HttpServer, reply, reply_json

MODERN = "2026-07-28"
LEGACY = "2025-06-18"
Give = Callable[[dict[str, Any]], dict[str, Any] | None]
TOOL: dict[str, Any] = {"name": "pay", "description": "Pays.", "inputSchema": {"type": "object"}}


class McpWire:
    """Speaks MCP on `/mcp` of a server. `listing` and `result` give what is answered to a listing and to a call: a
    result, `{"error": …}`, or None for silence. `refuse` may answer a request with bytes of its own instead.
    `methods` is what was asked for, `params` with what parameters.
    """

    def __init__(self, http: HttpServer, *, version: str = MODERN) -> None:
        self.version = version
        self.methods: list[str] = []
        self.listing: Give = lambda _params: {"tools": [TOOL]}
        self.result: Give = lambda _params: {"content": [{"type": "text", "text": "paid"}]}
        self.params: list[dict[str, Any]] = []
        self.refuse: Callable[[str], bytes | None] = lambda _method: None
        self.on_delete: Callable[[asyncio.StreamWriter], Any] | None = None
        http.on("/mcp", self._answer)

    def lists(self, *tools: dict[str, Any]) -> None:
        """List these tools from now on."""
        self.listing = lambda _params: {"tools": list(tools)}

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.method == "DELETE" and self.on_delete is not None:
            await self.on_delete(writer)
        if asked.method != "POST":
            writer.write(reply(b"no", status="405 Method Not Allowed"))
            return
        message = json.loads(asked.body)
        self.methods.append(message["method"])
        self.params.append(message.get("params") or {})
        if (refusal := self.refuse(message["method"])) is not None:
            writer.write(refusal)
            return
        if "id" not in message:
            writer.write(reply(status="202 Accepted"))
            return
        result = self._result(message["method"], message.get("params") or {})
        if result is None:
            await asyncio.sleep(3600)
        elif "error" in result:
            writer.write(reply_json({"jsonrpc": "2.0", "id": message["id"], **result}))
        else:
            head = {"resultType": "complete"} if self.version == MODERN else {}
            body = {"jsonrpc": "2.0", "id": message["id"], "result": head | result}
            more = "mcp-session-id: a-session\r\n" if message["method"] == "initialize" else ""
            writer.write(reply(json.dumps(body).encode(), kind="application/json", more=more))

    def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        about: dict[str, Any] = {"capabilities": {"tools": {}}, "serverInfo": {"name": "shop", "version": "1"}}
        match method, self.version:
            case "server/discover", "2026-07-28":
                return about | {"supportedVersions": [MODERN], "ttlMs": 0, "cacheScope": "public"}
            case "initialize", "2025-06-18":
                return about | {"protocolVersion": LEGACY}
            case "tools/list", _:
                given = self.listing(params)
                return given if given is None else {"ttlMs": 0, "cacheScope": "public"} | given
            case "tools/call", _:
                return self.result(params)
        return {"error": {"code": -32601, "message": "Method not found"}}
