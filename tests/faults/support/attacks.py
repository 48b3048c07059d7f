"""What strangers do to a service: `python -m tests.faults.support.attacks PORT NAME CONNECTIONS SECONDS`.

A process of its own, so that it takes no time from the clients that the tests measure. It prints how many connections
were answered with which status (0: closed without one).
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

_HEAD = b"GET /threads HTTP/1.1\r\nhost: service\r\n"
_POST = b"POST /agents HTTP/1.1\r\nhost: service\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
_PIECE = 256 * 1024
_PAUSE_S = 0.5


def _pieces(name: str) -> Iterator[bytes]:
    """What one connection sends. An empty piece is a pause."""
    match name:
        case "headers":
            yield _HEAD
            line = b"x-padding: " + b"x" * 1000 + b"\r\n"
            yield from [line * 256] * 80
        case "url":
            yield b"GET /"
            yield from [b"a" * _PIECE] * (60_000_000 // _PIECE)
        case "half_open":
            yield _HEAD
        case "slow_headers":
            yield _HEAD
            while True:
                yield b""
                yield b"x: y\r\n"
        case "slow_bodies":
            yield _POST
            while True:
                yield b""
                yield b"a"
        case "chunks":
            yield _POST.replace(b"content-length: 100000", b"transfer-encoding: chunked")
            while True:
                yield b"1\r\na\r\n" * 10_000


async def _attack(port: int, name: str, until: float, statuses: Counter[int]) -> None:
    """Connect again and again, each time with everything that the service takes."""
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            statuses[-1] += 1
            await asyncio.sleep(_PAUSE_S)
            continue
        sending = asyncio.create_task(_send(writer, name))
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                answer = await reader.read(16)
            statuses[int(answer[9:12]) if len(answer) == 16 else 0] += 1
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                while await reader.read(_PIECE):
                    pass
        except ConnectionError:
            statuses[0] += 1
        except TimeoutError:
            pass
        finally:
            sending.cancel()
            writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, name: str) -> None:
    try:
        for piece in _pieces(name):
            if piece:
                writer.write(piece)
                await writer.drain()
            else:
                await asyncio.sleep(_PAUSE_S)
    except ConnectionError:
        pass


async def _main(port: int, name: str, connections: int, seconds: float) -> None:
    statuses: Counter[int] = Counter()
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_attack(port, name, until, statuses))
    print(dict(statuses))  # noqa: T201  # read by the test


if __name__ == "__main__":
    os.nice(10)  # strangers have machines of their own
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
