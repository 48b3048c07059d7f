"""The keys of an issuer, fetched from where its discovery document says, and kept.

Keys that are known are used at once, and asked for again in the background when they are old. A request waits only for
a key that is not known, for a bounded time, and the issuer is asked at most every few seconds whatever requests say.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson
import structlog

from ai_agents.core.certificates import trusted_certificates
from ai_agents.core.connecting import why_not_reached
from app.errors import IssuerUnavailable, Unauthorized
from app.oidc.jws import Key, read_key

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("app.oidc")
# Past this age the keys are asked for in the background …
_FRESH_S = 300.0
# … and when the issuer has not answered for so long, they are not believed any more.
_KEPT_S = 86_400.0
_ASK_EVERY_S = 10.0
# For discovery and keys together. Requests wait for it.
_TIMEOUT_S = 5.0
_MAX_WAITING = 100
_MAX_BYTES = 262_144
_MAX_KEYS = 100
_PORTS = {"http": 80, "https": 443}
_DISCOVERY = "/.well-known/openid-configuration"
# What stands in a policy of the page: nothing that could end a source there.
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[^\s;,'\"]*)?")


class IssuerKeys:
    """The keys of an issuer. Its address is the operator's word, and may be private; redirects are not followed."""

    def __init__(self, issuer: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._clock = clock
        self._keys: list[Key] = []
        # Where it gives tokens, once it has said so.
        self.token_endpoint: str | None = None
        self._fetched_at = self._asked_at = -_KEPT_S
        self._failure: str | None = None
        self._asking: asyncio.Task[None] | None = None
        self._waiting = 0
        self._client: httpx2.AsyncClient | None = None

    def ask_soon(self) -> None:
        """Ask the issuer in the background, unless it was asked a moment ago."""
        if self._asking is None and self._clock() - self._asked_at >= _ASK_EVERY_S:
            self._asked_at = self._clock()
            self._asking = asyncio.create_task(self._ask(), name="oidc-keys")

    async def find(self, algorithm: str, kid: str | None) -> Key:
        """The key with this id, or without one the only key for this algorithm.

        Raises `Unauthorized` where the issuer has no such key, and `IssuerUnavailable` where it cannot be asked.
        """
        found = self._find(algorithm, kid)
        if self._clock() - self._fetched_at >= _FRESH_S or found is None:
            self.ask_soon()
        if found is None:
            await self._wait()
            found = self._find(algorithm, kid)
        if found is not None:
            return found
        if self._failure is not None or self._is_too_old():
            raise IssuerUnavailable(
                "The keys of the issuer of JWTs cannot be fetched now, and this JWT names one that is not known."
            )
        raise Unauthorized("This JWT does not name (kid) a key that its issuer publishes.")

    async def find_fault(self) -> str | None:
        """Why there are no keys of the issuer; None if there are some. Asks unless it was asked a moment ago."""
        self.ask_soon()
        await self._wait()
        return self._failure or (None if self._keys else "it publishes no key that is used here")

    async def aclose(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})
        if self._client is not None:
            await self._client.aclose()

    def _find(self, algorithm: str, kid: str | None) -> Key | None:
        if self._is_too_old():
            return None
        fitting = [key for key in self._keys if algorithm in key.algorithms and kid in (None, key.kid)]
        return fitting[0] if fitting and (kid is not None or len(fitting) == 1) else None

    def _is_too_old(self) -> bool:
        return self._clock() - self._fetched_at >= _KEPT_S

    async def _wait(self) -> None:
        """Wait for the answer that is under way, if one is. Raises `IssuerUnavailable` where too many wait."""
        if self._asking is None:
            return
        if self._waiting >= _MAX_WAITING:
            raise IssuerUnavailable("The keys of the issuer of JWTs are being fetched. Try again in a moment.")
        self._waiting += 1
        try:
            await asyncio.wait({self._asking})
        finally:
            self._waiting -= 1

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                self._client = self._client or _make_client()
                document, published = await _fetch(self._client, self._issuer)
                read = [read_key(each) for each in published]
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            # An error of a time limit has no text.
            self._failure = _why(error, self._issuer)
            log.warning("the keys of the issuer cannot be fetched", issuer=self._issuer, reason=self._failure)
        except Exception:  # the edge of a task, whose error would never be told
            self._failure = "something unexpected"
            log.exception("the keys of the issuer cannot be read", issuer=self._issuer)
        else:
            endpoint = document.get("token_endpoint")
            self.token_endpoint = endpoint if isinstance(endpoint, str) and _ADDRESS.fullmatch(endpoint) else None
            self._keys = [key for key in read if key is not None]
            self._fetched_at, self._failure = self._clock(), None
            if not self._keys:
                log.warning("the issuer publishes no key that is used here", issuer=self._issuer, keys=len(read))
        finally:
            self._asking = None


def _why(error: Exception, issuer: str) -> str:
    """Why the issuer could not be asked."""
    parts = urlsplit(issuer)
    said = why_not_reached(error, "the issuer", parts.hostname or issuer, parts.port or _PORTS.get(parts.scheme))
    # An error of a time limit has no text.
    return said or str(error) or f"no answer within {_TIMEOUT_S:.0f} seconds"


def _make_client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        verify=trusted_certificates(),
        # A short compressed answer can be a long one.
        headers={"user-agent": "ai-agents", "accept-encoding": "identity", "accept": "application/json"},
        timeout=_TIMEOUT_S,
        # Between two requests are minutes.
        limits=httpx2.Limits(max_keepalive_connections=0),
        follow_redirects=False,
    )


async def _fetch(client: httpx2.AsyncClient, issuer: str) -> tuple[dict[str, Any], list[Any]]:
    """The issuer's discovery document, and the keys it publishes. Raises `ValueError`, and the errors of httpx2."""
    found = await _get(client, issuer.removesuffix("/") + _DISCOVERY)
    # OpenID Connect Discovery 1.0, 4.3: exactly the issuer that was asked.
    if found.get("issuer") != issuer:
        raise ValueError("its discovery document is that of another issuer")
    address = found.get("jwks_uri")
    if not isinstance(address, str) or not address.startswith(("https://", issuer.partition("//")[0] + "//")):
        raise ValueError("its discovery document has no jwks_uri, or one without TLS")
    keys = (await _get(client, address)).get("keys")
    if not isinstance(keys, list) or len(keys) > _MAX_KEYS:
        raise ValueError(f"what it publishes is not a set of at most {_MAX_KEYS} keys")
    return found, keys


async def _get(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    raw = bytearray()
    async with client.stream("GET", url) as response:
        if response.status_code != 200 or response.headers.get("content-encoding", "identity") != "identity":
            raise ValueError(f"{url} answered with the status {response.status_code} or compressed")
        async for chunk in response.aiter_bytes():
            raw += chunk
            if len(raw) > _MAX_BYTES:
                raise ValueError(f"{url} answered with more than {_MAX_BYTES} bytes")
    found = orjson.loads(raw)
    return found if isinstance(found, dict) else {}
