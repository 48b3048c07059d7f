"""The connections to one provider and the requests that go over them. Every failure leaves here as a `ProviderError`.

An SDK gives its client, address and headers once; it does not send the requests. Its own `post` builds several objects
for each request and takes more than twice as long.
"""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ai_agents.core.exceptions import ProviderError
from ai_agents.providers.errors import error_from_response, error_from_transport

if TYPE_CHECKING:
    import httpx2

CONNECT_TIMEOUT_S = 10.0
# An error body is a few hundred bytes; the sentence that matters stands at its beginning.
_MAX_ERROR_BYTES = 64 * 1024


class Response(Protocol):
    """A successful HTTP response whose body has not been read."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def aiter_raw(self) -> AsyncIterator[bytes]: ...

    def aiter_bytes(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class ProviderTransport:
    """One HTTP client with its connections.

    `headers` go with every request. `errors` is what sending a request and reading a response can raise.
    """

    def __init__(
        self,
        provider: str,
        client: "httpx2.AsyncClient",
        *,
        base_url: str,
        headers: Mapping[str, str],
        errors: tuple[type[Exception], ...] = (),
    ) -> None:
        import httpx2

        self.provider = provider
        self.errors: tuple[type[Exception], ...] = (httpx2.HTTPError, OSError, *errors)
        self._client = client
        self._base_url = base_url.rstrip("/")
        # Asked for uncompressed, the body needs one step less per read.
        self._headers = {name.lower(): value for name, value in headers.items()} | {"accept-encoding": "identity"}
        self._urls: dict[str, httpx2.URL] = {}
        self._timeouts: dict[float, dict[str, float | None]] = {}

    async def post(
        self, path: str, content: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> Response:
        """The successful response to this request, its body unread. `headers` have lower-case names.

        Raises `ProviderError`.
        """
        import httpx2

        request = httpx2.Request(
            "POST",
            self._url(path),
            headers={**self._headers, **(headers or {})},
            content=content,
            extensions={"timeout": self._timeout(timeout_s)},
        )
        try:
            response = await self._client.send(request, stream=True)
        except self.errors as error:
            raise self.failure(error, timeout_s=timeout_s) from error
        if response.is_success:
            found: Response = response
            return found
        raise error_from_response(
            self.provider, response.status_code, response.headers, await self._error_body(response)
        )

    def failure(self, error: Exception, *, timeout_s: float, begun: bool = False) -> ProviderError:
        """The error for a connection that failed. `begun`: part of the response had arrived."""
        return error_from_transport(self.provider, error, timeout_s=timeout_s, begun=begun)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _url(self, path: str) -> "httpx2.URL":
        import httpx2

        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx2.URL(self._base_url + path)
        return url

    def _timeout(self, timeout_s: float) -> dict[str, float | None]:
        import httpx2

        timeout = self._timeouts.get(timeout_s)
        if timeout is None:
            limits = httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
            timeout = self._timeouts[timeout_s] = limits.as_dict()
        return timeout

    async def _error_body(self, response: Any) -> bytes:
        """The beginning of the body of a failed response; empty where it cannot be read."""
        body = b""
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) >= _MAX_ERROR_BYTES:
                    break
        except self.errors:
            return b""  # the status says enough
        finally:
            await response.aclose()
        return body


class SDKTransport(ProviderTransport):
    """The connections, address and headers of an SDK's client; `http` is the HTTP client that the SDK was given."""

    def __init__(self, provider: str, sdk: Any, http: Any) -> None:
        import aiohttp

        headers = {**sdk.default_headers, **sdk.auth_headers}
        super().__init__(
            provider,
            http,
            base_url=str(sdk.base_url),
            # The SDK marks a header that is not to be sent with a value that is no text.
            headers={name: value for name, value in headers.items() if isinstance(value, str)},
            errors=(aiohttp.ClientError,),
        )
