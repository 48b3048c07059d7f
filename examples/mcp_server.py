"""An MCP server of one's own, and an agent that uses its tools.

An admin connects the server, which the service has to be allowed to reach: AI_AGENTS_OUTBOUND_ALLOW=127.0.0.1 make run
AI_AGENTS_URL=http://127.0.0.1:8000 AI_AGENTS_ADMIN_KEY=<an admin's key> python mcp_server.py
"""

import asyncio
import os
import socket

import uvicorn
from mcp.server.mcpserver import MCPServer

from ai_agents.client import Client

shop = MCPServer("shop")


@shop.tool()
def price(article: str, count: int = 1) -> dict[str, object]:
    """Tells what an article costs."""
    return {"article": article, "price": 7 * count}


async def main() -> None:
    """Serve the tools, and let an agent call one."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(shop.streamable_http_app(), log_level="error"))
    serving = asyncio.create_task(server.serve([listening]))
    async with Client(os.environ["AI_AGENTS_URL"], os.environ["AI_AGENTS_ADMIN_KEY"]) as client:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        await client.request("POST", "/tools", {"type": "mcp", "name": "shop", "url": url})
        try:
            agent = await client.create_agent(name="seller", tools=["shop/*"])
            thread = await client.create_thread(agent["id"])
            # `echo` calls what it is told to call. A real model decides for itself.
            async for event in client.stream(thread["id"], '/tool shop/price {"article": "pen", "count": 3}'):
                if event.type == "tool.completed":
                    print("the tool:", event.data["result"])
                print(event, end="")
        finally:
            await client.request("DELETE", "/tools/shop")
    server.should_exit = True
    await serving


asyncio.run(main())
