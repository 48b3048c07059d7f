"""Requests to providers go through the proxy that the environment names, as those of other programs do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ai_agents.core.exceptions import ProviderError
from ai_agents.providers.registry import get_provider
from tests.wire.requests import WIRES, ask, provider_of


@asynccontextmanager
async def a_proxy() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Its address, and the first lines of the requests that it has refused."""
    lines: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", lines


@pytest.mark.parametrize("wire", WIRES)
async def test_a_proxy_of_the_environment_is_used_but_for_hosts_that_are_excepted(
    wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {} if wire == "ollama" else {"api_key": "a-key"}
    async with a_proxy() as (address, lines):
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("no_proxy", "127.0.0.2")
        through = get_provider(provider_of(wire), base_url="http://127.0.0.3:9/v1", max_retries=0, **key)
        past = get_provider(provider_of(wire), base_url="http://127.0.0.2:9/v1", max_retries=0, **key)

        with pytest.raises(ProviderError, match="403"):
            await through.complete(ask(wire))
        with pytest.raises(ProviderError, match="cannot be reached"):
            await past.complete(ask(wire))
        await through.aclose()
        await past.aclose()

    assert len(lines) == 1
    assert lines[0].startswith(b"POST http://127.0.0.3:9/v1/")
