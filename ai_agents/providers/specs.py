"""The types of providers, and what an admin says of one provider: its address, its secrets and its quirks, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from ai_agents.core.exceptions import InvalidRequest
from ai_agents.core.headers import MAX_HEADER, check_headers, is_header_value
from ai_agents.core.hosts import has_host
from ai_agents.providers.presets import PRESETS
from ai_agents.providers.quirks import Quirks

# A provider of the environment, of the file that a setting names, of the database, or of the program itself.
Source = Literal["environment", "file", "database", "program"]


@dataclass(frozen=True, slots=True)
class ProviderType:
    """A type of provider: the module and the class that speak its wire format.

    `base_url` is its public address; None for a type that admins cannot make more of. `settings` are the options that
    the environment gives to the built-in provider of this name, each with its variable. One of `needs` is needed before
    it can be used. `default_model` is asked where the service names no model; `only_model` is the one model of a type
    that has no other. `listed_as` is its name in the list of prices and windows, where that is another one.
    `model_names` is how the names of its maker's models begin: at `base_url` there are none of other makers.
    """

    module: str
    attribute: str
    base_url: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    default_model: str | None = None
    only_model: str | None = None
    listed_as: str | None = None
    model_names: tuple[str, ...] = ()


# By the name of the type, which is the name of its built-in provider too. The first one with a key is the default.
PROVIDER_TYPES: Mapping[str, ProviderType] = {
    "anthropic": ProviderType(
        "ai_agents.providers.anthropic",
        "AnthropicProvider",
        base_url="https://api.anthropic.com",
        settings={"api_key": "ANTHROPIC_API_KEY", "base_url": "ANTHROPIC_BASE_URL"},
        needs=("api_key",),
        default_model="claude-sonnet-4-20250514",
        model_names=("claude-",),
    ),
    "openai": ProviderType(
        "ai_agents.providers.openai",
        "OpenAIProvider",
        base_url="https://api.openai.com/v1",
        settings={"api_key": "OPENAI_API_KEY", "base_url": "OPENAI_BASE_URL"},
        needs=("api_key", "base_url"),
        default_model="gpt-4o",
        model_names=("gpt-", "chatgpt-", "o1", "o3", "o4-"),
    ),
    "ollama": ProviderType(
        "ai_agents.providers.ollama",
        "OllamaProvider",
        base_url="http://localhost:11434",
        settings={"base_url": "OLLAMA_HOST"},
        default_model="llama3.1",
    ),
    "gemini": ProviderType(
        "ai_agents.providers.gemini",
        "GeminiProvider",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        settings={"api_key": "GEMINI_API_KEY", "base_url": "GEMINI_BASE_URL"},
        needs=("api_key",),
        default_model="gemini-2.5-flash",
        model_names=("gemini-",),
        listed_as="google",
    ),
    "echo": ProviderType("ai_agents.providers.echo", "EchoProvider", only_model="echo"),
}
# What admins make providers of.
MADE_TYPES = tuple(sorted(name for name, each in PROVIDER_TYPES.items() if each.base_url is not None))
# These answer no request without a key, at their public address.
_NEED_KEYS = tuple(name for name, each in PROVIDER_TYPES.items() if "api_key" in each.needs)
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
MAX_URL = 2000
MAX_IN_FILE = 400
MAX_MODEL = 200
_FIELDS = ("name", "type", "preset", "base_url", "api_key", "headers", "default_model", "quirks")


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """One provider that was made, with all that its instance is built of.

    `given` are the quirks that were given for it; `quirks` are those with the preset's. `missing` is a sentence on what
    it lacks before it can be used. Two equal specs make equal instances.
    """

    name: str
    type: str
    base_url: str
    source: Source = "database"
    preset: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    default_model: str | None = None
    given: Quirks = field(default_factory=Quirks)
    quirks: Quirks = field(default_factory=Quirks)
    missing: str | None = None
    # Tells apart what was deleted and made again.
    version: tuple[str, int] = ("", 0)

    @property
    def listed_as(self) -> str | None:
        """The name under which prices and windows are listed; None where the server is not known."""
        if self.preset is not None and self.base_url == PRESETS[self.preset].base_url:
            return PRESETS[self.preset].listed_as
        if self.type == "ollama" or self.base_url == PROVIDER_TYPES[self.type].base_url:
            return PROVIDER_TYPES[self.type].listed_as or self.type
        return PRESETS["azure"].listed_as if self.preset == "azure" else None


def parse_spec(
    given: Mapping[str, Any],
    *,
    source: Source = "database",
    missing: str | None = None,
    version: tuple[str, int] = ("", 0),
) -> ProviderSpec:
    """The provider that an admin describes: `{"name", "type" or "preset", "base_url", "api_key", "headers", …}`.

    `missing` says what it lacks, where that is known already. Raises `InvalidRequest` with the field that is wrong;
    the sentence never repeats a secret.
    """
    for unknown in given.keys() - set(_FIELDS):
        raise InvalidRequest(f"A provider has {', '.join(_FIELDS)}; nothing else.", loc=(str(unknown)[:64],))
    name = _name(given.get("name"))
    kind, preset = _type_and_preset(given)
    ready = PRESETS[preset] if preset is not None else None
    url = given.get("base_url")
    api_key, headers = given.get("api_key"), given.get("headers") or {}
    _check_secrets(api_key, headers)
    quirks = given.get("quirks") or {}
    if not isinstance(quirks, Mapping):
        raise InvalidRequest("Quirks are an object.", loc=("quirks",))
    own = Quirks.from_dict(quirks)
    if url is None:
        url = ready.base_url if ready is not None else PROVIDER_TYPES[kind].base_url
        if url is None:
            raise InvalidRequest(f"The preset {preset} needs the base_url of your own resource.", loc=("base_url",))
        needs_key = ready.needs_key if ready is not None else kind in _NEED_KEYS
    else:
        url, needs_key = check_base_url(url), ready is not None and ready.needs_key
    if missing is None and needs_key and not api_key and not headers:
        missing = f"{name} has no api_key."
    return ProviderSpec(
        name=name,
        type=kind,
        base_url=url,
        source=source,
        preset=preset,
        api_key=api_key or None,
        headers=dict(headers),
        default_model=_model(given.get("default_model")),
        given=own,
        quirks=own if ready is None else ready.quirks.merged(own),
        missing=missing,
        version=version,
    )


def parse_specs(given: Any, environment: Mapping[str, str]) -> list[ProviderSpec]:
    """The providers of a file: a list of them, or an object with this list as `providers`.

    In place of a secret text (`api_key`, the value of a header) there may be `{"env": "NAME"}`, a variable of
    `environment`. Raises `ValueError`, which names the provider.
    """
    entries = given.get("providers") if isinstance(given, Mapping) and set(given) == {"providers"} else given
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError("a list of providers, or an object with that list as `providers`")
    if len(entries) > MAX_IN_FILE:
        raise ValueError(f"at most {MAX_IN_FILE} providers")
    specs = []
    for number, entry in enumerate(entries, start=1):
        try:
            specs.append(_from_file(entry, environment))
        except InvalidRequest as error:
            place = ".".join(map(str, error.loc))
            raise ValueError(f"provider {number} ({str(entry.get('name'))[:64]}): {place}: {error}") from error
    if len({spec.name for spec in specs}) < len(specs):
        raise ValueError("two providers have the same name")
    return specs


def check_base_url(url: Any) -> str:
    """The address of a server, without a slash at its end. Raises `InvalidRequest`."""
    place = ("base_url",)
    if not isinstance(url, str) or len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequest(f"The address is a URL of at most {MAX_URL} characters.", loc=place)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidRequest("This is not an address.", loc=place) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise InvalidRequest("The address is http or https, with a host.", loc=place)
    if not has_host(parts):
        raise InvalidRequest(
            "The host is a name that can be looked up, or a whole IP address without a zone.", loc=place
        )
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise InvalidRequest("The address has no user, no query and no fragment: secrets go into headers.", loc=place)
    return url.rstrip("/")


def _from_file(entry: Mapping[str, Any], environment: Mapping[str, str]) -> ProviderSpec:
    absent: list[str] = []

    def resolve(value: Any, place: str) -> Any:
        if not isinstance(value, Mapping):
            return value
        variable = value.get("env")
        if set(value) != {"env"} or not isinstance(variable, str) or not variable:
            raise InvalidRequest('A secret is a text, or {"env": "NAME"}.', loc=(place,))
        found = environment.get(variable)
        if not found:
            absent.append(variable)
        return found

    resolved = dict(entry)
    if "api_key" in entry:
        resolved["api_key"] = resolve(entry["api_key"], "api_key")
    if isinstance(headers := entry.get("headers"), Mapping):
        values = {name: resolve(value, "headers") for name, value in headers.items()}
        resolved["headers"] = {name: value for name, value in values.items() if value is not None}
    # Parsed first, so that another mistake is told even where a variable is not set.
    missing = f"{absent[0]} is not set." if absent else None
    return parse_spec(resolved, source="file", missing=missing)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(NAME_PATTERN, value):
        rule = "A name has up to 64 small letters, digits, dots, dashes and underscores; a letter or digit is first."
        raise InvalidRequest(rule, loc=("name",))
    return value


def _type_and_preset(given: Mapping[str, Any]) -> tuple[str, str | None]:
    kind, preset = given.get("type"), given.get("preset")
    if preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
        raise InvalidRequest(f"A preset is one of {', '.join(sorted(PRESETS))}.", loc=("preset",))
    if kind is None:
        if preset is None:
            raise InvalidRequest("A provider needs a type or a preset.", loc=("type",))
        return PRESETS[preset].type, preset
    if not isinstance(kind, str) or kind not in MADE_TYPES:
        raise InvalidRequest(f"A type is one of {', '.join(MADE_TYPES)}.", loc=("type",))
    if preset is not None and PRESETS[preset].type != kind:
        raise InvalidRequest(f"The preset {preset} is of the type {PRESETS[preset].type}.", loc=("type",))
    return kind, preset


def _check_secrets(api_key: Any, headers: Any) -> None:
    if api_key is not None and (not isinstance(api_key, str) or not is_header_value(api_key)):
        rule = f"A key is visible ASCII, at most {MAX_HEADER} characters, with no space at its ends."
        raise InvalidRequest(rule, loc=("api_key",))
    if not isinstance(headers, Mapping) or not all(isinstance(text, str) for item in headers.items() for text in item):
        raise InvalidRequest("Headers are an object of texts.", loc=("headers",))
    check_headers(headers)


def _model(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_MODEL or not value.isprintable() or not value.strip():
        raise InvalidRequest(f"A model is a line of at most {MAX_MODEL} characters.", loc=("default_model",))
    return value


def maker_of(model: str) -> str | None:
    """The type of provider whose maker gives models such names; None where any server may have one."""
    return next((name for name, kind in PROVIDER_TYPES.items() if model.startswith(kind.model_names)), None)
