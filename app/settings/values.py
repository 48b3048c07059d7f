"""The kinds of values that settings have, each with the sentence for a value that cannot work."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from ai_agents.bus.failures import check_url
from ai_agents.core.exceptions import AIAgentsError
from ai_agents.providers.specs import check_base_url
from ai_agents.store.sealing import SHORTEST_KEY

_ISSUER = re.compile(r"https?://[^\s?#|]+")
_ORIGIN = re.compile(r"\*|https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_ALLOWED = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9])?)(:[0-9]{1,5})?")
_MODEL = re.compile(r"[^:\s]+:\S+")
# Beginnings of an address of a bucket that `obstore` reads.
_BUCKET = re.compile(r"(s3|s3a|gs|az|adl|azure|abfs|abfss|https?|file|memory)://\S*")
# What .env.example shows.
_EXAMPLE_KEY = "choose-a-key-of-your-own"
SHORTEST_ADMIN_KEY = 8
KIB = 1024
# A number, or `none` for no limit: an empty variable counts as not set.
NO_LIMIT = "none"
# Databases and JSON hold no larger whole numbers exactly.
_MOST = 2**53 - 1
_YEAR_S = 366 * 86_400


def split(text: str) -> list[str]:
    """The parts between commas, without empty ones."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _each(fits: Callable[[str], object], rule: str) -> Callable[[str], str]:
    """What checks the parts between commas."""

    def check(value: str) -> str:
        for part in split(value):
            if not fits(part):
                raise ValueError(f"{part!r} is no {rule}")
        return value

    return check


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _told(check: Callable[[str], object]) -> Callable[[str], str]:
    """A check of the framework, whose sentence is the setting's."""

    def checked(value: str) -> str:
        try:
            check(value)
        except AIAgentsError as error:
            raise ValueError(str(error).removesuffix(".")) from None
        return value

    return checked


def _check_database_url(value: str) -> None:
    # Imported here, as below: a command that needs no database starts without it.
    from ai_agents.store.database import normalize_url

    normalize_url(value)


def _check_ollama_host(value: str) -> None:
    from ai_agents.providers.ollama import base_url_from

    check_base_url(base_url_from(value))


def _is_bucket(value: str) -> str:
    if not _BUCKET.fullmatch(value):
        raise ValueError("a bucket is like s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")
    return value


def _is_model(value: str) -> str:
    if not _MODEL.fullmatch(value):
        raise ValueError("a model is named with its provider, like anthropic:claude-sonnet-4-20250514")
    return value


def _is_issuer(value: str) -> str:
    if not _ISSUER.fullmatch(value):
        raise ValueError("an issuer is an address like https://login.example.com/realm, without `?`, `#` and `|`")
    return value


def _is_claim(value: str) -> str:
    name, equals, text = value.partition("=")
    if not name or (equals and not text):
        raise ValueError("an admin claim is like `groups=admins`, or the name of a claim that is true")
    return value


def _is_admin_key(value: SecretStr | None) -> SecretStr | None:
    if value is None or not value.get_secret_value().strip():
        return None
    secret = value.get_secret_value()
    if len(secret) < SHORTEST_ADMIN_KEY:
        raise ValueError(f"an admin key has at least {SHORTEST_ADMIN_KEY} characters")
    if secret.strip() == _EXAMPLE_KEY:
        raise ValueError("this is the example's key, which is public: choose another, or set none")
    if not secret.isascii() or not secret.isprintable() or secret != secret.strip():
        raise ValueError("an admin key is visible ASCII, with no space at its ends: clients send it in a header")
    return value


def _are_encryption_keys(value: SecretStr) -> SecretStr:
    if any(len(key.strip()) < SHORTEST_KEY for key in value.get_secret_value().split(",")):
        raise ValueError(f"an encryption key has at least {SHORTEST_KEY} characters")
    return value


def _is_api_key(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if not secret.isascii() or not secret.isprintable() or secret != secret.strip():
        raise ValueError("a key is visible ASCII, with no space at its ends: it travels in a header")
    return value


def _in_small_letters(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _none_or(value: Any) -> Any:
    return None if value == NO_LIMIT else value


@dataclass(frozen=True, slots=True)
class Takes:
    """What values of a type are, in words: the reference of the settings says it. Bounds are added to it."""

    words: str


AdminKey = Annotated[
    SecretStr | None,
    AfterValidator(_is_admin_key),
    Takes(f"a secret of at least {SHORTEST_ADMIN_KEY} visible ASCII characters, not the one of `.env.example`"),
]
EncryptionKeys = Annotated[
    SecretStr,
    AfterValidator(_are_encryption_keys),
    Takes(f"secrets of at least {SHORTEST_KEY} characters each, with commas"),
]
ApiKey = Annotated[SecretStr, AfterValidator(_is_api_key), Takes("a secret of visible ASCII characters")]
Hosts = Annotated[
    str,
    AfterValidator(_each(_HOST.fullmatch, "host, which is like chat.example.com: small letters, no port")),
    Takes("hosts in small letters, without a port, with commas"),
]
AllowedHosts = Annotated[
    str,
    AfterValidator(_each(_ALLOWED.fullmatch, "host or host:port, which is like api.internal or 127.0.0.1:9000")),
    Takes("`host` or `host:port`, with commas"),
]
Networks = Annotated[
    str,
    AfterValidator(_each(_is_network, "address and no network, which is like 10.0.0.0/8")),
    Takes("addresses and networks, with commas"),
]
Origins = Annotated[
    str,
    AfterValidator(_each(_ORIGIN.fullmatch, "origin, which is like https://example.com in small letters")),
    Takes("origins in small letters, with commas, or `*`"),
]
ModelName = Annotated[str, AfterValidator(_is_model), Takes("`provider:model`")]
Issuer = Annotated[str, AfterValidator(_is_issuer), Takes("an `http` or `https` address without query and fragment")]
AdminClaim = Annotated[str, AfterValidator(_is_claim), Takes("`name=text`, or a name")]
DatabaseUrl = Annotated[
    str,
    AfterValidator(_told(_check_database_url)),
    Takes("`sqlite:///file` or `postgresql+asyncpg://user:password@host/name`"),
]
RedisUrl = Annotated[
    str,
    AfterValidator(_told(check_url)),
    Takes("`redis://host:6379/0`, `rediss://…` (TLS), `unix:///path` or `sentinel://…`"),
]
BucketUrl = Annotated[
    str, AfterValidator(_is_bucket), Takes("`s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`")
]
ServerUrl = Annotated[
    str,
    AfterValidator(_told(check_base_url)),
    Takes("an `http` or `https` address without user, query and fragment"),
]
OllamaHost = Annotated[str, AfterValidator(_told(_check_ollama_host)), Takes("a host, `host:port` or an address")]
JsonOrFile = Annotated[str, Takes("JSON, or the path of a JSON or TOML file")]
Seconds = Annotated[float, Field(gt=0, le=_YEAR_S, allow_inf_nan=False), Takes("seconds")]
SecondsOrNone = Annotated[float, Field(ge=0, le=_YEAR_S, allow_inf_nan=False), Takes("seconds")]
Days = Annotated[int, Field(ge=1, le=36_500), Takes("days")]
Amount = Annotated[int, Field(le=_MOST)]
Count = Annotated[Amount | None, BeforeValidator(_none_or), Takes("a whole number or `none`")]
Money = Annotated[float | None, BeforeValidator(_none_or), Takes("US dollars or `none`")]
# https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/, read 2026-11-30.
Sampler = Annotated[
    Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ],
    BeforeValidator(_in_small_letters),
]
TraceHeaders = Annotated[SecretStr, Takes("`name=value`, with commas")]
# As opentelemetry-util-genai reads it.
ContentCapture = Annotated[
    Literal["true", "false", "no_content", "span_only", "event_only", "span_and_event"],
    BeforeValidator(_in_small_letters),
]
WITH_CONTENT = frozenset({"true", "span_only", "span_and_event"})


def plain(value: SecretStr | str | None) -> str | None:
    """The value itself, of a secret too."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value
