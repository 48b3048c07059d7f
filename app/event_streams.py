"""Event streams as answers. The framework frames the events; this module sends them and ends the stream.

A stream ends when its source ends, when the client leaves (also while a write is blocked), and when the process stops
(cleanly, so that the client resumes with its last id). It holds no database connection and two tasks: the request's
task, which waits for the client to leave, and one that sends.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Generic, Protocol, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ai_agents.auth.limits import Limits
from app.errors import RateLimited
from app.middleware import SERVER_SEND
from app.services.identity import Principal
from app.shared_usage import StreamsElsewhere

MEDIA_TYPE = "text/event-stream"
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_START = {"type": "http.response.start", "status": 200, "headers": _HEADERS}
# A source that always has more must not block the event loop.
_CHUNKS_WITHOUT_PAUSE = 32


def come_back_later() -> Response:
    """An event stream that ends at once and tells the client to open it again in five seconds."""
    return whole_stream(b"retry: 5000\n\n")


def whole_stream(frames: bytes) -> Response:
    """An event stream that ends after these frames."""
    return Response(frames, headers={name.decode(): value.decode() for name, value in _HEADERS})


class OpenStream(Protocol):
    """A stream of a user that is open."""

    @property
    def user_id(self) -> str:
        """Whose it is."""
        ...

    def end(self) -> None:
        """End it cleanly. Does nothing if it has ended."""
        ...


class OpenStreams:
    """The open streams of this process. It counts them per user, and ends them all.

    `elsewhere` are those of other processes, which count, too. `on_change` is called with a user whose number changes.
    """

    def __init__(self, limits: Limits) -> None:
        self.elsewhere = StreamsElsewhere()
        self.on_change: Callable[[str], None] = lambda _user_id: None
        self._limits = limits
        self._open: set[OpenStream] = set()
        self._users: Counter[str] = Counter()
        self.closing = False

    def __len__(self) -> int:
        return len(self._open)

    def check(self, user: Principal) -> None:
        """Raises `RateLimited` for a user with too many open streams."""
        most = self._limits.of(user.user_id, is_admin=user.is_admin)["streams"]
        if most is not None and self.of(user) >= most:
            raise RateLimited(f"There are {most} streams open already, which is the limit for one user.")

    def of(self, user: Principal) -> int:
        """How many streams of the user are open, those of other processes too."""
        return self._users[user.user_id] + self.elsewhere.of(user.user_id)

    @property
    def by_user(self) -> Mapping[str, int]:
        """How many streams each user has open in this process."""
        return self._users

    def add(self, stream: OpenStream) -> None:
        """Add an open stream."""
        self._open.add(stream)
        self._users[stream.user_id] += 1
        self.on_change(stream.user_id)

    def discard(self, stream: OpenStream) -> None:
        """Remove a stream that has ended."""
        self._open.discard(stream)
        self._users[stream.user_id] -= 1
        if not self._users[stream.user_id]:
            del self._users[stream.user_id]
        self.on_change(stream.user_id)

    def close(self) -> None:
        """End all streams. Streams that begin later end after their first frame."""
        self.closing = True
        for stream in list(self._open):
            stream.end()


class Readable(Protocol):
    """What an open stream is read from. `close` ends it."""

    def sse(self) -> AsyncGenerator[bytes]:
        """The bytes to be sent, as they come."""
        ...

    def close(self) -> None:
        """End the stream, and release what it holds."""
        ...


ReaderT = TypeVar("ReaderT", bound=Readable)


class EventStreamResponse(Response, Generic[ReaderT]):
    """One open stream: the frames of a reader. An error before the first frame is an ordinary answer."""

    media_type = MEDIA_TYPE
    more_headers: Sequence[tuple[bytes, bytes]] = ()

    def __init__(self, reader: ReaderT, *, user: Principal, streams: OpenStreams, has_begun: bool = False) -> None:
        """`has_begun`: a run has begun for it, so that it is no longer refused."""
        super().__init__()
        self.user_id = user.user_id
        self._refusable = None if has_begun else user
        self._reader = reader
        self._streams = streams
        self._pumping: asyncio.Task[None] | None = None

    def chunks(self, reader: ReaderT) -> AsyncGenerator[bytes]:
        """What is sent, as it comes."""
        return reader.sse()

    def last_chunk(self) -> bytes:
        """What is sent at the end, also where the process ends the stream."""
        return b""

    def end(self) -> None:
        """End the stream between two frames. Does nothing if it has ended."""
        if self._pumping is not None:
            # The task waits for its source or for the client, so the cancellation never cuts a frame.
            self._pumping.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._refusable is not None:
            try:
                # Others may have begun since this was asked first.
                self._streams.check(self._refusable)
            except RateLimited:
                self._reader.close()
                raise
        self._streams.add(self)
        try:
            async with aclosing(self.chunks(self._reader)) as chunks:
                first = await anext(chunks, b"")
                await send({**_START, "headers": [*_HEADERS, *self.more_headers]} if self.more_headers else _START)
                await send({"type": "http.response.body", "body": first, "more_body": True})
                if not self._streams.closing:
                    await self._serve(chunks, receive, scope.get(SERVER_SEND, send))
                await send({"type": "http.response.body", "body": self.last_chunk(), "more_body": False})
        finally:
            self._reader.close()
            self._streams.discard(self)

    async def _serve(self, chunks: AsyncGenerator[bytes], receive: Receive, send: Send) -> None:
        """Send the chunks until they end, the client leaves, or `end` is called. Raises the error of their source.

        A task of its own sends them: a chunk then wakes that task alone, and not the whole chain of the request's
        callers. The request's task waits for the client to leave, until the other task is done.
        """
        request_task = asyncio.current_task()
        assert request_task is not None  # noqa: S101  # a server runs each request in a task
        waiting = True

        def stop_waiting(_pumping: object) -> None:
            if waiting:
                request_task.cancel()

        pumping = self._pumping = asyncio.create_task(_pump(chunks, send))
        pumping.add_done_callback(stop_waiting)
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            if not pumping.done() or request_task.uncancel():
                raise
        finally:
            waiting = False
            pumping.cancel()
            await asyncio.wait({pumping})
        if not pumping.cancelled():
            pumping.result()


async def _pump(chunks: AsyncGenerator[bytes], send: Send) -> None:
    sent = 0
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        sent += 1
        if sent % _CHUNKS_WITHOUT_PAUSE == 0:
            await asyncio.sleep(0)
