"""A provider that costs next to nothing, as a process: `python -m bench.provider` prints its port.

It speaks Chat Completions. The model's name says how it answers: `words-50` is 50 words in one write, `words-50-at-20`
the same at 20 words a second, each in a write of its own.
"""

import asyncio
import heapq
import itertools
import re
import signal
from functools import lru_cache
from typing import cast

import orjson
import uvloop

_MODEL = re.compile(rb'"model":\s*"words-(\d+)(?:-at-(\d+))?"')
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
_REFUSAL = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"
_LAST = b"0\r\n\r\n"
# Writes that are due within this time of each other are made in one go.
_TICK_S = 0.001


@lru_cache
def answer(words: int) -> list[bytes]:
    """The chunks of an answer: its first, one for each word, and what ends it."""
    common = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1763769600, "model": "bench"}

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        return b"data: %b\n\n" % orjson.dumps(common | {"choices": choices, "usage": None})

    usage = {"prompt_tokens": 11, "completion_tokens": words, "total_tokens": 11 + words}
    end = orjson.dumps(common | {"choices": [], "usage": usage})
    said = [chunk({"role": "assistant", "content": ""})]
    said += [chunk({"content": f"word{number} "}) for number in range(words)]
    said.append(chunk({}, "stop") + b"data: %b\n\ndata: [DONE]\n\n" % end)
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in said]


@lru_cache
def whole_answer(words: int) -> bytes:
    """The same as one piece of bytes, with its head."""
    return _HEAD + b"".join(answer(words)) + _LAST


class Pace:
    """Calls back at set times: one timer for all streams."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Connection]] = []
        self._numbers = itertools.count()
        self._running = False

    def add(self, when: float, connection: "Connection") -> None:
        """Let the connection write at this time of the loop's clock."""
        heapq.heappush(self._due, (when, next(self._numbers), connection))
        if not self._running:
            self._running = True
            asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._due and self._due[0][0] <= now:
            when, _, connection = heapq.heappop(self._due)
            connection.write_next(when)
        self._running = bool(self._due)
        if self._running:
            loop.call_later(_TICK_S, self._tick)


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._buffer = b""
        self._transport: asyncio.WriteTransport
        self._left: list[bytes] = []
        self._every_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer when the request is whole."""
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if len(body) < (int(length[1]) if length else 0):
            return
        self._buffer = b""
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        asked = _MODEL.search(body)
        if asked is None:
            self._transport.write(_REFUSAL)
        elif asked[2] is None:
            self._transport.write(whole_answer(int(asked[1])))
        else:
            first, *rest = answer(int(asked[1]))
            self._left = rest[::-1]
            self._every_s = 1 / int(asked[2])
            self._transport.write(_HEAD + first)
            self._pace.add(asyncio.get_running_loop().time() + self._every_s, self)

    def write_next(self, when: float) -> None:
        """Write the next word; its time was `when`."""
        if self._transport.is_closing():
            return
        word = self._left.pop()
        if self._left:
            self._transport.write(word)
            self._pace.add(when + self._every_s, self)
        else:
            self._transport.write(word + _LAST)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    pace = Pace()
    server = await loop.create_server(lambda: Connection(pace), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()


if __name__ == "__main__":
    uvloop.run(_serve())
