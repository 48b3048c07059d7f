"""Servers that many people use, ready made but for their keys: addresses, and what is known to differ from their type.

Addresses and differences are public facts of November 2026. The page that tells them stands with each entry; the
servers themselves were not called.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ai_agents.providers.quirks import Quirks


@dataclass(frozen=True, slots=True)
class Preset:
    """A ready-made provider.

    `base_url` is None where each customer has an address of their own. `needs_key` says that the server answers no
    request without an API key. `listed_as` is the name in the list of prices and windows, None where it has none.
    """

    type: str
    base_url: str | None
    needs_key: bool = True
    quirks: Quirks = field(default_factory=Quirks)
    listed_as: str | None = None


PRESETS: Mapping[str, Preset] = {
    # https://console.groq.com/docs/openai
    "groq": Preset("openai", "https://api.groq.com/openai/v1", listed_as="groq"),
    # https://docs.mistral.ai/api: fields that it does not know are refused with 422 ("Extra inputs are not permitted"),
    # `stream_options` and `max_completion_tokens` among them; usage comes without being asked for.
    "mistral": Preset(
        "openai",
        "https://api.mistral.ai/v1",
        quirks=Quirks(
            finish_reasons={"model_length": "length", "error": "error"},
            stream_options=False,
            max_tokens_field="max_tokens",
        ),
        listed_as="mistral",
    ),
    # https://openrouter.ai/docs/api/reference/overview: reasons are normalized, and `error` is one of them.
    "openrouter": Preset(
        "openai",
        "https://openrouter.ai/api/v1",
        quirks=Quirks(finish_reasons={"error": "error"}),
        listed_as="openrouter",
    ),
    # https://api-docs.deepseek.com/api/create-chat-completion: the last reason means that the server broke off.
    "deepseek": Preset(
        "openai",
        "https://api.deepseek.com/v1",
        quirks=Quirks(finish_reasons={"insufficient_system_resource": "error"}, schema="instructed"),
        listed_as="deepseek",
    ),
    # https://docs.x.ai/docs/api-reference
    "xai": Preset("openai", "https://api.x.ai/v1", listed_as="x-ai"),
    # https://docs.together.ai/reference/chat-completions-1: `eos` is a good end.
    "together": Preset(
        "openai",
        "https://api.together.xyz/v1",
        quirks=Quirks(finish_reasons={"eos": "stop"}),
        listed_as="together",
    ),
    # https://docs.fireworks.ai/tools-sdks/openai-compatibility
    "fireworks": Preset("openai", "https://api.fireworks.ai/inference/v1", listed_as="fireworks"),
    # https://ai.google.dev/gemini-api/docs/openai
    "gemini": Preset("openai", "https://generativelanguage.googleapis.com/v1beta/openai", listed_as="google"),
    # https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle: the v1 API. Each customer has an address:
    # https://NAME.openai.azure.com/openai/v1
    "azure": Preset("openai", None, listed_as="azure"),
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html: `abort` means that the server broke off.
    "vllm": Preset(
        "openai",
        "http://localhost:8000/v1",
        needs_key=False,
        quirks=Quirks(finish_reasons={"abort": "error"}),
    ),
    # https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    "llamacpp": Preset("openai", "http://localhost:8080/v1", needs_key=False),
    # https://lmstudio.ai/docs/api/openai-api
    "lmstudio": Preset("openai", "http://localhost:1234/v1", needs_key=False),
}
