"""Hosts of MCP, with the protocol's own SDK and without."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitResult

from ai_agents.testing import tool_call
from tests.api.live import Live

Mode = Literal["legacy", "2026-07-28"]
MODES: list[Mode] = ["legacy", "2026-07-28"]
APPROVED = [{"name": "calculator", "approval": "always"}]
CALL = [tool_call("calculator", expression="6*7")]


@dataclass
class Host:
    """A client of the SDK, with a person who gives `answer`. None: it cannot ask one."""

    client: Client
    asked: list[str] = field(default_factory=list)
    answer: ElicitResult | None = None
    progress: list[tuple[float, str]] = field(default_factory=list)

    async def tool(self, number: int = 0) -> str:
        """The name of an agent's tool, the newest first."""
        return (await self.client.list_tools()).tools[number].name

    async def call(self, tool: str, message: str, **more: str) -> CallToolResult:
        """The result of a tool's call."""
        return await self.client.call_tool(tool, {"message": message, **more}, progress_callback=self._note)

    async def _note(self, progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        self.progress.append((progress, message or ""))


@asynccontextmanager
async def host_of(
    live: Live, user: httpx.AsyncClient, mode: Mode, answer: ElicitResult | None = None
) -> AsyncGenerator[Host]:
    host: Host

    async def ask(context: Any, params: Any) -> ElicitResult:  # the SDK names what it gives
        host.asked.append(params.message)
        assert host.answer is not None
        return host.answer

    headers = {"authorization": user.headers["authorization"]}
    async with httpx2.AsyncClient(headers=headers, timeout=20, trust_env=False) as http:
        transport = streamable_http_client(f"{live.server.address}/mcp", http_client=http)
        client = Client(transport, mode=mode, cache=None, elicitation_callback=None if answer is None else ask)
        async with client:
            host = Host(client, answer=answer)
            yield host


def code_of(result: CallToolResult) -> str:
    """The code of an error."""
    assert result.is_error
    assert result.content[0].type == "text"
    code: str = result.structured_content["code"]
    assert result.content[0].text.startswith(f"{code}: ")
    return code


def rpc(method: str, request_id: int | None = 1, **params: Any) -> dict[str, Any]:
    found = {"jsonrpc": "2.0", "method": method, "params": params}
    return found if request_id is None else found | {"id": request_id}


async def session_of(client: httpx.AsyncClient, **capabilities: Any) -> dict[str, str]:
    """The headers of a session of a revision with `initialize`, by hand."""
    version, info = "2025-11-25", {"name": "test", "version": "1"}
    body = rpc("initialize", protocolVersion=version, capabilities=capabilities, clientInfo=info)
    answer = await client.post("/mcp", json=body)
    assert answer.json()["result"]["protocolVersion"] == version
    return {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": version}


@asynccontextmanager
async def calling(
    client: httpx.AsyncClient, session: dict[str, str], tool: str, request_id: int = 7, **arguments: str
) -> AsyncGenerator[AsyncIterator[dict[str, Any]]]:
    """The messages on the stream of a call."""
    body = rpc("tools/call", request_id, name=tool, arguments={"message": "Go.", **arguments})
    headers = session | {"accept": "application/json, text/event-stream"}
    async with client.stream("POST", "/mcp", json=body, headers=headers) as response:
        assert response.status_code == 200

        async def read() -> AsyncIterator[dict[str, Any]]:
            lines = response.aiter_lines()
            # Something comes at once: some clients give up early.
            assert await anext(lines) == ": ping"
            async for line in lines:
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

        yield read()
