"""Google's Gemini over its own API, which tells more than the OpenAI-compatible one: thoughts and their signatures."""

import os
from collections.abc import Sequence

from ai_agents.core.exceptions import ProviderNotConfigured
from ai_agents.core.types import ModelRequest
from ai_agents.providers.base import Capabilities
from ai_agents.providers.gemini_generate import GeminiGenerate
from ai_agents.providers.gemini_models import NAME, gemini_capabilities
from ai_agents.providers.http_provider import HTTPProvider, list_pages
from ai_agents.providers.listing import ListedModel, gemini_models, gemini_next_page
from ai_agents.providers.transport import ProviderTransport, plain_transport
from ai_agents.providers.wire_format import WireFormat

DEFAULT_BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
_MODELS = "/models?pageSize=1000"
_GENERATE = GeminiGenerate()


class GeminiProvider(HTTPProvider):
    """Gemini. `base_url` ends in the version of the API, such as `/v1beta`."""

    name = NAME

    def capabilities(self, model: str) -> Capabilities:
        return gemini_capabilities(model)

    def wire_format(self, request: ModelRequest) -> WireFormat:
        return _GENERATE

    async def _list_models(self, transport: ProviderTransport) -> Sequence[ListedModel]:
        return await list_pages(transport, _MODELS, "pageToken", read=gemini_models, next_page=gemini_next_page)

    def _build(self) -> ProviderTransport:
        # As the SDKs of the others do. Another server must not see a key that was meant for Google.
        api_key = self._api_key or (os.environ.get("GEMINI_API_KEY") if self._base_url is None else None)
        if not api_key:
            sentence = f"{self.name} has no API key: pass api_key or set GEMINI_API_KEY."
            raise ProviderNotConfigured(sentence, provider=self.name)
        headers = {"x-goog-api-key": api_key} | self._headers
        return plain_transport(self.name, self._base_url or DEFAULT_BASE_URL, headers)
