"""The transport of outbound requests: it connects to checked addresses only, and limits the length of answers.

It uses the public interfaces of httpx2 and httpcore2 alone: httpx2's own transport takes no network backend.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from ai_agents.core.certificates import trusted_certificates
from ai_agents.core.event_loop import Unfinished
from ai_agents.tools.base import ToolError
from ai_agents.tools.json_cleaning import JsonCleaner

# Returns the addresses that a host may be connected to at a port. Raises `ToolError` if there are none.
FindAddresses = Callable[[str, int], Awaitable[list[str]]]
# After so many chunks that arrived at once, however small, the event loop may do something else.
_MAX_CHUNKS_AT_ONCE = 256
_ERRORS = (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol)


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Sends requests through a pool of guarded connections.

    An answer of more than `max_bytes`, or of JSON with more than `max_values` lists and objects, breaks off. With
    `is_json` texts in answers that no strict reader takes are cleaned.
    """

    def __init__(
        self,
        addresses: FindAddresses,
        *,
        max_connections: int,
        max_bytes: float,
        max_values: float,
        is_json: bool = False,
    ) -> None:
        self._is_json = is_json
        self._max_bytes = max_bytes
        self._max_values = max_values
        self._closing = Unfinished()
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=trusted_certificates(trust_env=False),
            max_connections=max_connections,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=_GuardedNetwork(addresses, self._closing),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. Raises the errors of httpx2, and `ToolError` for an address that is not allowed."""
        asked = request.url
        url = httpcore2.URL(scheme=asked.raw_scheme, host=asked.raw_host, port=asked.port, target=asked.raw_path)
        sent = httpcore2.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        with _errors_of_httpx2():
            answer = await self._pool.handle_async_request(sent)
        response = httpx2.Response(
            answer.status,
            headers=answer.headers,
            stream=_BoundedBody(
                answer.stream,
                max_bytes=self._max_bytes,
                max_values=self._max_values,
                cleaner=JsonCleaner() if self._is_json else None,
            ),
            extensions=answer.extensions,
        )
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()  # gives the connection back to the pool
            raise httpx2.RemoteProtocolError("the answer is compressed, though the request asked for none that is")
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
        await self._closing.wait()


class _BoundedBody(httpx2.AsyncByteStream):
    """The body of an answer. Raises `ToolError` when it becomes too long."""

    def __init__(self, stream: Any, *, max_bytes: float, max_values: float, cleaner: JsonCleaner | None) -> None:
        self._stream = stream
        self._cleaner = cleaner
        self._max_bytes = max_bytes
        self._max_values = max_values

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = values = chunks = 0
        with _errors_of_httpx2():
            async for chunk in self._stream:
                chunks += 1
                if chunks % _MAX_CHUNKS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                read += len(chunk)
                values += chunk.count(b"{") + chunk.count(b"[")
                if read > self._max_bytes or values > self._max_values:
                    raise ToolError("The server answered more than can be read.")
                yield chunk if self._cleaner is None else self._cleaner.feed(chunk)
        if self._cleaner is not None:
            yield self._cleaner.feed(b"", is_last=True)

    async def aclose(self) -> None:
        await self._stream.aclose()


@contextmanager
def _errors_of_httpx2() -> Generator[None]:
    """Turn errors of httpcore2 into those of httpx2, which have the same names."""
    try:
        yield
    except _ERRORS as error:
        raise getattr(httpx2, type(error).__name__, httpx2.TransportError)(str(error)) from error


class _GuardedStream:
    """A network stream whose `aclose` does not wait; `closing` has those that are being closed.

    If the pool is cancelled while it waits for a stream to close, it keeps the request for ever.
    """

    def __init__(self, stream: Any, closing: Unfinished) -> None:
        self._stream = stream
        self._closing = closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def start_tls(self, *args: Any, **options: Any) -> "_GuardedStream":
        try:
            return _GuardedStream(await self._stream.start_tls(*args, **options), self._closing)
        except BaseException:
            await self.aclose()  # the pool does not have this stream yet
            raise

    async def aclose(self) -> None:
        self._closing.begin(self._stream.aclose())


class _GuardedNetwork(httpcore2.AnyIOBackend):
    """Connects to the addresses that were checked, in their order."""

    def __init__(self, addresses: FindAddresses, closing: Unfinished) -> None:
        self._addresses = addresses
        self._closing = closing

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
        try:
            found = await self._addresses(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("the name was not found in time") from error
        except OSError as error:
            raise httpcore2.ConnectError("the name is not known") from error
        for address in found[:-1]:
            try:
                return _GuardedStream(await super().connect_tcp(address, port, *args, **options), self._closing)
            except httpcore2.NetworkError:
                continue
        return _GuardedStream(await super().connect_tcp(found[-1], port, *args, **options), self._closing)

    async def connect_unix_socket(self, *args: Any, **options: Any) -> Any:
        raise ToolError("A socket of this machine may not be connected to.")
