"""Claude over Anthropic's Messages API. The SDK provides credentials, address and connections.

The stream is parsed here from its bytes, which takes a fifth of the time of the SDK's own objects.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from ai_agents.core.certificates import trusted_certificates
from ai_agents.core.exceptions import ProviderNotConfigured
from ai_agents.core.extras import require
from ai_agents.core.types import JsonObject, ModelRequest
from ai_agents.providers.anthropic_messages import AnthropicMessages
from ai_agents.providers.anthropic_models import NAME, anthropic_files
from ai_agents.providers.base import Capabilities
from ai_agents.providers.errors import error_from_response, error_from_transport
from ai_agents.providers.http_provider import HTTPProvider, list_pages
from ai_agents.providers.lines import encode_body
from ai_agents.providers.listing import ListedModel, anthropic_models, anthropic_next_page
from ai_agents.providers.transport import OpenResponse, ProviderTransport, SDKTransport, connection_limits, limits
from ai_agents.providers.wire_format import WireFormat


class AnthropicProvider(HTTPProvider):
    """Claude. Without `api_key` the SDK looks where it always does (`ANTHROPIC_API_KEY` and so on)."""

    name = NAME

    def capabilities(self, model: str) -> Capabilities:
        quirks = self.endpoint(model).quirks
        return Capabilities(files=anthropic_files(model, quirks), context_window=quirks.context_window)

    def _build(self) -> ProviderTransport:
        require("anthropic")
        import anthropic

        no_key = ProviderNotConfigured(
            f"{self.name} has no API key: pass api_key or set ANTHROPIC_API_KEY.", provider=self.name
        )
        is_own = self.name == NAME
        http = anthropic.DefaultAioHttpClient(
            follow_redirects=False, limits=connection_limits(), verify=trusted_certificates()
        )
        try:
            # `HTTPProvider` tries again.
            sdk = anthropic.AsyncAnthropic(
                # Another server must not see a key that was meant for Anthropic.
                api_key=self._api_key if is_own or self._api_key is not None else "none",
                base_url=self._base_url,
                max_retries=0,
                open_telemetry=False,
                http_client=http,
            )
        except anthropic.AnthropicError as error:
            raise no_key from error
        if sdk.auth_headers:
            return SDKTransport(self.name, sdk, http, headers=self._headers, is_own=is_own)
        if sdk.credentials is None:
            raise no_key
        return _RenewingTransport(self.name, sdk, http, headers=self._headers, is_own=is_own)

    async def _list_models(self, transport: ProviderTransport) -> Sequence[ListedModel]:
        return await list_pages(transport, _MODELS, "after_id", read=anthropic_models, next_page=anthropic_next_page)

    def wire_format(self, request: ModelRequest) -> WireFormat:
        return _MESSAGES


_MESSAGES = AnthropicMessages()
_MODELS = "/v1/models?limit=1000"


class _RenewingTransport(SDKTransport):
    """Sends with the SDK's own `post`, which renews credentials that expire: profiles and workload identities."""

    async def post(
        self, path: str, payload: JsonObject, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> OpenResponse:
        import httpx2

        options = {"headers": {"accept-encoding": "identity", **(headers or {})}, "timeout": limits(timeout_s)}
        content = encode_body(payload)
        sent = self._sdk.post(path, cast_to=httpx2.Response, content=content, options=options, stream=True)
        return self._opened(await self._answered(sent, timeout_s=timeout_s), timeout_s=timeout_s)

    async def get_json(self, path: str, *, timeout_s: float) -> Any:
        import httpx2

        sent = self._sdk.get(path, cast_to=httpx2.Response, options={"timeout": limits(timeout_s)})
        return self._parsed((await self._answered(sent, timeout_s=timeout_s)).content)

    async def _answered(self, sent: Awaitable[Any], *, timeout_s: float) -> Any:
        import anthropic

        try:
            return await sent
        except anthropic.APIStatusError as error:
            failed = error.response
            raise error_from_response(self.provider, error.status_code, failed.headers, failed.content) from error
        except anthropic.APIConnectionError as error:
            raise error_from_transport(self.provider, error, timeout_s=timeout_s, begun=False) from error
        except anthropic.AnthropicError as error:
            raise ProviderNotConfigured("anthropic's credentials cannot be used.", provider=self.provider) from error
