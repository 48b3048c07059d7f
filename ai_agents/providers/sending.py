"""Sends requests with an SDK's credentials, addresses and connections, without the objects that it makes for each.

What the SDK adds to a request is the same for all of them, so it is asked for once. To let it do all of that each time
costs more than twice as much.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ai_agents.providers.streaming import CONNECT_TIMEOUT_S, Response


class Sender:
    """One SDK client with its connections.

    `security` is what the SDK's own `post` wants to be told. It is used where credentials may change from one request
    to the next: where they are neither an API key nor a token.
    """

    def __init__(self, sdk: ModuleType, client: Any, http: Any, *, security: Mapping[str, bool] | None = None) -> None:
        import httpx2

        self._sdk = sdk
        self._client = client
        self._http = http
        self._security = security
        self._base_url = str(client.base_url).rstrip("/")
        self._urls: dict[str, httpx2.URL] = {}
        self._timeouts: dict[float, dict[str, float | None]] = {}
        self._headers: dict[str, str] | None = None
        if client.auth_headers:
            headers = {**client.default_headers, **client.auth_headers}
            # What the SDK marks as left out is no text.
            self._headers = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}

    async def post(self, path: str, content: bytes, *, headers: Mapping[str, str], timeout_s: float) -> Response:
        """The response, its body unread and its status a success. `headers` have lower-case names.

        Raises what the SDK does: its `APIStatusError`, `APIConnectionError` and their kinds.
        """
        import httpx2

        timeout = self._timeouts.get(timeout_s)
        if timeout is None:
            known = httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
            timeout = self._timeouts[timeout_s] = known.as_dict()
        if self._headers is None:
            return await self._post_with_sdk(path, content, headers, httpx2.Timeout(**timeout))
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx2.URL(self._base_url + path)
        request = httpx2.Request(
            "POST", url, headers={**self._headers, **headers}, content=content, extensions={"timeout": timeout}
        )
        try:
            response = await self._http.send(request, stream=True)
            if response.is_error:
                await response.aread()
        except httpx2.TimeoutException as error:
            raise self._sdk.APITimeoutError(request=request) from error
        except (httpx2.HTTPError, OSError) as error:
            raise self._sdk.APIConnectionError(request=request) from error
        if response.is_error:
            raise self._client._make_status_error_from_response(response)  # the SDK's own names for what went wrong
        found: Response = response
        return found

    async def _post_with_sdk(self, path: str, content: bytes, headers: Mapping[str, str], limits: Any) -> Response:
        import httpx2

        options = {"headers": headers, "timeout": limits}
        if self._security is not None:
            options["security"] = self._security
        response: Response = await self._client.post(
            path, cast_to=httpx2.Response, content=content, options=options, stream=True
        )
        return response

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
