"""OpenAI, and every server that speaks one of its two APIs: Chat Completions, or Responses where an agent says so.

The SDK provides credentials, address and connections. The stream is parsed here from its bytes, which takes a fifth of
the time of the SDK's own objects.
"""

from functools import cached_property, partial

from ai_agents.core.exceptions import ProviderNotConfigured, ProviderRejected
from ai_agents.core.extras import require
from ai_agents.core.types import ModelRequest
from ai_agents.providers import openai_chat, openai_responses
from ai_agents.providers.base import Capabilities
from ai_agents.providers.http_provider import HTTPProvider
from ai_agents.providers.openai_models import NAME, openai_facts, openai_files
from ai_agents.providers.response_parser import ResponseParser
from ai_agents.providers.transport import OpenResponse, ProviderTransport, SDKTransport


class OpenAIProvider(HTTPProvider):
    """OpenAI, or with `base_url` (which ends in `/v1`) any compatible server; such a server may need no key.

    Without `api_key` the SDK looks where it always does (`OPENAI_API_KEY` and so on).
    """

    name = NAME

    @cached_property
    def _without_schemas(self) -> set[str]:
        """The models that turned out not to take an output schema."""
        return set()

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(files=openai_files(model))

    def _build(self) -> ProviderTransport:
        require("openai")
        import openai

        no_key = ProviderNotConfigured("openai has no API key: pass api_key or set OPENAI_API_KEY.", provider=NAME)
        # Another server must not see a key that was meant for OpenAI.
        api_key = "none" if self._api_key is None and self._base_url is not None else self._api_key
        http = openai.DefaultAioHttpClient()
        try:
            # `HTTPProvider` tries again.
            sdk = openai.AsyncOpenAI(api_key=api_key, base_url=self._base_url, max_retries=0, http_client=http)
        except openai.OpenAIError as error:
            raise no_key from error
        if not sdk.auth_headers:
            raise no_key
        return SDKTransport(NAME, sdk, http)

    async def _send(self, transport: ProviderTransport, request: ModelRequest, *, timeout_s: float) -> OpenResponse:
        if request.settings.api == "responses":
            return await transport.post("/responses", openai_responses.to_wire(request), timeout_s=timeout_s)
        send = partial(transport.post, "/chat/completions", timeout_s=timeout_s)
        facts = openai_facts(request.model)
        enforced = facts.schema and request.model not in self._without_schemas
        try:
            return await send(openai_chat.to_wire(request, schema_enforced=enforced))
        except ProviderRejected:
            # Not every compatible server enforces schemas; the model of one that does not is asked in words.
            if request.output_schema is None or not enforced or facts.reasoning is not None:
                raise
            response = await send(openai_chat.to_wire(request, schema_enforced=False))
            self._without_schemas.add(request.model)
            return response

    def _parser(self, request: ModelRequest, before: ResponseParser | None) -> ResponseParser:
        if request.settings.api == "responses":
            return openai_responses.OpenAIResponsesParser(request)
        return openai_chat.OpenAIChatParser(request)
