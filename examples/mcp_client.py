"""The MCP door: an agent of the service is a tool for any host of the Model Context Protocol.

AI_AGENTS_URL=http://127.0.0.1:8000 AI_AGENTS_KEY=<key> python mcp_client.py
"""

import asyncio
import os
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def show(progress: float, total: float | None, message: str | None) -> None:
    """Print a piece of the answer, as it is written."""
    print(message or "", end="")


async def main() -> None:
    """Ask an agent, and go on in the same thread."""
    headers = {"authorization": f"Bearer {os.environ['AI_AGENTS_KEY']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=600) as http:
        transport = streamable_http_client(f"{os.environ['AI_AGENTS_URL']}/mcp", http_client=http)
        async with Client(transport) as client:
            tools = (await client.list_tools()).tools
            print("tools:", [tool.title for tool in tools])
            tool = tools[0].name  # that of the newest agent
            print("streamed: ", end="")
            first = await client.call_tool(tool, {"message": "Hello!"}, progress_callback=show)
            said: dict[str, Any] = first.structured_content or {}
            second = await client.call_tool(tool, {"message": "And again.", "thread_id": said["thread_id"]})
            said = second.structured_content or {}
            print("\nin the same thread:", said["text"])


asyncio.run(main())
