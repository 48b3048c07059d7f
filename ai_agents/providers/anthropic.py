"""Claude over Anthropic's Messages API. The SDK provides credentials, address and connections.

The stream is parsed here from its bytes, which takes a fifth of the time of the SDK's own objects.
"""

from collections.abc import Mapping

from ai_agents.core.exceptions import ProviderNotConfigured
from ai_agents.core.extras import require
from ai_agents.core.types import JsonObject, ModelRequest
from ai_agents.providers.anthropic_messages import AnthropicMessages
from ai_agents.providers.anthropic_models import NAME, anthropic_files
from ai_agents.providers.base import Capabilities
from ai_agents.providers.errors import error_from_response, error_from_transport
from ai_agents.providers.http_provider import HTTPProvider
from ai_agents.providers.lines import encode_body
from ai_agents.providers.transport import OpenResponse, ProviderTransport, SDKTransport, limits
from ai_agents.providers.wire_format import WireFormat


class AnthropicProvider(HTTPProvider):
    """Claude. Without `api_key` the SDK looks where it always does (`ANTHROPIC_API_KEY` and so on)."""

    name = NAME

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(files=anthropic_files(model))

    def _build(self) -> ProviderTransport:
        require("anthropic")
        import anthropic

        no_key = ProviderNotConfigured(
            f"{self.name} has no API key: pass api_key or set ANTHROPIC_API_KEY.", provider=self.name
        )
        http = anthropic.DefaultAioHttpClient(follow_redirects=False)
        try:
            # `HTTPProvider` tries again.
            sdk = anthropic.AsyncAnthropic(
                api_key=self._api_key,
                base_url=self._base_url,
                default_headers=self._headers,
                max_retries=0,
                open_telemetry=False,
                http_client=http,
            )
        except anthropic.AnthropicError as error:
            raise no_key from error
        if sdk.auth_headers:
            return SDKTransport(self.name, sdk, http)
        if sdk.credentials is None:
            raise no_key
        return _RenewingTransport(self.name, sdk, http)

    def wire_format(self, request: ModelRequest) -> WireFormat:
        return _MESSAGES


_MESSAGES = AnthropicMessages()


class _RenewingTransport(SDKTransport):
    """Sends with the SDK's own `post`, which renews credentials that expire: profiles and workload identities."""

    async def post(
        self, path: str, payload: JsonObject, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> OpenResponse:
        import anthropic
        import httpx2

        options = {"headers": {"accept-encoding": "identity", **(headers or {})}, "timeout": limits(timeout_s)}
        try:
            content = encode_body(payload)
            response = await self._sdk.post(
                path, cast_to=httpx2.Response, content=content, options=options, stream=True
            )
        except anthropic.APIStatusError as error:
            failed = error.response
            raise error_from_response(self.provider, error.status_code, failed.headers, failed.content) from error
        except anthropic.APIConnectionError as error:
            raise error_from_transport(self.provider, error, timeout_s=timeout_s, begun=False) from error
        except anthropic.AnthropicError as error:
            raise ProviderNotConfigured("anthropic's credentials cannot be used.", provider=self.provider) from error
        return self._opened(response, timeout_s=timeout_s)
