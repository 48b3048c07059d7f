"""The settings: environment variables with the prefix `AI_AGENTS_`, or a `.env` file. Nothing else reads them.

One class per concern; `Settings` has all of them. Provider settings keep the names that their SDKs read.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, create_model, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from ai_agents.context.catalogue import ModelFacts
from ai_agents.core.limits import UserLimits
from ai_agents.core.upstream import DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_HELD_RUNS
from ai_agents.providers.specs import PROVIDER_TYPES, ProviderSpec
from app.setting_files import ENV_FILE, env_file, read_prices, read_providers
from app.setting_values import (
    AdminClaim,
    AdminKey,
    AllowedHosts,
    Amount,
    ApiKey,
    BucketUrl,
    Count,
    DatabaseUrl,
    Days,
    EncryptionKeys,
    Hosts,
    Issuer,
    ModelName,
    Money,
    Networks,
    OllamaHost,
    Origins,
    RedisUrl,
    Seconds,
    SecondsOrNone,
    ServerUrl,
    split,
)

KIB = 1024
PREFIX = "AI_AGENTS_"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"
DEFAULT_SECRETS_DIR = "/run/secrets"


class ServerSettings(BaseSettings):
    """Where the service listens, where its own files are, and how it stops."""

    host: str = Field("127.0.0.1", validation_alias=AliasChoices(f"{PREFIX}HOST", "HOST"))
    port: int = Field(8000, ge=0, le=65535, validation_alias=AliasChoices(f"{PREFIX}PORT", "PORT"))
    var_dir: Path = Field(Path("var"), description="The folder of the generated keys and the default database.")
    secrets_dir: Path = Field(
        Path(DEFAULT_SECRETS_DIR),
        description="Each file here that is named like a setting, in small letters, is that setting, unless a "
        "variable or `.env` sets it.",
    )
    admin_key: AdminKey = Field(None, description="If it is not set, it is made at the first start.")
    encryption_key: EncryptionKeys | None = Field(
        None, description="Seals secrets in the database. Several: newest first, with commas. Default: a generated key."
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shutdown_grace_s: SecondsOrNone = Field(10.0, description="How long runs may go on after SIGTERM.")
    cors_origins: Origins = Field("", description="Origins whose pages may call the service, with commas, or `*`.")

    hosts: Hosts = Field("", description="Hosts that are answered, with commas. Default: any.")
    trust_proxy: Networks = Field(
        "", description="Addresses and networks whose X-Forwarded-For, -Proto and -Host are believed, with commas."
    )

    @property
    def answered_hosts(self) -> list[str]:
        """The hosts of `hosts`."""
        return split(self.hosts)

    @property
    def trusted_proxies(self) -> list[str]:
        """The addresses and networks of `trust_proxy`."""
        return split(self.trust_proxy)

    @property
    def allowed_origins(self) -> list[str]:
        """The origins of `cors_origins`."""
        return split(self.cors_origins)

    users_share_with_all: bool = Field(
        False, description="Whether users who are no admins may give roles to every user (`*`)."
    )


class IdentitySettings(BaseSettings):
    """Where users come from who have no API key."""

    oidc_issuer: Issuer | None = Field(
        None, max_length=200, description="The OpenID Connect issuer whose JWTs are taken. Default: none."
    )
    oidc_audience: str | None = Field(None, description="The audience (`aud`) of those JWTs.")
    oidc_client_id: str | None = Field(
        None, min_length=1, description="The page's client at that issuer, a public one: people sign in there."
    )
    oidc_admin_claim: AdminClaim | None = Field(
        None,
        description="What admins' JWTs have: `groups=admins`, or a claim that is true. Default: none is an admin's.",
    )

    @model_validator(mode="after")
    def _names_its_audience(self) -> Self:
        if self.oidc_client_id is not None and self.oidc_issuer is None:
            raise ValueError(f"{PREFIX}OIDC_CLIENT_ID is a client of {PREFIX}OIDC_ISSUER, which is not set")
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError(f"{PREFIX}OIDC_ISSUER and {PREFIX}OIDC_AUDIENCE are set together")
        return self


class DatabaseSettings(BaseSettings):
    """The database, Redis, and where files are stored."""

    database_url: DatabaseUrl | None = Field(
        None, description="`postgresql+asyncpg://…`. Default: SQLite in `var_dir`."
    )
    database_direct_url: DatabaseUrl | None = Field(
        None,
        description="The database itself, where `database_url` leads to a pooler such as PgBouncer: for locks, "
        "migrations and backups.",
    )
    database_pool_size: int = Field(10, ge=1, le=500)
    redis_url: RedisUrl | None = None
    files_dir: Path | None = Field(None, description="The folder of uploaded files. Default: a folder in `var_dir`.")
    files_url: BucketUrl | None = Field(
        None, description="A bucket for uploaded files instead: `s3://bucket/prefix`, `gs://…`."
    )
    worker_concurrency: int | None = Field(
        None, ge=1, le=1000, description="Jobs that a worker runs at once. Default: one per core."
    )


_OPTIONS: dict[str, Any] = {"api_key": ApiKey | None, "base_url": ServerUrl | None}
_OF_OLLAMA: dict[str, Any] = {"base_url": OllamaHost | None}


def _fields_of_providers() -> dict[str, Any]:
    """A field for each variable of a built-in provider, under the variable's name in small letters."""
    return {
        variable.lower(): (
            (_OF_OLLAMA if name == "ollama" else _OPTIONS)[option],
            Field(None, validation_alias=variable),
        )
        for name, kind in PROVIDER_TYPES.items()
        for option, variable in kind.settings.items()
    }


if TYPE_CHECKING:
    _BuiltInProviders = BaseSettings
else:
    _BuiltInProviders = create_model("_BuiltInProviders", __base__=BaseSettings, **_fields_of_providers())


class ProviderSettings(_BuiltInProviders):
    """The providers and their models."""

    default_model: ModelName | None = Field(
        None, description="`provider:model`. Default: the first provider with a key."
    )
    providers: str | None = Field(
        None, description="More providers, as JSON or as the path of a JSON or TOML file; see `POST /providers`."
    )
    prices: str | None = Field(
        None, description="Prices and windows of models, as JSON or as the path of a JSON or TOML file."
    )
    echo_delay_s: float = Field(
        0.02, ge=0, le=10, allow_inf_nan=False, description="The pause of `echo` before each word, so that it streams."
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


class RequestLimits(BaseSettings):
    """Limits of requests."""

    max_body_bytes: Amount = Field(1024 * KIB, ge=KIB)
    max_content_characters: Amount = Field(100_000, ge=1)
    max_metadata_bytes: Amount = Field(16 * KIB, ge=2)
    max_file_bytes: Amount = Field(20 * 1024 * KIB, ge=KIB, description="The size of an uploaded file.")
    max_json_depth: int = Field(32, ge=4, le=500)
    max_header_bytes: Amount = Field(32 * KIB, ge=KIB)
    max_connections: Amount = Field(20_000, ge=1, description="Connections of clients that a process has at once.")


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
    max_cost_per_day: Money = Field(None, ge=0, allow_inf_nan=False, description="US dollars.")

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

    run_timeout_s: Seconds = Field(600.0, description="How long a run may make no progress.")
    max_upstream_connections: Amount = Field(
        DEFAULT_MAX_CONNECTIONS, ge=1, description="Runs that a process has under way, each with a model."
    )
    max_held_runs: Amount = Field(
        DEFAULT_MAX_HELD_RUNS, ge=0, description="Runs that may wait for a process with room, in all processes."
    )
    tool_timeout_s: Seconds = 30.0
    tool_rounds: int = Field(10, ge=1, le=1000)
    judge_fails_open: bool = Field(False, description="Whether texts pass when a guardrail's judge does not answer.")
    approval_timeout_s: Seconds = Field(86_400.0, description="How long a tool call waits for an approval.")
    max_tool_result_bytes: Amount = Field(64 * KIB, ge=KIB)


class OutboundSettings(BaseSettings):
    """Limits of the requests that admins' tools make."""

    outbound_allow: AllowedHosts = Field(
        "", description="Private hosts that tools may reach: `host` or `host:port`, with commas."
    )
    outbound_max_bytes: Amount = Field(10 * 1024 * KIB, ge=KIB, description="The size of an answer.")
    mcp_connect_timeout_s: Seconds = 5.0


class JobSettings(BaseSettings):
    """Background jobs, and how long data is kept."""

    auto_title: bool = Field(True, description="A thread without a title gets one after its first exchange.")
    job_model: ModelName | None = Field(
        None, description="`provider:model` for titles and summaries. Default: the agent's model."
    )
    retain_threads_days: Days | None = Field(
        None, description="Threads that are idle for longer are deleted. Default: never."
    )
    retain_files_days: Days | None = Field(
        None, description="Files that no message refers to are deleted after this time. Default: never."
    )

    @property
    def retention(self) -> dict[str, int | None]:
        """How many days threads and files are kept; None means for ever."""
        return {"threads": self.retain_threads_days, "files": self.retain_files_days}


def secrets_directory() -> Path:
    """Where files are that set what neither a variable nor `.env` sets."""
    return Path(os.environ.get(SECRETS_DIR) or env_file().get(SECRETS_DIR) or DEFAULT_SECRETS_DIR)


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
        given = secrets_directory()
        if given.is_dir():
            files = SecretsSettingsSource(settings_cls, secrets_dir=given)
            return (init_settings, env_settings, dotenv_settings, files)
        return (init_settings, env_settings, dotenv_settings)

    @property
    def database(self) -> str:
        """The address of the database: `database_url`, or an SQLite file in `var_dir`."""
        return self.database_url or f"sqlite:///{self.var_dir / 'ai-agents.db'}"

    @property
    def direct_database(self) -> str:
        """The address of the database itself, past a pooler."""
        return self.database_direct_url or self.database

    @property
    def files(self) -> Path:
        """The folder of uploaded files. With a bucket it holds only files that are still arriving."""
        return self.files_dir or self.var_dir / "files"

    @property
    def admin_key_file(self) -> Path:
        """The file of the generated admin key."""
        return self.var_dir / "admin.key"
