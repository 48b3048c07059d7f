"""OpenAI, and every server that speaks one of its two APIs: Chat Completions, or Responses where an agent says so.

Its SDK is not needed: it takes 19 MB, and the stream is parsed here from its bytes, which takes a fifth of the time of
the SDK's own objects.
"""

import os
from collections.abc import Sequence

from ai_agents.core.exceptions import ProviderNotConfigured
from ai_agents.core.types import ModelRequest
from ai_agents.providers.base import Capabilities
from ai_agents.providers.direct_transport import DirectTransport
from ai_agents.providers.http_provider import LIST_TIMEOUT_S, HTTPProvider
from ai_agents.providers.listing import ListedModel, openai_models
from ai_agents.providers.openai_chat import OpenAIChat
from ai_agents.providers.openai_models import NAME, openai_files
from ai_agents.providers.openai_responses import OpenAIResponses
from ai_agents.providers.transport import ProviderTransport
from ai_agents.providers.wire_format import WireFormat

DEFAULT_BASE_URL = "https://api.openai.com/v1"
# Whose account pays: https://developers.openai.com/api/reference/overview, read 2026-11-30.
_ACCOUNT = {"openai-organization": "OPENAI_ORG_ID", "openai-project": "OPENAI_PROJECT_ID"}


class OpenAIProvider(HTTPProvider):
    """OpenAI, or with `base_url` (which ends in `/v1`) any compatible server; such a server may need no key.

    What is not given comes from the variables of OpenAI's SDKs: `OPENAI_API_KEY`, `OPENAI_BASE_URL`, and for OpenAI
    itself `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID`.
    """

    name = NAME

    def capabilities(self, model: str) -> Capabilities:
        quirks = self.endpoint(model).quirks
        return Capabilities(files=openai_files(model, quirks), context_window=quirks.context_window)

    def _build(self) -> ProviderTransport:
        api_key = self._api_key
        if api_key is None:
            # Another server must not see a key that was meant for OpenAI.
            api_key = os.environ.get("OPENAI_API_KEY") if self._base_url is None else "none"
        if not api_key:
            sentence = f"{self.name} has no API key: pass api_key or set OPENAI_API_KEY."
            raise ProviderNotConfigured(sentence, provider=self.name)
        headers = {"accept": "application/json", "authorization": f"Bearer {api_key}"}
        if self.name == NAME:
            headers |= {name: value for name, variable in _ACCOUNT.items() if (value := os.environ.get(variable))}
        base_url = self._base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
        return DirectTransport(self.name, base_url, headers | self._headers)

    async def _list_models(self, transport: ProviderTransport) -> Sequence[ListedModel]:
        return openai_models(await transport.get_json("/models", timeout_s=LIST_TIMEOUT_S))

    def wire_format(self, request: ModelRequest) -> WireFormat:
        return _RESPONSES if request.settings.api == "responses" else _CHAT


_CHAT, _RESPONSES = OpenAIChat(), OpenAIResponses()
