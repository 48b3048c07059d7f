"""Providers by name, built in or registered, and the pool that shares one instance of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ai_agents.core.exceptions import ProviderNotConfigured
from ai_agents.providers.base import Capabilities, Provider

ProviderFactory = Callable[..., Provider]

# Module and class. A module is imported when its provider is asked for.
_BUILT_IN = {
    "anthropic": ("ai_agents.providers.anthropic", "AnthropicProvider"),
    "openai": ("ai_agents.providers.openai", "OpenAIProvider"),
    "ollama": ("ai_agents.providers.ollama", "OllamaProvider"),
    "gemini": ("ai_agents.providers.gemini", "GeminiProvider"),
    "echo": ("ai_agents.providers.echo", "EchoProvider"),
}
_registered: dict[str, ProviderFactory] = {}
# A provider needs one of these options before it can be used; the others need none.
_NEEDED_OPTIONS = {"anthropic": ("api_key",), "openai": ("api_key", "base_url"), "gemini": ("api_key",)}
# Providers with one model only.
_ONLY_MODELS = {"echo": "echo"}


def get_provider(name: str, **options: Any) -> Provider:
    """A new provider: `anthropic`, `openai`, `ollama`, `gemini`, `echo` or a registered one.

    `options` are the provider's: `model` for all, `api_key`, `base_url`, `max_retries` for those behind HTTP. The first
    request loads the SDK and connects, and raises `ProviderNotConfigured` where a key is missing.
    Raises `ProviderNotConfigured` for an unknown name, TypeError for an unknown option.
    """
    return _factory(name)(**options)


def register_provider(name: str, factory: ProviderFactory) -> None:
    """Make `get_provider(name, **options)` return `factory(**options)`. It replaces an earlier or built-in provider."""
    _registered[name] = factory


def list_providers() -> list[str]:
    """The names that `get_provider` knows, sorted."""
    return sorted({*_BUILT_IN, *_registered})


def built_in_capabilities(name: str, model: str) -> Capabilities:
    """What a built-in provider's model can be used for; the defaults for another name. Needs no key."""
    return _factory(name)().capabilities(model) if name in _BUILT_IN else Capabilities()


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """Whether a provider can be used here, and its default model."""

    name: str
    configured: bool
    default_model: str | None


class ProviderPool:
    """One shared instance of each provider, so that all runs share its connections.

    `options` are those of `get_provider`, by provider. `default` is the provider and model of agents that name none.
    Keys come from `options` alone; `get_provider` looks in the environment too.
    """

    def __init__(
        self,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        default: tuple[str, str | None] = ("echo", "echo"),
    ) -> None:
        # A setting that is not set comes as None or as an empty text.
        self._options = {
            name: {option: value for option, value in found.items() if value is not None and value != ""}
            for name, found in (options or {}).items()
        }
        self._providers: dict[str, Provider] = {}
        self.default = default

    def get(self, name: str) -> Provider:
        """The provider of this name. Raises `ProviderNotConfigured` if it is unknown or lacks what it needs."""
        provider = self._providers.get(name)
        if provider is None:
            factory = _factory(name)
            if not self._is_configured(name):
                needed = " or ".join(_NEEDED_OPTIONS[name])
                raise ProviderNotConfigured(f"{name} is not configured here: it needs {needed}.", provider=name)
            provider = self._providers[name] = factory(**self._options.get(name, {}))
        return provider

    def add(self, provider: Provider) -> None:
        """Make `get` return this instance for its name. The pool closes it with the others."""
        self._providers[provider.name] = provider

    def default_model(self, name: str) -> str | None:
        """The model that a provider uses for an agent that names none; None where there is none."""
        if name in self._providers and self._providers[name].model:
            return self._providers[name].model
        default_name, default_model = self.default
        model: str | None = self._options.get(name, {}).get("model")
        return model or (default_model if name == default_name else _ONLY_MODELS.get(name))

    def configured(self) -> list[ProviderStatus]:
        """Every known provider, by name, and whether it can be used."""
        names = sorted({*list_providers(), *self._providers})
        return [ProviderStatus(name, self._is_configured(name), self.default_model(name)) for name in names]

    async def prepare(self, name: str | None = None) -> None:
        """Load now what the first request needs, if the provider (None: the default one) is configured."""
        name = name or self.default[0]
        if name in list_providers() and self._is_configured(name):
            await self.get(name).prepare()

    async def aclose(self) -> None:
        """Close all connections."""
        providers, self._providers = self._providers, {}
        for provider in providers.values():
            await provider.aclose()

    def _is_configured(self, name: str) -> bool:
        if name in self._providers or name in _registered or name not in _NEEDED_OPTIONS:
            return True
        return any(option in self._options.get(name, {}) for option in _NEEDED_OPTIONS[name])


def _factory(name: str) -> ProviderFactory:
    if name in _registered:
        return _registered[name]
    if name not in _BUILT_IN:
        known = ", ".join(list_providers())
        raise ProviderNotConfigured(f"There is no provider of this name; there are {known}.", provider=name)
    module, attribute = _BUILT_IN[name]
    factory: ProviderFactory = getattr(import_module(module), attribute)
    return factory
