"""What a turn costs through the door of MCP, against our own stream."""

from collections.abc import Mapping

from bench.client import Client, Unexpected, request
from bench.target import QUESTION, Target, all_of

_WARM_UP = 50
_VERSION = "2026-07-28"
_NEWEST = {
    "io.modelcontextprotocol/protocolVersion": _VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def cpu_ms_of_call(target: Target, model: str, *, count: int, at_once: int, newest: bool) -> float:
    """Processor time of a call of an agent's tool, streamed, with progress; in the newest revision or an older one."""
    (tool,) = (await _list_tools(target))[:1]
    threads = await target.threads(model, at_once)
    clients = [await Client.connect(target.service.port) for _ in threads]
    left = 0

    async def run(client: Client, call: bytes) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            answer = await client.send(call, mark=b"notifications/progress")
            if answer.status != 200 or b'"isError":false' not in answer.tail:
                raise Unexpected(f"a call failed: {answer.status} {answer.tail[-2000:].decode()}")

    async def run_all(number: int) -> None:
        nonlocal left
        left = number
        calls = [_call(target, tool, thread, newest=newest) for thread in threads]
        await all_of([run(client, call) for client, call in zip(clients, calls, strict=True)])

    await run_all(_WARM_UP)
    before = target.service.cpu_s()
    await run_all(count)
    spent_s = target.service.cpu_s() - before
    for client in clients:
        client.close()
    return spent_s / count * 1000


async def _list_tools(target: Target) -> list[str]:
    listed = await target.call("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    return [tool["name"] for tool in listed["result"]["tools"]]


def _call(target: Target, tool: str, thread_id: str, *, newest: bool) -> bytes:
    meta = {"progressToken": "p", **(_NEWEST if newest else {})}
    params = {"name": tool, "arguments": {"message": QUESTION, "thread_id": thread_id}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    asked = request("POST", "/mcp", key=target.key, body=body, accept="application/json, text/event-stream")
    headers = {"mcp-protocol-version": _VERSION, "mcp-method": "tools/call", "mcp-name": tool} if newest else {}
    return _with_headers(asked, headers)


def _with_headers(asked: bytes, headers: Mapping[str, str]) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return asked.replace(b"\r\n", b"\r\n" + more, 1)
