"""OpenAI, and every server that speaks one of its two APIs: Chat Completions, or Responses where an agent says so.

The SDK provides credentials, address and connections. The stream is parsed here from its bytes, which takes a fifth of
the time of the SDK's own objects.
"""

from collections.abc import Sequence

from ai_agents.core.certificates import trusted_certificates
from ai_agents.core.exceptions import ProviderNotConfigured
from ai_agents.core.extras import require
from ai_agents.core.types import ModelRequest
from ai_agents.providers.base import Capabilities
from ai_agents.providers.http_provider import LIST_TIMEOUT_S, HTTPProvider
from ai_agents.providers.listing import ListedModel, openai_models
from ai_agents.providers.openai_chat import OpenAIChat
from ai_agents.providers.openai_models import NAME, openai_files
from ai_agents.providers.openai_responses import OpenAIResponses
from ai_agents.providers.transport import ProviderTransport, SDKTransport, connection_limits
from ai_agents.providers.wire_format import WireFormat


class OpenAIProvider(HTTPProvider):
    """OpenAI, or with `base_url` (which ends in `/v1`) any compatible server; such a server may need no key.

    Without `api_key` the SDK looks where it always does (`OPENAI_API_KEY` and so on).
    """

    name = NAME

    def capabilities(self, model: str) -> Capabilities:
        quirks = self.endpoint(model).quirks
        return Capabilities(files=openai_files(model, quirks), context_window=quirks.context_window)

    def _build(self) -> ProviderTransport:
        require("openai")
        import openai

        no_key = ProviderNotConfigured(
            f"{self.name} has no API key: pass api_key or set OPENAI_API_KEY.", provider=self.name
        )
        # Another server must not see a key that was meant for OpenAI.
        api_key = "none" if self._api_key is None and self._base_url is not None else self._api_key
        http = openai.DefaultAioHttpClient(
            follow_redirects=False, limits=connection_limits(), verify=trusted_certificates()
        )
        try:
            # `HTTPProvider` tries again.
            sdk = openai.AsyncOpenAI(
                api_key=api_key,
                base_url=self._base_url,
                max_retries=0,
                http_client=http,
            )
        except openai.OpenAIError as error:
            raise no_key from error
        if not sdk.auth_headers:
            raise no_key
        return SDKTransport(self.name, sdk, http, headers=self._headers, is_own=self.name == NAME)

    async def _list_models(self, transport: ProviderTransport) -> Sequence[ListedModel]:
        return openai_models(await transport.get_json("/models", timeout_s=LIST_TIMEOUT_S))

    def wire_format(self, request: ModelRequest) -> WireFormat:
        return _RESPONSES if request.settings.api == "responses" else _CHAT


_CHAT, _RESPONSES = OpenAIChat(), OpenAIResponses()
