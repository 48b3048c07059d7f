"""What is measured of tools and guardrails: how the service breathes while tools block, and what judging costs."""

import asyncio
import time
from statistics import quantiles

from bench.client import Client, request
from bench.target import Target, all_of

_AT_ONCE = 50
_PAUSE_S = 0.005
GUARDRAILS = [
    {"type": "pii"},
    {"type": "secrets"},
    {"type": "blocklist", "patterns": [f"forbidden word {number}" for number in range(50)]},
]


async def blocking_tools(target: Target) -> dict[str, float]:
    """How long `/livez` takes while 50 tools block their threads at once."""
    agent = await target.call(
        "POST", "/agents", {"name": "blocking", "provider": "echo", "model": "echo", "tools": ["block"]}
    )
    threads = [(await target.call("POST", "/threads", {"agent_id": agent["id"]}))["id"] for _ in range(_AT_ONCE)]
    running = asyncio.ensure_future(
        all_of(
            [target.call("POST", f"/threads/{thread}/messages", {"content": "/tool block {}"}) for thread in threads]
        )
    )
    took: list[float] = []
    client = await Client.connect(target.service.port)
    while not running.done():
        began = time.perf_counter()
        await client.send(request("GET", "/livez", key=target.key))
        took.append(time.perf_counter() - began)
        await asyncio.sleep(_PAUSE_S)
    client.close()
    assert all("done" in answer["content"] for answer in await running)
    percentiles = quantiles(took, n=100)
    return {
        "livez_with_50_blocking_tools_ms_p50": percentiles[49] * 1000,
        "livez_with_50_blocking_tools_ms_p99": percentiles[98] * 1000,
        "livez_with_50_blocking_tools_ms_max": max(took) * 1000,
    }
