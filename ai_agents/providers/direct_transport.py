"""Requests to a provider by aiohttp, without an SDK: for OpenAI and its likes, Gemini and Ollama.

aiohttp reads a stream at a third of the processor time of httpx2's own connections, and nothing stands between it and
the parser.
"""

from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ai_agents.core.certificates import trusted_certificates
from ai_agents.core.extras import require
from ai_agents.providers.transport import CONNECT_TIMEOUT_S, ProviderTransport

if TYPE_CHECKING:
    import aiohttp

_HEADERS = {"accept": "*/*", "content-type": "application/json", "user-agent": "ai-agents"}
# A server may close a connection that waits for its next request; this is less than what servers usually grant.
_IDLE_S = 5.0


class DirectTransport(ProviderTransport):
    """Connections to the server at `base_url`. `headers` go with every request, and win over the usual ones."""

    def __init__(self, provider: str, base_url: str, headers: Mapping[str, str]) -> None:
        require("aiohttp")
        import aiohttp

        # A header or an address that cannot be sent is a ValueError.
        errors = (aiohttp.ClientError, OSError, ValueError)
        super().__init__(provider, base_url=base_url, headers={**_HEADERS, **headers}, errors=errors)
        self._certificates = trusted_certificates()
        self._proxy = _proxy_of(base_url)
        self._session: aiohttp.ClientSession | None = None

    async def _exchange(
        self, method: str, address: str, headers: Mapping[str, str], content: bytes | None, *, timeout_s: float
    ) -> "_Response":
        if self._session is None:
            self._session = self._open_session()
        return _Response(
            await self._session.request(
                method,
                address,
                headers=headers,
                data=content,
                allow_redirects=False,
                timeout=_limits(timeout_s),
                proxy=self._proxy,
            )
        )

    def _open_session(self) -> "aiohttp.ClientSession":
        import aiohttp

        # A limit here would let runs wait in silence. The process counts its runs instead (`core/upstream.py`).
        connector = aiohttp.TCPConnector(limit=0, ssl=self._certificates, keepalive_timeout=_IDLE_S)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Response:
    """A response of aiohttp with the names that httpx2 has for the same."""

    def __init__(self, response: "aiohttp.ClientResponse") -> None:
        self._response = response
        self.status_code = response.status
        self.headers = response.headers

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        return aiter(self._response.content.iter_any())

    # aiohttp unpacks what is compressed by itself.
    aiter_raw = aiter_bytes

    async def aclose(self) -> None:
        self._response.close()


def _proxy_of(address: str) -> str | None:
    """The proxy that the environment names for this address (HTTPS_PROXY, NO_PROXY and so on)."""
    parts = urlsplit(address)
    if proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


@lru_cache
def _limits(timeout_s: float) -> "aiohttp.ClientTimeout":
    """The time limits of a request whose longest silence is `timeout_s`."""
    import aiohttp

    return aiohttp.ClientTimeout(sock_connect=min(CONNECT_TIMEOUT_S, timeout_s), sock_read=timeout_s)
