"""Ollama over its own chat API, which tells more than the OpenAI-compatible one."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from ai_agents.core.exceptions import ProviderError
from ai_agents.core.types import ModelRequest
from ai_agents.providers.base import Capabilities
from ai_agents.providers.http_provider import LIST_TIMEOUT_S, HTTPProvider
from ai_agents.providers.listing import ListedModel, ollama_models
from ai_agents.providers.ollama_chat import NAME, OllamaChat
from ai_agents.providers.ollama_models import OllamaEndpoint, OllamaModels, most_context, ollama_files
from ai_agents.providers.quirks import Quirks
from ai_agents.providers.transport import ProviderTransport, plain_transport
from ai_agents.providers.wire_format import WireFormat

DEFAULT_BASE_URL = "http://localhost:11434"
DEFAULT_PORT = 11434


class OllamaProvider(HTTPProvider):
    """Models on a machine of one's own. `base_url` may be what `OLLAMA_HOST` holds: an address, with or without a port.

    `num_ctx` is the size of the context in tokens; None chooses one by the length of the request.
    """

    name = NAME

    def __init__(
        self,
        *,
        model: str | None = None,
        name: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        quirks: Quirks | None = None,
        num_ctx: int | None = None,
        max_retries: int = 2,
    ) -> None:
        super().__init__(
            model=model,
            name=name,
            api_key=api_key,
            base_url=base_url,
            headers=headers,
            quirks=quirks,
            max_retries=max_retries,
        )
        self._num_ctx = num_ctx
        self._chat = OllamaChat(num_ctx)
        host = urlsplit(base_url_from(base_url)).hostname or ""
        self._models = OllamaModels(in_cloud=host == "ollama.com" or host.endswith(".ollama.com"))

    def capabilities(self, model: str) -> Capabilities:
        endpoint = self.endpoint(model)
        return Capabilities(
            files=ollama_files(model, endpoint.quirks), context_window=self._num_ctx or most_context(endpoint)
        )

    def endpoint(self, model: str) -> OllamaEndpoint:
        """The server and what it told of the model. What was given wins over that, and that over what was learned."""
        facts = self._models.get(model)
        quirks = self.learned.get(model).merged(facts.quirks()).merged(self.quirks)
        return OllamaEndpoint(self.name, quirks, facts)

    async def prepare_model(self, model: str) -> None:
        """Ask the server what the model takes, unless it told so within the last hour. Takes at most 3 seconds."""
        if self._models.is_fresh(model):
            return
        try:
            await self._models.ask(await self._ready_transport(), model)
        except ProviderError:
            return  # there is no way to ask; a request fails with the reason

    def _build(self) -> ProviderTransport:
        key = {"authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        return plain_transport(self.name, base_url_from(self._base_url), key | self._headers)

    async def _list_models(self, transport: ProviderTransport) -> Sequence[ListedModel]:
        return ollama_models(await transport.get_json("/api/tags", timeout_s=LIST_TIMEOUT_S))

    def wire_format(self, request: ModelRequest) -> WireFormat:
        return self._chat


def base_url_from(host: str | None) -> str:
    """The base URL for a value of `OLLAMA_HOST`. A server listens at `0.0.0.0`, a client calls it at `127.0.0.1`."""
    if not host or not host.strip():
        return DEFAULT_BASE_URL
    url = host.strip().rstrip("/")
    if "://" not in url:
        name = url.rpartition("]")[2] if url.startswith("[") else url
        url = f"http://{url}" if ":" in name else f"http://{url}:{DEFAULT_PORT}"
    return url.replace("://0.0.0.0", "://127.0.0.1")
