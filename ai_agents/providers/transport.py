"""The connections to one provider and the requests that go over them. Every failure leaves here as a `ProviderError`.

An SDK gives its client, address and headers once; it does not send the requests. Its own `post` builds several objects
for each request and takes more than twice as long.
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from ai_agents.core.certificates import trusted_certificates
from ai_agents.core.exceptions import ProviderError, ProviderNotConfigured
from ai_agents.core.extras import require
from ai_agents.core.headers import is_header_value
from ai_agents.core.secrets import Secrets
from ai_agents.core.types import JsonObject
from ai_agents.providers.errors import error_from_response, error_from_transport, hide_in_error, secrets_of
from ai_agents.providers.lines import encode_body
from ai_agents.providers.response_parser import ResponseParser

if TYPE_CHECKING:
    import httpx2

CONNECT_TIMEOUT_S = 10.0
# A limit here would let runs wait in silence. The process counts its runs instead (`core/upstream.py`).
_NO_LIMIT = 1_000_000
# Connections that wait for the next request.
_MAX_IDLE = 100
# An error body is a few hundred bytes; the sentence that matters stands at its beginning.
_MAX_ERROR_BYTES = 64 * 1024
# The longest list of models known has less than one MB.
_MAX_JSON_BYTES = 8 * 1024 * 1024
# After its terminal event a response has only its end left. Reading that frees the connection for the next request.
_DRAIN_S = 0.5
_PUBLIC_HEADERS = re.compile(
    r"accept|accept-encoding|connection|content-type|user-agent|anthropic-version|x-stainless-.*"
)


class OpenResponse:
    """A successful response.

    `errors` is what reading it can raise; `timeout_s` is the longest silence in it. `secrets` are masked in what the
    server says of a failure.
    """

    def __init__(
        self,
        provider: str,
        response: "httpx2.Response",
        *,
        timeout_s: float,
        errors: tuple[type[Exception], ...],
        secrets: Secrets,
    ) -> None:
        self._provider = provider
        self._response = response
        self._secrets = secrets
        self._timeout_s = timeout_s
        self._errors = errors
        # A body that is not compressed needs one step less per chunk. Requests ask for that; a proxy may compress it.
        is_compressed = "content-encoding" in response.headers
        self._chunks = aiter(response.aiter_bytes() if is_compressed else response.aiter_raw())

    async def read_into(self, parser: ResponseParser) -> ProviderError | None:
        """Read one chunk. A failure is returned with the known usage, not raised: the events before it go first."""
        failure: ProviderError | None
        try:
            chunk = await anext(self._chunks, None)
        except self._errors as error:
            failure = error_from_transport(self._provider, error, timeout_s=self._timeout_s, begun=True)
        else:
            failure = parser.finish() if chunk is None else parser.feed(chunk)
        if failure is not None:
            failure.usage = parser.usage()
            hide_in_error(failure, self._secrets)
        return failure

    async def drain(self) -> None:
        """Read the rest and ignore it, so that the connection can be used again."""
        with suppress(*self._errors, TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while await anext(self._chunks, None) is not None:
                    pass

    async def aclose(self) -> None:
        """Close the response; unless its body was read to the end, the connection with it."""
        await self._response.aclose()


class ReadResponse(OpenResponse):
    """A response that was read to its end already."""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    async def read_into(self, parser: ResponseParser) -> ProviderError | None:
        return parser.finish()

    async def drain(self) -> None:
        """Nothing is left."""

    async def aclose(self) -> None:
        """Nothing is open."""


class ProviderTransport:
    """One HTTP client. `headers` go with every request; `errors` is what it can raise beside httpx2's own errors.

    Raises `ProviderNotConfigured` for a header that cannot be sent.
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

        for name, value in headers.items():
            if not is_header_value(value):
                sentence = (
                    f"{provider} cannot be asked: what goes into its header {name}, such as a key, is not visible "
                    "ASCII, or has a line break at its end."
                )
                raise ProviderNotConfigured(sentence, provider=provider)
        self.provider = provider
        self._client = client
        self._errors: tuple[type[Exception], ...] = (httpx2.HTTPError, OSError, *errors)
        self.base_url = base_url.rstrip("/")
        self._headers = {name.lower(): value for name, value in headers.items()} | {"accept-encoding": "identity"}

    async def post(
        self, path: str, payload: JsonObject, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> OpenResponse:
        """The successful response. `headers` have lower-case names, `timeout_s` is the longest silence.

        Raises `ProviderError`.
        """
        import httpx2

        request = httpx2.Request(
            "POST",
            _url(self.base_url + path),
            headers={**self._headers, **(headers or {})},
            content=encode_body(payload),
            extensions={"timeout": limits(timeout_s).as_dict()},
        )
        return self._opened(await self._send(request, timeout_s=timeout_s), timeout_s=timeout_s)

    async def get_json(self, path: str, *, timeout_s: float) -> Any:
        """The JSON of a short answer. Raises `ProviderError`."""
        return await self._request_json("GET", path, None, timeout_s=timeout_s)

    async def post_json(self, path: str, payload: JsonObject, *, timeout_s: float) -> Any:
        """The JSON of a short answer to this payload. Raises `ProviderError`."""
        return await self._request_json("POST", path, encode_body(payload), timeout_s=timeout_s)

    async def _request_json(self, method: str, path: str, content: bytes | None, *, timeout_s: float) -> Any:
        import httpx2

        request = httpx2.Request(
            method,
            _url(self.base_url + path),
            headers=self._headers,
            content=content,
            extensions={"timeout": limits(timeout_s).as_dict()},
        )
        response = await self._send(request, timeout_s=timeout_s)
        body = b""
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_JSON_BYTES:
                    raise ProviderError(f"{self.provider} answered with more than can be read.", provider=self.provider)
        except self._errors as error:
            raise self._lost(error, timeout_s=timeout_s, begun=True) from error
        finally:
            await response.aclose()
        return self._parsed(body)

    def _parsed(self, body: bytes) -> Any:
        try:
            return orjson.loads(body)
        except ValueError as error:
            raise ProviderError(f"{self.provider} answered with what is no JSON.", provider=self.provider) from error

    async def _send(self, request: "httpx2.Request", *, timeout_s: float) -> "httpx2.Response":
        """The successful response, with its body unread. Redirects are not followed. Raises `ProviderError`."""
        try:
            try:
                response = await self._client.send(request, stream=True)
            except self._errors as error:
                if not _closed_before(error):
                    raise
                response = await self._client.send(request, stream=True)
        except self._errors as error:
            raise self._lost(error, timeout_s=timeout_s, begun=False) from error
        if response.is_success:
            return response
        body = await self._error_body(response)
        raise error_from_response(self.provider, response.status_code, response.headers, body, secrets=self._secrets)

    def _lost(self, error: Exception, *, timeout_s: float, begun: bool) -> ProviderError:
        """The error for a connection that failed. HTTP clients quote a header that they cannot send."""
        failure = error_from_transport(self.provider, error, timeout_s=timeout_s, begun=begun)
        hide_in_error(failure, self._secrets)
        return failure

    @cached_property
    def _secrets(self) -> Secrets:
        """The values of headers that may be secret, and a password in the address."""
        found = [value for name, value in self._headers.items() if not _is_public(name)]
        return secrets_of([*found, urlsplit(self.base_url).password or ""])

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _opened(self, response: "httpx2.Response", *, timeout_s: float) -> OpenResponse:
        return OpenResponse(self.provider, response, timeout_s=timeout_s, errors=self._errors, secrets=self._secrets)

    async def _error_body(self, response: "httpx2.Response") -> bytes:
        """The beginning of the body of a failed response, as far as it can be read: the status says enough."""
        body = b""
        try:
            with suppress(*self._errors):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) >= _MAX_ERROR_BYTES:
                        break
        finally:
            await response.aclose()
        return body


class SDKTransport(ProviderTransport):
    """The connections, address and headers of an SDK's client; `http` is the HTTP client that the SDK was given.

    `headers` are those that were given for this server; they win. What SDKs take from the environment beside the key,
    such as an organization, goes to their own provider only: with `is_own` false it is left out.
    """

    def __init__(
        self, provider: str, sdk: Any, http: "httpx2.AsyncClient", *, headers: Mapping[str, str], is_own: bool
    ) -> None:
        import aiohttp

        self._sdk = sdk
        usual = {name: value for name, value in sdk.default_headers.items() if is_own or _is_public(name)}
        sent = {**usual, **sdk.auth_headers, **headers}
        super().__init__(
            provider,
            http,
            base_url=str(sdk.base_url),
            # The SDK marks a header that is not to be sent with a value that is no text.
            headers={name: value for name, value in sent.items() if isinstance(value, str)},
            errors=(aiohttp.ClientError,),
        )


def connection_limits() -> "httpx2.Limits":
    """The limits of an HTTP client's connections to a provider."""
    import httpx2

    return httpx2.Limits(max_connections=_NO_LIMIT, max_keepalive_connections=_MAX_IDLE)


def plain_transport(provider: str, base_url: str, headers: Mapping[str, str]) -> ProviderTransport:
    """A transport to a server that needs no SDK: an HTTP client of its own, and these headers."""
    require("httpx2")
    import httpx2

    client = httpx2.AsyncClient(limits=connection_limits(), verify=trusted_certificates())
    headers = {**client.headers, "content-type": "application/json", **headers}
    return ProviderTransport(provider, client, base_url=base_url, headers=headers)


def _is_public(header: str) -> bool:
    return _PUBLIC_HEADERS.fullmatch(header.lower()) is not None


@lru_cache
def _url(text: str) -> "httpx2.URL":
    import httpx2

    return httpx2.URL(text)


@lru_cache
def limits(timeout_s: float) -> "httpx2.Timeout":
    """The time limits of a request whose longest silence is `timeout_s`."""
    import httpx2

    return httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))


def _closed_before(error: BaseException) -> bool:
    """Whether the server had closed the connection, which was open from an earlier request.

    llama.cpp's server closes it after each stream without a word (seen 2026-11-30), and others do so after a while. The
    request has no answer and may be sent at once over a new connection, as curl and browsers do.
    """
    cause: BaseException | None = error
    while cause is not None:
        # aiohttp's names, and httpcore's sentence.
        is_reset = type(cause).__name__ in {"ServerDisconnectedError", "ClientConnectionResetError"}
        if is_reset or str(cause).startswith("Server disconnected without"):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
