"""The HTTP client for addresses that users, models or remote descriptions have a say in.

An address is checked where the connection is made: a name is looked up once, and the connection goes to an address
that was found to be public. So the check holds however an address is written, wherever a redirect leads, and whatever
a name server says the next time.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from ipaddress import IPv4Address, IPv6Network, ip_address, ip_network
from math import inf
from weakref import WeakValueDictionary

import httpx2

from ai_agents.core import tracing
from ai_agents.tools.base import ToolError
from ai_agents.tools.outbound_transport import GuardedTransport

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}
_MAX_LOOKUPS = 8
# From IANA's registries of special-purpose addresses. Python's own tables differ from version to version.
_NOT_PUBLIC = tuple(map(ip_network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
    "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)))  # fmt: skip
# Of IPv6 only this block is assigned for the Internet; the ranges after it are exceptions within it.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")))
_NAT64 = IPv6Network("64:ff9b::/96")


class OutboundRefused(ToolError):
    """The address may not be connected to."""


class AddressNotPublic(OutboundRefused):
    """The address is none of the public Internet, and not among those that are allowed beside it."""


class OutboundFailed(ToolError):
    """There was no answer, or none that can be used."""


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    """An answer. `body` is cut off at the limit of what is read; then `cut` is true."""

    status: int
    media_type: str
    charset: str | None
    body: bytes
    cut: bool


@dataclass(frozen=True, slots=True)
class _OutboundRequest:
    method: str
    url: httpx2.URL
    headers: Mapping[str, str]
    content: bytes | None

    @property
    def origin(self) -> tuple[str, str, int | None]:
        return self.url.scheme, self.url.host, self.url.port


class Outbound:
    """A guarded client. `allow` names hosts (`host` or `host:port`) that may be on this machine or a private network.

    It takes nothing from the environment, keeps no cookies, and sends no headers but those that it is given.
    `max_bytes` is how much of an answer is read. A server that does not answer cannot take all connections: one origin
    has at most `max_connections_per_origin`. `trace` names hosts, as `allow` does, that are told the `traceparent` of
    the task that asks them; all others are told nothing of traces.
    """

    def __init__(
        self,
        allow: Iterable[str] = (),
        *,
        max_bytes: int = 10 * 1024 * 1024,
        connect_timeout_s: float = 5.0,
        max_connections: int = 400,
        max_connections_per_origin: int = 50,
        resolve: Callable[[str, int], Awaitable[list[str]]] | None = None,
        trace: Iterable[str] = (),
    ) -> None:
        self.max_bytes = max_bytes
        self._allow, self._trace = _hosts(allow), _hosts(trace)
        self.connect_timeout_s = connect_timeout_s
        self._max_connections = max_connections
        self._max_connections_per_origin = max_connections_per_origin
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
        """Send a request and read its answer, all within `timeout_s`. Raises `OutboundRefused`, `OutboundFailed`."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._follow(_OutboundRequest(method, _parsed(url), dict(headers or {}), content))
        except TimeoutError:
            raise OutboundFailed(f"The server did not answer within {timeout_s:g} s.") from None

    def client(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
        max_bytes: float = inf,
        max_values: float = inf,
        is_json: bool = False,
    ) -> httpx2.AsyncClient:
        """Return a client of its own connections for a library with its own protocol. It follows no redirects.

        It is guarded in the same way. `timeout_s` is seconds without a byte. An answer of more than `max_bytes`, or of
        JSON with more than `max_values` lists and objects, breaks off with a `ToolError`. With `is_json` half emojis
        and invalid UTF-8 in answers become U+FFFD.
        """
        transport = GuardedTransport(
            self.addresses,
            max_connections=self._max_connections,
            max_bytes=max_bytes,
            max_values=max_values,
            is_json=is_json,
        )
        return httpx2.AsyncClient(
            transport=transport,
            # A short compressed answer can be a long one.
            headers={"user-agent": "ai-agents", "accept-encoding": "identity", **(headers or {})},
            timeout=httpx2.Timeout(timeout_s, connect=self.connect_timeout_s),
            trust_env=False,
            follow_redirects=False,
        )

    async def check(self, url: str) -> None:
        """Raises `OutboundRefused` for an address that may not be connected to, `OutboundFailed` for one without host.

        What holds now need not hold when the connection is made, which checks again.
        """
        parsed = _parsed(url)
        try:
            await self.addresses(parsed.host, parsed.port or _PORTS[parsed.scheme])
        except OSError:
            raise OutboundFailed("The name of the server is not known.") from None

    async def aclose(self) -> None:
        """Close all connections."""
        # Taken out first: a second call must not close them again, even if this one is cancelled.
        if lookups := self.__dict__.pop("_lookups", None):
            lookups.shutdown(wait=False)
        if client := self.__dict__.pop("_client", None):
            await client.aclose()

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses that this host may be connected to.

        Raises `AddressNotPublic`, and OSError if the name is not known; TimeoutError is one.
        """
        async with asyncio.timeout(self.connect_timeout_s):
            found = await self._resolve(host, port)
        if _forms(host, port) & self._allow:
            return found
        if not found or not all(map(is_public, found)):
            raise AddressNotPublic("This address is not one of the public Internet, and may not be connected to.")
        return found

    def trace_headers(self, url: str | httpx2.URL) -> dict[str, str]:
        """The headers that tell the server at this address the trace of this task; none for a server of others."""
        if not self._trace or (traceparent := tracing.current()) is None:
            return {}
        parsed = httpx2.URL(url)
        port = parsed.port or _PORTS.get(parsed.scheme, 0)
        return {"traceparent": traceparent} if _forms(parsed.host, port) & self._trace else {}

    async def _look_up(self, host: str, port: int) -> list[str]:
        look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._lookups, look)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    @cached_property
    def _lookups(self) -> ThreadPoolExecutor:
        # Threads of their own: name servers that do not answer must not hold up other work.
        return ThreadPoolExecutor(_MAX_LOOKUPS, thread_name_prefix="lookup")

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        return self.client()

    async def _follow(self, request: _OutboundRequest) -> OutboundResponse:
        for _ in range(_MAX_REDIRECTS + 1):
            # The requests that wait for a share or hold it keep it alive; it goes with the last of them.
            new_share = asyncio.Semaphore(self._max_connections_per_origin)
            share = self._shares.setdefault(request.origin, new_share)
            async with share, self._sent(request) as response:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECTS or not location:
                    return await self._read(response)
                request = _redirected(request, response.status_code, location)
        raise OutboundFailed(f"The server redirected more than {_MAX_REDIRECTS} times.")

    @asynccontextmanager
    async def _sent(self, request: _OutboundRequest) -> AsyncIterator[httpx2.Response]:
        client = self._client
        try:
            headers = {**self.trace_headers(request.url), **request.headers}
            built = client.build_request(request.method, request.url, headers=headers, content=request.content)
            response = await client.send(built, stream=True)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise OutboundFailed(f"The server could not be reached ({type(error).__name__}).") from error
        finally:
            client.cookies.clear()
        try:
            yield response
        finally:
            await response.aclose()

    async def _read(self, response: httpx2.Response) -> OutboundResponse:
        body, cut = bytearray(), False
        try:
            async for chunk in response.aiter_bytes(64 * 1024):
                body += chunk[: self.max_bytes - len(body)]
                if len(body) >= self.max_bytes:
                    cut = True
                    break
        except (httpx2.HTTPError, OSError, ValueError) as error:
            raise OutboundFailed(f"The server's answer broke off ({type(error).__name__}).") from error
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return OutboundResponse(response.status_code, media_type, response.charset_encoding, bytes(body), cut)


def _hosts(given: Iterable[str]) -> frozenset[str]:
    return frozenset(entry.strip().lower().rstrip(".") for entry in given if entry.strip())


def _forms(host: str, port: int) -> set[str]:
    """How a list of hosts may name this one."""
    name = host.lower().rstrip(".")
    bracketed = f"[{name}]" if ":" in name else name
    return {name, bracketed, f"{bracketed}:{port}"}


def _parsed(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise OutboundFailed("This is not an address.") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise OutboundRefused("Only http and https addresses may be connected to.")
    if parsed.userinfo:
        raise OutboundRefused("An address with a user in it may not be connected to.")
    return parsed


def _redirected(request: _OutboundRequest, status: int, location: str) -> _OutboundRequest:
    """Return the request that follows a redirect. To another origin it carries no headers and no content."""
    try:
        target = _parsed(str(request.url.join(location)))
    except httpx2.InvalidURL:
        raise OutboundFailed("The server redirected to something that is not an address.") from None
    if request.url.scheme == "https" and target.scheme != "https":
        raise OutboundRefused("The server redirected to an address without encryption.")
    if status == 303 or (status in {301, 302} and request.method == "POST"):
        request = replace(request, method="GET", content=None)
    redirected = replace(request, url=target)
    if redirected.origin == request.origin:
        return redirected
    if request.method not in {"GET", "HEAD"}:
        raise OutboundRefused("The server redirected a request with content to another server.")
    return _OutboundRequest(request.method, target, {}, None)


def is_public(address: str) -> bool:
    """Whether a numeric address is one of a machine on the public Internet, and not of this or a private network.

    An address that contains another one (mapped, translated, tunnelled) counts as public only if that one does.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _NOT_PUBLIC)
    if parsed.scope_id is not None:
        return False
    if parsed.ipv4_mapped is not None:
        return is_public(str(parsed.ipv4_mapped))
    if parsed in _NAT64:
        return is_public(str(IPv4Address(int(parsed) & 0xFFFF_FFFF)))
    return parsed in _GLOBAL_UNICAST and not any(parsed in network for network in _NOT_PUBLIC_6)
