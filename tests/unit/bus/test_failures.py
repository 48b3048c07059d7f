"""What is said where Redis cannot be used: the true cause, with its place and without its password."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from ai_agents.bus.failures import check_url, find_fault
from ai_agents.bus.redis import RedisBus
from ai_agents.core.exceptions import InvalidRequest
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

SECRET = "a-secret-password"


@asynccontextmanager
async def answering(answer: bytes) -> AsyncGenerator[int]:
    """A server that gives this answer to whatever it is sent, or closes the connection; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096) and answer:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_redis_that_answers_has_no_fault_and_one_without_a_password_takes_none(
    redis_server: RedisServer,
) -> None:
    place = f"127.0.0.1:{redis_server.port}"

    assert await find_fault(f"redis://{place}/0") is None
    assert await find_fault(f"redis://:{SECRET}@{place}/0") == (
        f"Redis at {place} has no password, but the address has one."
    )
    assert await find_fault(f"redis://{place}/9999") == f"Redis at {place} has no database of this number."


@pytest.mark.parametrize(
    "answer, meaning",
    [
        (b"-WRONGPASS invalid username-password pair or user is disabled.\r\n", "refuses the password."),
        (b"-NOAUTH Authentication required.\r\n", "asks for a password, and the address has none."),
        (b"-ERR max number of clients reached\r\n", "has no connection left (maxclients)."),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "is still loading its data."),
        (b"", "closed the connection: it may expect TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not answer as a Redis"),
    ],
)
async def test_what_a_redis_answers_has_a_sentence(answer: bytes, meaning: str) -> None:
    async with answering(answer) as port:
        said = await find_fault(f"redis://:{SECRET}@127.0.0.1:{port}/0")

    assert said is not None
    assert said.startswith(f"Redis at 127.0.0.1:{port} {meaning}")
    assert SECRET not in said


async def test_the_log_of_a_process_that_finds_no_redis_says_why(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    bus = RedisBus(f"redis://:{SECRET}@127.0.0.1:{port}/0")
    with caplog.at_level(logging.WARNING):
        await bus.open()
    await bus.close()

    [record] = [each for each in caplog.records if each.message.startswith("not connected to Redis")]
    assert record.__dict__["reason"] == f"Redis does not listen at 127.0.0.1:{port}: the connection was refused."
    assert record.exc_info is None


@pytest.mark.parametrize(
    "url", ["http://x", "x", "", "redis://", "redis://host:abc/0", "redis://host:99999/0", "unix://", "redis:host"]
)
@pytest.mark.parametrize("use", [check_url, RedisBus])
def test_an_address_that_is_none_is_refused_with_an_example(url: str, use: Callable[[str], object]) -> None:
    with pytest.raises(InvalidRequest, match="like redis://host:6379/0"):
        use(url)
