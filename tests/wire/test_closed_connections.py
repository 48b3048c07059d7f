"""A server may close a connection that a request is about to use, as llama.cpp's does after each stream."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ai_agents.core.exceptions import ProviderError
from ai_agents.providers.registry import get_provider
from tests.fakes.answers import say
from tests.fakes.frames import CONTENT_TYPES, frames
from tests.wire.requests import MODELS, WIRES, ask, provider_of

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"


async def read_request(reader: asyncio.StreamReader) -> bool:
    """Read one request; returns whether there was one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    return True


@asynccontextmanager
async def closing_server(wire: str, *, answers: int) -> AsyncIterator[tuple[str, list[int]]]:
    """Its address, and the number of requests on each of its connections: it answers so many and closes at the next."""
    body = b"".join(each for each in frames(wire, say("Hello"), MODELS[wire]) if isinstance(each, bytes))
    answer = _HEAD % CONTENT_TYPES[wire].encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    counts: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(counts)
        counts.append(0)
        while await read_request(reader):
            counts[number] += 1
            if counts[number] > answers:
                break
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", counts


@pytest.mark.parametrize("wire", WIRES)
async def test_a_request_on_a_closed_connection_is_sent_once_more_at_once(wire: str) -> None:
    async with closing_server(wire, answers=1) as (address, counts):
        key = {} if wire == "ollama" else {"api_key": "a-key"}
        provider = get_provider(provider_of(wire), base_url=address, max_retries=0, **key)

        texts = [(await provider.complete(ask(wire))).text for _ in range(3)]

        await provider.aclose()
    assert texts == ["Hello"] * 3
    assert counts == [2, 2, 1]


@pytest.mark.parametrize("wire", WIRES)
async def test_a_server_that_never_answers_is_asked_twice(wire: str) -> None:
    async with closing_server(wire, answers=0) as (address, counts):
        key = {} if wire == "ollama" else {"api_key": "a-key"}
        provider = get_provider(provider_of(wire), base_url=address, max_retries=0, **key)

        with pytest.raises(ProviderError) as caught:
            await provider.complete(ask(wire))

        await provider.aclose()
    assert caught.value.retryable
    assert counts == [1, 1]
