"""The way that outbound requests take: connections to checked addresses alone, and answers that end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ai_agents.core.unfinished import Unfinished
from ai_agents.tools.base import ToolError

if TYPE_CHECKING:
    import httpx2

# Where a host may be connected to, at a port; raises `ToolError` where it may not.
FindAddresses = Callable[[str, int], Awaitable[list[str]]]
_MAX_CONNECTIONS = 400
# So many pieces may come at once, as small as they are, before the event loop gets to do something else.
_MOST_PIECES = 256


def guarded_transport(addresses: FindAddresses, *, max_bytes: float, max_values: float) -> "httpx2.AsyncBaseTransport":
    """httpx2's own transport, but for the connections: a network behind a guard, through public interfaces alone."""
    import httpcore2
    import httpx2

    class Body(httpx2.AsyncByteStream):
        """An answer's body, no longer than it may be."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            read = opened = pieces = 0
            with _as_httpx():
                async for piece in self._stream:
                    pieces += 1
                    if pieces % _MOST_PIECES == 0:
                        await asyncio.sleep(0)
                    read += len(piece)
                    opened += piece.count(b"{") + piece.count(b"[")
                    # A protocol's stream may not go on for ever. Who reads a single answer stops before that.
                    if read > max_bytes or opened > max_values:
                        raise ToolError("The server answered more than can be read.")
                    yield piece

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Guarded(httpx2.AsyncBaseTransport):
        """Sends requests through a pool of guarded connections."""

        def __init__(self) -> None:
            self._closing = Unfinished()
            self._pool = httpcore2.AsyncConnectionPool(
                ssl_context=httpx2.create_ssl_context(trust_env=False),
                max_connections=_MAX_CONNECTIONS,
                max_keepalive_connections=20,
                keepalive_expiry=5.0,
                network_backend=_network(addresses, self._closing),
            )

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            url = httpcore2.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            )
            asked = httpcore2.Request(
                request.method,
                url,
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
            with _as_httpx():
                answered = await self._pool.handle_async_request(asked)
            response = httpx2.Response(
                answered.status,
                headers=answered.headers,
                stream=Body(answered.stream),
                extensions=answered.extensions,
            )
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                await response.aclose()  # nobody else gives its connection back
                raise httpx2.RemoteProtocolError("the answer is packed, though none was asked for that is")
            return response

        async def aclose(self) -> None:
            await self._pool.aclose()
            await self._closing.wait()

    return Guarded()


@contextmanager
def _as_httpx() -> Generator[None]:
    """Errors of the pool as those of the client: whoever uses it knows only these."""
    import httpcore2
    import httpx2

    try:
        yield
    except httpcore2.ConnectTimeout as error:
        raise httpx2.ConnectTimeout(str(error)) from error
    except httpcore2.TimeoutException as error:
        raise httpx2.ReadTimeout(str(error)) from error
    except httpcore2.ConnectError as error:
        raise httpx2.ConnectError(str(error)) from error
    except httpcore2.NetworkError as error:
        raise httpx2.ReadError(str(error)) from error
    except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as error:
        raise httpx2.RemoteProtocolError(str(error)) from error


class _Connection:
    """A network stream that closes without a wait, among those that are `closing`.

    A pool that is cancelled while it waits for that keeps the request for ever, and closes nothing else.
    """

    def __init__(self, stream: Any, closing: Unfinished) -> None:
        self._stream = stream
        self._closing = closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def start_tls(self, *args: Any, **options: Any) -> "_Connection":
        try:
            return _Connection(await self._stream.start_tls(*args, **options), self._closing)
        except BaseException:
            await self.aclose()  # the pool does not know of it yet
            raise

    async def aclose(self) -> None:
        self._closing.begin(self._stream.aclose())


def _network(addresses: FindAddresses, closing: Unfinished) -> Any:
    import httpcore2

    class Guard(httpcore2.AnyIOBackend):
        """Connects to what was checked, and to nothing else."""

        async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
            try:
                found = await addresses(host, port)
            except TimeoutError as error:
                raise httpcore2.ConnectTimeout("the name was not found in time") from error
            except OSError as error:
                raise httpcore2.ConnectError("the name is not known") from error
            for address in found[:-1]:
                try:
                    return _Connection(await super().connect_tcp(address, port, *args, **options), closing)
                except httpcore2.NetworkError:
                    continue
            return _Connection(await super().connect_tcp(found[-1], port, *args, **options), closing)

        async def connect_unix_socket(self, *args: Any, **options: Any) -> Any:
            raise ToolError("A socket of this machine may not be connected to.")

    return Guard()
