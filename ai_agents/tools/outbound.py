"""The one HTTP client for addresses that a user, a model or a remote description has a say in.

An address is checked where it is connected to: a name is looked up once, and the connection goes to the very address
that was found to be public. So it does not matter how an address is written, where a redirect leads, or what a name
server says the next time.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import inf
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from ai_agents.tools.addresses import is_public
from ai_agents.tools.base import ToolError
from ai_agents.tools.outbound_transport import FindAddresses, guarded_transport

if TYPE_CHECKING:
    import httpx2

_USER_AGENT = "ai-agents"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# A server that does not answer must not take all connections.
_MAX_OF_ONE_ORIGIN = 50
_MAX_LOOKUPS = 8


class OutboundRefused(ToolError):
    """The address may not be connected to."""


class OutboundFailed(ToolError):
    """There was no answer, or none that can be used."""


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    """An answer. `body` is as much of it as may be read; `cut` says that there was more."""

    status: int
    media_type: str
    charset: str | None
    body: bytes
    cut: bool


class Outbound:
    """A guarded client. `allow` names hosts, `host` or `host:port`, that may be on this machine or a private network.

    Nothing is taken from the environment, no cookie is kept, and no header is sent but those that are given.
    `max_bytes` is how much of an answer is read.
    """

    def __init__(
        self,
        allow: Iterable[str] = (),
        *,
        max_bytes: int = 10 * 1024 * 1024,
        connect_timeout_s: float = 5.0,
        max_redirects: int = 3,
        resolve: FindAddresses | None = None,
    ) -> None:
        self.max_bytes = max_bytes
        self._allow = frozenset(entry.strip().lower().rstrip(".") for entry in allow if entry.strip())
        self._connect_timeout_s = connect_timeout_s
        self._max_redirects = max_redirects
        self._resolve = resolve or self._look_up
        self._shares: WeakValueDictionary[tuple[str, str, int | None], asyncio.Semaphore] = WeakValueDictionary()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_s: float = 30.0,
    ) -> OutboundResponse:
        """The answer to a request, its body within `timeout_s` too. Raises `OutboundRefused`, `OutboundFailed`."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._follow(_Request(method, _parsed(url), dict(headers or {}), content))
        except TimeoutError:
            raise OutboundFailed(f"The server did not answer within {timeout_s:g} s.") from None

    def client(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
        max_bytes: float = inf,
        max_values: float = inf,
    ) -> "httpx2.AsyncClient":
        """A client for a library that brings its own protocol: guarded in the same way, and it follows no redirects.

        Its connections are its own; `timeout_s` is seconds without a byte. An answer of more than `max_bytes`, or of
        JSON with more than `max_values` lists and objects, breaks off with an error.
        """
        import httpx2

        return httpx2.AsyncClient(
            transport=guarded_transport(self.addresses, max_bytes=max_bytes, max_values=max_values),
            # Unpacked, a short answer can be a long one: answers are taken as they are.
            headers={"user-agent": _USER_AGENT, "accept-encoding": "identity", **(headers or {})},
            timeout=httpx2.Timeout(timeout_s, connect=self._connect_timeout_s),
            trust_env=False,
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        # Whoever is cancelled in here has begun to close all of it.
        if lookups := self.__dict__.pop("_lookups", None):
            lookups.shutdown(wait=False)
        if client := self.__dict__.pop("_client", None):
            await client.aclose()

    async def addresses(self, host: str, port: int) -> list[str]:
        """Where this host may be connected to. Raises `OutboundRefused`, OSError, also where it takes too long."""
        name = host.lower().rstrip(".")
        bracketed = f"[{name}]" if ":" in name else name
        async with asyncio.timeout(self._connect_timeout_s):
            found = await self._resolve(host, port)
        if {name, bracketed, f"{bracketed}:{port}"} & self._allow:
            return found
        if not found or not all(map(is_public, found)):
            raise OutboundRefused("This address is not one of the public Internet, and may not be connected to.")
        return found

    async def _look_up(self, host: str, port: int) -> list[str]:
        look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._lookups, look)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    @cached_property
    def _lookups(self) -> ThreadPoolExecutor:
        # Name servers that do not answer hold up other names, and nothing else.
        return ThreadPoolExecutor(_MAX_LOOKUPS, thread_name_prefix="lookup")

    @cached_property
    def _client(self) -> "httpx2.AsyncClient":
        return self.client()

    async def _follow(self, request: "_Request") -> OutboundResponse:
        for _ in range(self._max_redirects + 1):
            async with self._share(request), self._sent(request) as response:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECTS or not location:
                    return await self._read(response)
                request = _redirected(request, response.status_code, location)
        raise OutboundFailed(f"The server redirected more than {self._max_redirects} times.")

    def _share(self, request: "_Request") -> asyncio.Semaphore:
        # Held by whoever waits for it or has it, and gone with the last of them.
        origin = (request.url.scheme, request.url.host, request.url.port)
        return self._shares.setdefault(origin, asyncio.Semaphore(_MAX_OF_ONE_ORIGIN))

    @asynccontextmanager
    async def _sent(self, request: "_Request") -> AsyncIterator["httpx2.Response"]:
        import httpx2

        client = self._client
        try:
            built = client.build_request(
                request.method, request.url, headers=dict(request.headers), content=request.content
            )
            response = await client.send(built, stream=True)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise OutboundFailed(f"The server could not be reached ({type(error).__name__}).") from error
        finally:
            client.cookies.clear()
        try:
            yield response
        finally:
            await response.aclose()

    async def _read(self, response: "httpx2.Response") -> OutboundResponse:
        import httpx2

        body, cut = bytearray(), False
        try:
            async for piece in response.aiter_bytes(64 * 1024):
                body += piece[: self.max_bytes - len(body)]
                if len(body) >= self.max_bytes:
                    cut = True
                    break
        except (httpx2.HTTPError, OSError, ValueError) as error:
            raise OutboundFailed(f"The server's answer broke off ({type(error).__name__}).") from error
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return OutboundResponse(response.status_code, media_type, response.charset_encoding, bytes(body), cut)


def _parsed(url: str) -> "httpx2.URL":
    import httpx2

    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise OutboundFailed("This is not an address.") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise OutboundRefused("Only http and https addresses may be connected to.")
    if parsed.userinfo:
        raise OutboundRefused("An address with a user in it may not be connected to.")
    return parsed


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: "httpx2.URL"
    headers: Mapping[str, str]
    content: bytes | None


def _redirected(request: _Request, status: int, location: str) -> _Request:
    """What is sent to where a redirect leads. To another origin nothing goes that was meant for the first."""
    import httpx2

    try:
        target = _parsed(str(request.url.join(location)))
    except httpx2.InvalidURL:
        raise OutboundFailed("The server redirected to what is not an address.") from None
    if request.url.scheme == "https" and target.scheme != "https":
        raise OutboundRefused("The server redirected to an address without encryption.")
    if status == 303 or (status in {301, 302} and request.method == "POST"):
        request = _Request("GET", request.url, request.headers, None)
    if (request.url.scheme, request.url.host, request.url.port) == (target.scheme, target.host, target.port):
        return replace(request, url=target)
    if request.method not in {"GET", "HEAD"}:
        raise OutboundRefused("The server redirected what was sent to it to another one.")
    return _Request(request.method, target, {}, None)
