"""The settings: environment variables with the prefix `AI_AGENTS_`, or a `.env` file. Nothing else reads them.

One class per concern; `Settings` has all of them. Provider settings keep the names that their SDKs read.
"""

import json
import os
import re
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from dotenv import dotenv_values
from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, create_model, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from ai_agents.context.catalogue import ModelFacts, parse_facts
from ai_agents.core.limits import UserLimits
from ai_agents.core.upstream import DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_HELD_RUNS
from ai_agents.providers.specs import PROVIDER_TYPES, ProviderSpec, parse_specs
from ai_agents.store.sealing import SHORTEST_KEY

KIB = 1024
PREFIX = "AI_AGENTS_"
ENV_FILE = ".env"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"
_ISSUER = re.compile(r"https?://[^\s?#|]+")
_ORIGIN = re.compile(r"\*|https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")

_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
# What .env.example shows.
_EXAMPLE_KEY = "choose-a-key-of-your-own"


class ServerSettings(BaseSettings):
    """Where the service listens, where its own files are, and how it stops."""

    host: str = Field("127.0.0.1", validation_alias=AliasChoices(f"{PREFIX}HOST", "HOST"))
    port: int = Field(8000, ge=0, le=65535, validation_alias=AliasChoices(f"{PREFIX}PORT", "PORT"))
    var_dir: Path = Field(Path("var"), description="The folder of the generated keys and the default database.")
    secrets_dir: Path = Field(
        Path("/run/secrets"),
        description="Each file here that is named like a setting, in small letters, is that setting, unless a "
        "variable or `.env` sets it.",
    )
    admin_key: SecretStr | None = Field(None, description="If it is not set, it is made at the first start.")
    encryption_key: SecretStr | None = Field(
        None, description="Seals secrets in the database. Several: newest first, with commas. Default: a generated key."
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shutdown_grace_s: float = Field(10.0, ge=0, description="How long runs may go on after SIGTERM.")
    cors_origins: str = Field("", description="Origins whose pages may call the service, with commas, or `*`.")

    hosts: str = Field("", description="Hosts that are answered, with commas. Default: any.")
    trust_proxy: str = Field(
        "", description="Addresses and networks whose X-Forwarded-For, -Proto and -Host are believed, with commas."
    )

    @field_validator("admin_key")
    @classmethod
    def _is_a_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value().strip():
            return None
        if len(value.get_secret_value()) < 8:
            raise ValueError("an admin key has at least 8 characters")
        if value.get_secret_value().strip() == _EXAMPLE_KEY:
            raise ValueError("this is the example's key, which is public: choose another, or set none")
        return value

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        for host in _split(value):
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} is no host, which is like chat.example.com: small letters, no port")
        return value

    @field_validator("trust_proxy")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        for address in _split(value):
            try:
                ip_network(address)
            except ValueError:
                raise ValueError(f"{address!r} is no address and no network, which is like 10.0.0.0/8") from None
        return value

    @property
    def answered_hosts(self) -> list[str]:
        """The hosts of `hosts`."""
        return _split(self.hosts)

    @property
    def trusted_proxies(self) -> list[str]:
        """The addresses and networks of `trust_proxy`."""
        return _split(self.trust_proxy)

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for origin in _split(value):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin, which is like https://example.com in small letters")
        return value

    @property
    def allowed_origins(self) -> list[str]:
        """The origins of `cors_origins`."""
        return _split(self.cors_origins)

    @field_validator("encryption_key")
    @classmethod
    def _long_enough_each(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and any(len(key.strip()) < SHORTEST_KEY for key in value.get_secret_value().split(",")):
            raise ValueError(f"an encryption key has at least {SHORTEST_KEY} characters")
        return value

    users_share_with_all: bool = Field(
        False, description="Whether users who are no admins may give roles to every user (`*`)."
    )


class IdentitySettings(BaseSettings):
    """Where users come from who have no API key."""

    oidc_issuer: str | None = Field(
        None, max_length=200, description="The OpenID Connect issuer whose JWTs are taken. Default: none."
    )
    oidc_audience: str | None = Field(None, description="The audience (`aud`) of those JWTs.")
    oidc_admin_claim: str | None = Field(
        None,
        description="What admins' JWTs have: `groups=admins`, or a claim that is true. Default: none is an admin's.",
    )

    @field_validator("oidc_issuer")
    @classmethod
    def _is_issuer(cls, value: str | None) -> str | None:
        if value is not None and not _ISSUER.fullmatch(value):
            raise ValueError("an issuer is an address like https://login.example.com/realm, without `?`, `#` and `|`")
        return value

    @field_validator("oidc_admin_claim")
    @classmethod
    def _is_claim(cls, value: str | None) -> str | None:
        name, equals, text = (value or "name").partition("=")
        if not name or (equals and not text):
            raise ValueError("an admin claim is like `groups=admins`, or the name of a claim that is true")
        return value

    @model_validator(mode="after")
    def _names_its_audience(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError(f"{PREFIX}OIDC_ISSUER and {PREFIX}OIDC_AUDIENCE are set together")
        return self


class DatabaseSettings(BaseSettings):
    """The database, Redis, and where files are stored."""

    database_url: str | None = Field(None, description="`postgresql+asyncpg://…`. Default: SQLite in `var_dir`.")
    database_pool_size: int = Field(10, ge=1, le=500)
    redis_url: str | None = None
    files_dir: Path | None = Field(None, description="The folder of uploaded files. Default: a folder in `var_dir`.")
    files_url: str | None = Field(
        None, description="A bucket for uploaded files instead: `s3://bucket/prefix`, `gs://…`."
    )
    worker_concurrency: int | None = Field(
        None, ge=1, description="Jobs that a worker runs at once. Default: one per core."
    )


def _fields_of_providers() -> dict[str, Any]:
    """A field for each variable of a built-in provider, under the variable's name in small letters."""
    secret, text = SecretStr | None, str | None
    return {
        variable.lower(): (secret if option == "api_key" else text, Field(None, validation_alias=variable))
        for kind in PROVIDER_TYPES.values()
        for option, variable in kind.settings.items()
    }


if TYPE_CHECKING:
    _BuiltInProviders = BaseSettings
else:
    _BuiltInProviders = create_model("_BuiltInProviders", __base__=BaseSettings, **_fields_of_providers())


class ProviderSettings(_BuiltInProviders):
    """The providers and their models."""

    default_model: str | None = Field(
        None, pattern=r"^[^:\s]+:\S+$", description="`provider:model`. Default: the first provider with a key."
    )
    providers: str | None = Field(
        None, description="More providers, as JSON or as the path of a JSON or TOML file; see `POST /providers`."
    )
    prices: str | None = Field(
        None, description="Prices and windows of models, as JSON or as the path of a JSON or TOML file."
    )
    echo_delay_s: float = Field(
        0.02, ge=0, le=10, description="The pause of `echo` before each word, so that it streams."
    )

    @field_validator("prices")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            read_prices(value)
        return value

    @field_validator("providers")
    @classmethod
    def _describes_providers(cls, value: str | None) -> str | None:
        if value is not None:
            read_providers(value)
        return value

    @property
    def provider_options(self) -> dict[str, dict[str, str | None]]:
        """The options of the built-in providers, by their names."""
        return {
            name: {option: _plain(getattr(self, variable.lower())) for option, variable in kind.settings.items()}
            for name, kind in PROVIDER_TYPES.items()
        }

    @property
    def provider_specs(self) -> list[ProviderSpec]:
        """The providers in `providers`, with their keys."""
        return [] if self.providers is None else read_providers(self.providers)

    @property
    def model_facts(self) -> dict[str, ModelFacts]:
        """The facts of models in `prices`."""
        return {} if self.prices is None else read_prices(self.prices)


def _plain(value: SecretStr | str | None) -> str | None:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _split(text: str) -> list[str]:
    """The parts between commas, without empty ones."""
    return [part.strip() for part in text.split(",") if part.strip()]


def read_prices(given: str) -> dict[str, ModelFacts]:
    """The facts of models in this JSON, or in the JSON or TOML file at this path. Raises `ValueError`."""
    return parse_facts(_read_json_or_file(given))


def read_providers(given: str) -> list[ProviderSpec]:
    """The providers in this JSON, or in the JSON or TOML file at this path.

    `{"env": "NAME"}` stands for an environment variable, or a line of `.env`. Raises `ValueError`.
    """
    specs = parse_specs(_read_json_or_file(given), {**_env_file(), **os.environ})
    for spec in specs:
        if spec.name in PROVIDER_TYPES:
            raise ValueError(f"the name {spec.name} belongs to a built-in provider")
    return specs


def _env_file() -> dict[str, str]:
    return {name: value for name, value in dotenv_values(ENV_FILE).items() if value is not None}


def _read_json_or_file(given: str) -> Any:
    try:
        text = given if given.lstrip().startswith(("{", "[")) else Path(given).read_text()
        return tomllib.loads(text) if given.endswith(".toml") else json.loads(text)
    except OSError as error:
        raise ValueError("the file cannot be read") from error
    except ValueError as error:
        raise ValueError("neither JSON nor the path of a JSON or TOML file") from error


def _none_or(value: Any) -> Any:
    return None if value == NO_LIMIT else value


# A number, or `none` for no limit: an empty variable counts as not set.
NO_LIMIT = "none"
Count = Annotated[int | None, BeforeValidator(_none_or)]


class RequestLimits(BaseSettings):
    """Limits of requests."""

    max_body_bytes: int = Field(1024 * KIB, ge=KIB)
    max_content_characters: int = Field(100_000, ge=1)
    max_metadata_bytes: int = Field(16 * KIB, ge=2)
    max_file_bytes: int = Field(20 * 1024 * KIB, ge=KIB, description="The size of an uploaded file.")
    max_json_depth: int = Field(32, ge=4, le=500)
    max_header_bytes: int = Field(32 * KIB, ge=KIB)
    max_connections: int = Field(20_000, ge=1, description="Connections of clients that a process has at once.")


class LimitsOfUsers(BaseSettings):
    """What a user may use, unless an admin set limits for that user. `none` is no limit. They do not hold admins."""

    max_requests_per_minute: Count = Field(600, ge=1, description="Per process.")
    max_streams_per_user: Count = Field(50, ge=1, description="Open streams at once.")
    max_runs_per_user: Count = Field(50, ge=1, description="Runs under way at once.")
    max_files_bytes_per_user: Count = Field(10_000_000_000, ge=0, description="All files of a user together.")
    max_threads_per_user: Count = Field(None, ge=0)
    max_thread_rows: Count = Field(1_000_000, ge=1, description="Rows of the log of one thread.")
    max_agent_versions_per_user: Count = Field(1000, ge=0, description="Versions of all agents of a user together.")
    max_tokens_per_day: Count = Field(None, ge=0)
    max_cost_per_day: Annotated[float | None, BeforeValidator(_none_or)] = Field(
        None, ge=0, allow_inf_nan=False, description="US dollars."
    )

    @property
    def user_limits(self) -> UserLimits:
        """The limits by their names."""
        return {
            "requests_per_minute": self.max_requests_per_minute,
            "streams": self.max_streams_per_user,
            "runs": self.max_runs_per_user,
            "files_bytes": self.max_files_bytes_per_user,
            "threads": self.max_threads_per_user,
            "thread_rows": self.max_thread_rows,
            "agent_versions": self.max_agent_versions_per_user,
            "tokens_per_day": self.max_tokens_per_day,
            "cost_per_day": self.max_cost_per_day,
        }


class RunSettings(BaseSettings):
    """Limits of runs."""

    run_timeout_s: float = Field(600.0, gt=0, description="How long a run may make no progress.")
    max_upstream_connections: int = Field(
        DEFAULT_MAX_CONNECTIONS, ge=1, description="Runs that a process has under way, each with a model."
    )
    max_held_runs: int = Field(
        DEFAULT_MAX_HELD_RUNS, ge=0, description="Runs that may wait for a process with room, in all processes."
    )
    tool_timeout_s: float = Field(30.0, gt=0)
    tool_rounds: int = Field(10, ge=1)
    judge_fails_open: bool = Field(False, description="Whether texts pass when a guardrail's judge does not answer.")
    approval_timeout_s: float = Field(86_400.0, gt=0, description="How long a tool call waits for an approval.")
    max_tool_result_bytes: int = Field(64 * KIB, ge=KIB)


class OutboundSettings(BaseSettings):
    """Limits of the requests that admins' tools make."""

    outbound_allow: str = Field(
        "", description="Private hosts that tools may reach: `host` or `host:port`, with commas."
    )
    outbound_max_bytes: int = Field(10 * 1024 * KIB, ge=KIB, description="The size of an answer.")
    mcp_connect_timeout_s: float = Field(5.0, gt=0)


class JobSettings(BaseSettings):
    """Background jobs, and how long data is kept."""

    auto_title: bool = Field(True, description="A thread without a title gets one after its first exchange.")
    job_model: str | None = Field(
        None,
        pattern=r"^[^:\s]+:\S+$",
        description="`provider:model` for titles and summaries. Default: the agent's model.",
    )
    retain_threads_days: int | None = Field(
        None, ge=1, description="Threads that are idle for longer are deleted. Default: never."
    )
    retain_files_days: int | None = Field(
        None, ge=1, description="Files that no message refers to are deleted after this time. Default: never."
    )

    @property
    def retention(self) -> dict[str, int | None]:
        """How many days threads and files are kept; None means for ever."""
        return {"threads": self.retain_threads_days, "files": self.retain_files_days}


class Settings(
    ServerSettings,
    IdentitySettings,
    DatabaseSettings,
    ProviderSettings,
    RequestLimits,
    LimitsOfUsers,
    RunSettings,
    OutboundSettings,
    JobSettings,
):
    """All settings. An empty variable counts as not set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # knows no directory
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables, then `.env`, then the files of `secrets_dir`."""
        given = os.environ.get(SECRETS_DIR) or _env_file().get(SECRETS_DIR) or "/run/secrets"
        if Path(given).is_dir():
            files = SecretsSettingsSource(settings_cls, secrets_dir=given)
            return (init_settings, env_settings, dotenv_settings, files)
        return (init_settings, env_settings, dotenv_settings)

    @property
    def database(self) -> str:
        """The address of the database: `database_url`, or an SQLite file in `var_dir`."""
        return self.database_url or f"sqlite:///{self.var_dir / 'ai-agents.db'}"

    @property
    def files(self) -> Path:
        """The folder of uploaded files. With a bucket it holds only files that are still arriving."""
        return self.files_dir or self.var_dir / "files"

    @property
    def admin_key_file(self) -> Path:
        """The file of the generated admin key."""
        return self.var_dir / "admin.key"
