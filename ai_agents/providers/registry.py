"""Providers by name, built in, registered or made, and the pool that shares one instance of each."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ai_agents.core.exceptions import InvalidRequest, ProviderNotConfigured
from ai_agents.core.factories import check_factory
from ai_agents.core.wording import there_are
from ai_agents.providers.base import Capabilities, Provider
from ai_agents.providers.http_provider import HTTPProvider
from ai_agents.providers.quirks import Quirks
from ai_agents.providers.specs import PROVIDER_TYPES, ProviderSpec, Source

ProviderFactory = Callable[..., Provider]
OnLearn = Callable[[str, str, Quirks], None]

_registered: dict[str, ProviderFactory] = {}
_NO_QUIRKS = Quirks()


def get_provider(name: str, **options: Any) -> Provider:
    """A new provider: `anthropic`, `openai`, `ollama`, `echo` or a registered one.

    `options` are the provider's: `model` for all, `api_key`, `base_url`, `max_retries` for those behind HTTP. The first
    request loads the SDK and connects, and raises `ProviderNotConfigured` where a key is missing.
    Raises `ProviderNotConfigured` for an unknown name, TypeError for an unknown option.
    """
    factory = _factory(name)
    if name in PROVIDER_TYPES and name not in _registered:
        known = [each for each in inspect.signature(factory).parameters if each != "name"]
        for option in options:
            if option not in known and option != "name":
                raise TypeError(f"The provider {name} has no option {option}; {there_are(known)}.")
    return factory(**options)


def register_provider(name: str, factory: ProviderFactory) -> None:
    """Make `get_provider(name, **options)` return `factory(**options)`. It replaces an earlier or built-in provider.

    The class is a factory. One object for all goes to `AgentRunner`, or to `ProviderPool.add`. Raises TypeError for it.
    """
    check_factory("register_provider", factory)
    _registered[name] = factory


def list_providers() -> list[str]:
    """The names that `get_provider` knows, sorted."""
    return sorted({*PROVIDER_TYPES, *_registered})


def built_in_capabilities(name: str, model: str) -> Capabilities:
    """What a built-in provider's model can be used for; the defaults for another name. Needs no key."""
    return _factory(name)().capabilities(model) if name in PROVIDER_TYPES else Capabilities()


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """A provider as admins see it. `reason` says why it cannot be used here, None where it can.

    `type` is `python` for a provider that the program brings itself. `base_url` is None where there is none to tell.
    """

    name: str
    type: str
    source: Source
    default_model: str | None
    reason: str | None = None
    base_url: str | None = None
    preset: str | None = None
    quirks: Quirks = _NO_QUIRKS
    # Its creation and how often it changed since; None for one that is not of the database.
    version: tuple[str, int] | None = None

    @property
    def configured(self) -> bool:
        """Whether it can be used."""
        return self.reason is None


class ProviderPool:
    """One shared instance of each provider, so that all runs share its connections.

    `options` are those of `get_provider`, by built-in provider. `default` is the provider and model of agents that name
    none. `specs` are the providers of a file; those of the database come and go with `replace_made`. Keys come from
    these alone; `get_provider` looks in the environment too, and so does a pool that `knows_all=False`: what it was not
    given may be there, and the first request says whether it is.
    """

    def __init__(
        self,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        default: tuple[str, str | None] = ("echo", "echo"),
        specs: Iterable[ProviderSpec] = (),
        knows_all: bool = True,
    ) -> None:
        """Raises `InvalidRequest` for a spec with the name of a built-in provider."""
        # A setting that is not set comes as None or as an empty text.
        self._options = {
            name: {option: value for option, value in found.items() if value is not None and value != ""}
            for name, found in (options or {}).items()
        }
        self._specs = {spec.name: spec for spec in specs}
        for name in self._specs.keys() & set(list_providers()):
            raise InvalidRequest(f"The name {name} belongs to a built-in provider.", loc=("name",))
        self._made: dict[str, ProviderSpec] = {}
        self._providers: dict[str, Provider] = {}
        self._added: set[str] = set()
        self._learned: Mapping[str, Mapping[str, Quirks]] = {}
        self.default = default
        self._knows_all = knows_all
        # Is told of the provider, the model and all of its quirks where a refusal taught something.
        self.on_learn: OnLearn | None = None

    def __repr__(self) -> str:
        return f"<ProviderPool: {', '.join(each.name for each in self.configured() if each.configured)}>"

    def get(self, name: str) -> Provider:
        """The provider of this name. Raises `ProviderNotConfigured` if it is unknown or lacks what it needs."""
        provider = self._providers.get(name)
        if provider is None:
            provider = self._providers[name] = self._build(name)
        return provider

    def build_for_check(self, name: str) -> tuple[Provider, bool]:
        """A provider that tries once, and whether it has connections of its own, which the caller closes.

        Raises as `get` does.
        """
        if name in self._added:
            return self.get(name), False
        provider = self._build(name)
        if isinstance(provider, HTTPProvider):
            provider.max_retries = 0
        return provider, True

    def _build(self, name: str) -> Provider:
        status = self.find(name)
        if status is None:
            raise ProviderNotConfigured(f"There is no provider {name} here, or there is none any more.", provider=name)
        if status.reason is not None:
            raise ProviderNotConfigured(f"{name} is not configured here. {status.reason}", provider=name)
        spec = self._spec(name)
        if spec is None:
            provider = _factory(name)(**self._options.get(name, {}))
        else:
            provider = _class_of(spec.type)(
                name=name,
                model=spec.default_model,
                base_url=spec.base_url,
                api_key=spec.api_key,
                headers=spec.headers,
                quirks=spec.quirks,
            )
        if isinstance(provider, HTTPProvider):
            self._teach(name, provider)
        return provider

    def add(self, provider: Provider) -> None:
        """Make `get` return this instance for its name. The pool closes it with the others."""
        self._providers[provider.name] = provider
        self._added.add(provider.name)

    def default_model(self, name: str) -> str | None:
        """The model that a provider uses for an agent that names none; None where there is none."""
        if name in self._added and self._providers[name].model:
            return self._providers[name].model
        default_name, default_model = self.default
        spec = self._spec(name)
        model: str | None = self._options.get(name, {}).get("model") if spec is None else spec.default_model
        if model or name == default_name:
            return model or default_model
        return PROVIDER_TYPES[name].only_model if name in PROVIDER_TYPES else None

    def names(self) -> list[str]:
        """The names of all providers, sorted."""
        return sorted({*list_providers(), *self._added, *self._specs, *self._made})

    def given_names(self) -> list[str]:
        """The names of the providers that were not made in the database, sorted."""
        return sorted({*list_providers(), *self._added, *self._specs})

    def configured(self) -> list[ProviderStatus]:
        """Every known provider, by name, and whether it can be used."""
        return [status for name in self.names() if (status := self.find(name)) is not None]

    def find(self, name: str) -> ProviderStatus | None:
        """What is known of this provider; None for an unknown name."""
        model = self.default_model(name)
        if name in self._added or name in _registered:
            return ProviderStatus(name, "python", "program", model)
        if name in PROVIDER_TYPES:
            url = self._options.get(name, {}).get("base_url") or PROVIDER_TYPES[name].base_url
            return ProviderStatus(name, name, "environment", model, self._missing_setting(name), url)
        spec = self._spec(name)
        if spec is None:
            return None
        return self.describe(spec)

    def describe(self, spec: ProviderSpec) -> ProviderStatus:
        """What is known of the provider of this spec."""
        return ProviderStatus(
            spec.name,
            spec.type,
            spec.source,
            spec.default_model or (self.default[1] if spec.name == self.default[0] else None),
            spec.missing,
            spec.base_url,
            spec.preset,
            spec.quirks,
            spec.version if spec.source == "database" else None,
        )

    def capabilities(self, name: str, model: str) -> Capabilities:
        """What a model can be used for; the defaults for an unknown provider. Needs no key."""
        if name in self._providers:
            return self._providers[name].capabilities(model)
        spec = self._spec(name)
        if spec is None:
            return built_in_capabilities(name, model)
        return _class_of(spec.type)(name=name, quirks=spec.quirks).capabilities(model)

    def listed_as(self, name: str) -> str:
        """The name under which this provider's prices and windows are listed: a second Anthropic is Anthropic."""
        spec = self._spec(name)
        if spec is not None:
            return spec.listed_as or name
        return PROVIDER_TYPES[name].listed_as or name if name in PROVIDER_TYPES else name

    def window(self, name: str, model: str) -> int | None:
        """Tokens that a model takes, as the admin or the server itself says; None where neither does."""
        spec = self._spec(name)
        given = None if spec is None else spec.quirks.context_window
        return given or self.capabilities(name, model).context_window

    async def replace_made(self, specs: Iterable[ProviderSpec]) -> list[str]:
        """Take these as the providers of the database. Those that changed are closed once their streams have ended.

        Returns the names that changed. A name that is given elsewhere stays what it is there.
        """
        given = set(self.given_names())
        made = {spec.name: spec for spec in specs if spec.name not in given}
        changed = [name for name in {*made, *self._made} if made.get(name) != self._made.get(name)]
        self._made = made
        retired = [provider for name in changed if (provider := self._providers.pop(name, None)) is not None]
        for provider in retired:
            await provider.retire()
        return sorted(changed)

    def take_learned(self, learned: Mapping[str, Mapping[str, Quirks]]) -> None:
        """Take what refusals taught any process, by provider and model."""
        self._learned = learned
        for name, provider in self._providers.items():
            if isinstance(provider, HTTPProvider):
                self._teach(name, provider)

    def learned(self, name: str) -> dict[str, Quirks]:
        """What refusals taught about a provider, by model."""
        provider = self._providers.get(name)
        own = provider.learned.all() if isinstance(provider, HTTPProvider) else {}
        return {**self._learned.get(name, {}), **own}

    async def prepare(self, name: str | None = None) -> None:
        """Load now what the first request needs, if the provider (None: the default one) is configured."""
        name = name or self.default[0]
        if (status := self.find(name)) is not None and status.configured:
            await self.get(name).prepare()

    async def aclose(self) -> None:
        """Close all connections. Those of `add` are still known afterwards, and those of a name are made anew."""
        providers = self._providers
        self._providers = {name: provider for name, provider in providers.items() if name in self._added}
        for provider in providers.values():
            await provider.aclose()

    def _spec(self, name: str) -> ProviderSpec | None:
        return None if name in _registered else self._specs.get(name) or self._made.get(name)

    def _teach(self, name: str, provider: HTTPProvider) -> None:
        for model, quirks in self._learned.get(name, {}).items():
            provider.learned.put(model, quirks)
        provider.learned.on_learn = self._tell

    def _tell(self, provider: str, model: str, quirks: Quirks) -> None:
        if self.on_learn is not None:
            self.on_learn(provider, model, quirks)

    def _missing_setting(self, name: str) -> str | None:
        kind = PROVIDER_TYPES[name]
        if not self._knows_all or not kind.needs or any(option in self._options.get(name, {}) for option in kind.needs):
            return None
        first, *others = (kind.settings[option] for option in kind.needs)
        return f"Neither {first} nor {' nor '.join(others)} is set." if others else f"{first} is not set."


def _factory(name: str) -> ProviderFactory:
    if name in _registered:
        return _registered[name]
    if name not in PROVIDER_TYPES:
        sentence = f"There is no provider of this name; {there_are(list_providers())}."
        raise ProviderNotConfigured(sentence, provider=name)
    return _class_of(name)


def _class_of(kind: str) -> ProviderFactory:
    """The class of a type. Its module is imported when it is asked for."""
    found = PROVIDER_TYPES[kind]
    factory: ProviderFactory = getattr(import_module(found.module), found.attribute)
    return factory
