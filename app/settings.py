"""The settings: environment variables with the prefix `AI_AGENTS_`, or a `.env` file. Nothing else reads them.

One class per concern; `Settings` has all of them. Provider settings keep the names that their SDKs read. The reference,
docs/settings.md, is made of the classes' docstrings and the fields' descriptions (Markdown, links as seen from docs/).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, create_model, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from ai_agents.context.catalogue import ModelFacts
from ai_agents.core.limits import UserLimits
from ai_agents.core.upstream import DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_HELD_RUNS
from ai_agents.providers.specs import PROVIDER_TYPES, ProviderSpec, ProviderType
from app.setting_files import ENV_FILE, env_file, read_prices, read_providers
from app.setting_values import (
    WITH_CONTENT,
    AdminClaim,
    AdminKey,
    AllowedHosts,
    Amount,
    ApiKey,
    BucketUrl,
    ContentCapture,
    Count,
    DatabaseUrl,
    Days,
    EncryptionKeys,
    Hosts,
    Issuer,
    JsonOrFile,
    ModelName,
    Money,
    Networks,
    OllamaHost,
    Origins,
    RedisUrl,
    Sampler,
    Seconds,
    SecondsOrNone,
    ServerUrl,
    TraceHeaders,
    split,
)

KIB = 1024
PREFIX = "AI_AGENTS_"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"
DEFAULT_SECRETS_DIR = "/run/secrets"


class ServerSettings(BaseSettings):
    """Where the service listens, where its own files are, and how it stops."""

    host: str = Field(
        "127.0.0.1", validation_alias=AliasChoices(f"{PREFIX}HOST", "HOST"), description="The address to listen on."
    )
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        validation_alias=AliasChoices(f"{PREFIX}PORT", "PORT"),
        description="The port; 0 takes a free one.",
    )
    var_dir: Path = Field(
        Path("var"),
        description="The folder of the SQLite database, of the files and of the keys that the service makes itself.",
    )
    secrets_dir: Path = Field(
        Path(DEFAULT_SECRETS_DIR),
        description="Each file in it that is named like a setting, in small letters, is that setting, unless a "
        "variable or `.env` sets it.",
    )
    admin_key: AdminKey = Field(
        None,
        description="The key that may do everything. If it is not set, or blank, the service makes one at the first "
        "start and keeps it in `var/admin.key`: [more](security.md#the-admin-key-and-the-encryption-key).",
    )
    encryption_key: EncryptionKeys | None = Field(
        None,
        description="Encrypts secrets in the database: headers of tools, keys of providers, secrets of webhooks. "
        "Several keys are separated by commas: the first one encrypts, all of them decrypt. If it is not set, the "
        "service makes one at the first start and keeps it in `var/encryption.key`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What is logged: this and all that is worse."
    )
    shutdown_grace_s: SecondsOrNone = Field(
        10.0, description="How long runs may go on after SIGTERM: [stopping](operations.md#stopping)."
    )
    cors_origins: Origins = Field(
        "",
        description="Origins whose pages may call the service, such as `https://chat.example.com`; `*` is every "
        "origin. If it is not set, only the service's own pages may.",
    )
    hosts: Hosts = Field(
        "",
        description="Hosts that are answered, such as `chat.example.com`, `*.example.com` or `[::1]`. If it is not "
        "set, any: [facing the internet](operations.md#facing-the-internet).",
    )
    trust_proxy: Networks = Field(
        "",
        description="Addresses and networks, such as `10.0.0.0/8`, whose `X-Forwarded-For`, `X-Forwarded-Proto` and "
        "`X-Forwarded-Host` are believed. If it is not set, those of none.",
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
        False,
        description="Whether users who are no admins may give roles to every user (`*`). What they share so is only "
        "in lists with `?shared=true`.",
    )


class IdentitySettings(BaseSettings):
    """Where users come from who have no API key: [an issuer](access.md#users-of-an-openid-connect-issuer)."""

    oidc_issuer: Issuer | None = Field(
        None,
        max_length=200,
        description="The issuer whose JWTs are taken, such as `https://login.example.com/realm`. If it is not set, "
        "none is taken.",
    )
    oidc_audience: str | None = Field(
        None, description="The audience (`aud`) of these JWTs. It is set together with the issuer."
    )
    oidc_client_id: str | None = Field(
        None,
        min_length=1,
        description="The page's client at this issuer, a public one (no secret): with it people sign in to the page "
        "there.",
    )
    oidc_admin_claim: AdminClaim | None = Field(
        None,
        description="What admins' JWTs have, such as `groups=ai-agents-admins`, or the name of a claim that is true. "
        "If it is not set, no JWT is an admin's.",
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
        None, description="The database. If it is not set, SQLite's file `ai-agents.db` in the var directory."
    )
    database_direct_url: DatabaseUrl | None = Field(
        None,
        description="The database itself, where the URL above leads to a pooler in transaction mode, such as "
        "PgBouncer: locks, migrations and backups go there, and nothing is prepared through the pooler.",
    )
    database_pool_size: int = Field(10, ge=1, le=500, description="Connections to PostgreSQL, per process.")
    redis_url: RedisUrl | None = Field(None, description="Redis. It is needed for a second process.")
    files_dir: Path | None = Field(
        None, description="The folder of uploaded files. If it is not set, `files` in the var directory."
    )
    files_url: BucketUrl | None = Field(
        None,
        description="A bucket for them instead. It needs the package `obstore` (extra `objects`), and reads "
        "credentials as the cloud's own tools do. The folder then holds files only during their upload.",
    )
    worker_concurrency: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Jobs that one worker runs at once. If it is not set, as many as there are processors.",
    )


_OPTIONS: dict[str, Any] = {"api_key": ApiKey | None, "base_url": ServerUrl | None}
_OF_OLLAMA: dict[str, Any] = {"base_url": OllamaHost | None}


def _of_provider(name: str, option: str, kind: ProviderType) -> str:
    if option == "api_key":
        return f"The key of the provider `{name}`, which it enables."
    return f"Where the provider `{name}` is, if not at `{kind.base_url}`."


def _fields_of_providers() -> dict[str, Any]:
    """A field for each variable of a built-in provider, under the variable's name in small letters."""
    return {
        variable.lower(): (
            (_OF_OLLAMA if name == "ollama" else _OPTIONS)[option],
            Field(None, validation_alias=variable, description=_of_provider(name, option, kind)),
        )
        for name, kind in PROVIDER_TYPES.items()
        for option, variable in kind.settings.items()
    }


if TYPE_CHECKING:
    _BuiltInProviders = BaseSettings
else:
    _BuiltInProviders = create_model("_BuiltInProviders", __base__=BaseSettings, **_fields_of_providers())


class ProviderSettings(_BuiltInProviders):
    """The [providers](providers.md) and their models."""

    default_model: ModelName | None = Field(
        None,
        description="For agents that name none. If it is not set, the model of the first of these providers that has "
        "a key or an address, otherwise `echo`.",
    )
    providers: JsonOrFile | None = Field(
        None, description="More providers, in a file: [how](providers.md#providers-in-a-file)."
    )
    prices: JsonOrFile | None = Field(
        None,
        description="Prices and windows of models, where they are unknown or wrong: "
        "[how](providers.md#prices-and-windows).",
    )
    echo_delay_s: float = Field(
        0.02,
        ge=0,
        le=10,
        allow_inf_nan=False,
        description="Seconds before each word of the provider `echo`, so that it streams.",
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
    """Limits of requests, of admins too."""

    max_body_bytes: Amount = Field(1024 * KIB, ge=KIB, description="The size of a request's body.")
    max_content_characters: Amount = Field(
        100_000, ge=1, description="The length of a message, a system prompt, a summary."
    )
    max_metadata_bytes: Amount = Field(16 * KIB, ge=2, description="The size of metadata, as JSON.")
    max_file_bytes: Amount = Field(20 * 1024 * KIB, ge=KIB, description="The size of an uploaded file.")
    max_json_depth: int = Field(32, ge=4, le=500, description="How deep the JSON of a request may be.")
    max_header_bytes: Amount = Field(32 * KIB, ge=KIB, description="The size of a request's line and headers.")
    max_connections: Amount = Field(
        20_000,
        ge=1,
        description="Connections of clients that a process has at once: "
        "[facing the internet](operations.md#facing-the-internet).",
    )


class LimitsOfUsers(BaseSettings):
    """What a user may use, unless an admin set [limits for that user](limits.md#limits-of-users).

    `none` is no limit. They do not hold admins.
    """

    max_requests_per_minute: Count = Field(
        600, ge=1, description="Requests, on all [replicas together](limits.md#limits-on-several-replicas)."
    )
    max_streams_per_user: Count = Field(50, ge=1, description="Streams open at once, on all replicas together.")
    max_runs_per_user: Count = Field(50, ge=1, description="Runs under way at once.")
    max_files_bytes_per_user: Count = Field(10_000_000_000, ge=0, description="All files of a user together.")
    max_threads_per_user: Count = Field(None, ge=0, description="Threads of a user.")
    max_thread_rows: Count = Field(1_000_000, ge=1, description="Rows of the log of one thread.")
    max_agent_versions_per_user: Count = Field(1000, ge=0, description="Versions of all agents of a user together.")
    max_tokens_per_day: Count = Field(None, ge=0, description="Tokens of a user, in a day of UTC.")
    max_cost_per_day: Money = Field(
        None, ge=0, allow_inf_nan=False, description="What a user's model calls may cost, in a day of UTC."
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

    run_timeout_s: Seconds = Field(
        600.0,
        description="How long a run may make no progress: no text, no reasoning, no call, no result. A run that works "
        "may take hours.",
    )
    max_upstream_connections: Amount = Field(
        DEFAULT_MAX_CONNECTIONS,
        ge=1,
        description="Runs that a process has under way, each with its "
        "[connection to a provider](operations.md#connections-to-providers). Further ones wait as `queued`.",
    )
    max_held_runs: Amount = Field(
        DEFAULT_MAX_HELD_RUNS,
        ge=0,
        description="Runs that may wait so, in all processes. Beyond that new messages are 503 `overloaded`.",
    )
    tool_timeout_s: Seconds = Field(30.0, description="How long one tool call may take.")
    tool_rounds: int = Field(10, ge=1, le=1000, description="Model calls of one run that may ask for tools.")
    judge_fails_open: bool = Field(
        False,
        description="Whether everything passes when the model of a `judge` guardrail fails. Otherwise nothing does.",
    )
    approval_timeout_s: Seconds = Field(
        86_400.0,
        description="How long a tool call waits for its approval where its agent does not say it, or for a result of "
        "the client. Then the call is refused, or not answered.",
    )
    max_tool_result_bytes: Amount = Field(
        64 * KIB, ge=KIB, description="The size of a tool's result. A longer one is cut, with a note in it."
    )


class OutboundSettings(BaseSettings):
    """Limits of the requests that admins' tools make."""

    outbound_allow: AllowedHosts = Field(
        "",
        description="Private hosts that they may reach: [which addresses](tools.md#which-addresses-tools-may-call).",
    )
    outbound_trace: AllowedHosts = Field(
        "",
        description="Hosts of your own that are told the trace of a request, by the header `traceparent`: "
        "[traces](operations.md#traces).",
    )
    outbound_max_bytes: Amount = Field(
        10 * 1024 * KIB, ge=KIB, description="The size of an answer. A longer one is not read to its end."
    )
    mcp_connect_timeout_s: Seconds = Field(5.0, description="For connecting to an MCP server or another host.")


class JobSettings(BaseSettings):
    """Background jobs, and how long data is kept."""

    auto_title: bool = Field(True, description="Whether a thread without a title gets one after its first answer.")
    job_model: ModelName | None = Field(
        None, description="For titles and summaries. If it is not set, the agent's own model."
    )
    retain_threads_days: Days | None = Field(
        None, description="Threads that are idle for longer are deleted. If it is not set, they stay."
    )
    retain_files_days: Days | None = Field(
        None,
        description="Files that no message refers to are deleted after this time. If it is not set, they stay.",
    )
    retain_log_days: Days | None = Field(
        None,
        description="Events of runs that are over are [kept no longer](operations.md#how-long-logs-are-kept). "
        "Messages stay in any case. If it is not set, events stay, too.",
    )

    @property
    def retention(self) -> dict[str, int | None]:
        """How many days threads, files and rows of logs are kept; None means for ever."""
        return {"threads": self.retain_threads_days, "files": self.retain_files_days, "log": self.retain_log_days}


_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_SPEAKS = "http/protobuf"


class TracingSettings(BaseSettings):
    """Where [traces](operations.md#traces) are sent, by OpenTelemetry's own variables. Its SDK reads further ones."""

    otel_exporter_otlp_endpoint: ServerUrl | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="A collector's address, to which `/v1/traces` is added. If it is not set, there are no traces.",
    )
    otel_exporter_otlp_traces_endpoint: ServerUrl | None = Field(
        None, validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", description="The same, as the whole address."
    )
    otel_exporter_otlp_headers: TraceHeaders | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_HEADERS",
        description="Headers that are sent with them, as `name=value` with commas: a token, for one.",
    )
    otel_exporter_otlp_protocol: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL",
        description=f"`{_SPEAKS}`: there is no other way.",
    )
    otel_service_name: str | None = Field(
        None,
        validation_alias="OTEL_SERVICE_NAME",
        description="What the processes are called in traces. If it is not set, `ai-agents`, and `ai-agents-worker`.",
    )
    otel_traces_sampler: Sampler | None = Field(
        None,
        validation_alias="OTEL_TRACES_SAMPLER",
        description="Which traces are sent. If it is not set, all of them; with `parentbased_…` clients decide.",
    )
    otel_traces_sampler_arg: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        validation_alias="OTEL_TRACES_SAMPLER_ARG",
        description="The share of traces that is sent, where the sampler has `traceidratio` in its name.",
    )
    otel_content: ContentCapture | None = Field(
        None,
        validation_alias=_CONTENT,
        description="Whether prompts, answers, arguments and results of tools are in traces. If it is not set, no.",
    )

    @model_validator(mode="after")
    def _speaks_http(self) -> Self:
        if self.traces_address is not None and self.otel_exporter_otlp_protocol not in (None, _SPEAKS):
            raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL should be {_SPEAKS}: traces are sent in no other way")
        return self

    @property
    def traces_address(self) -> str | None:
        """Where traces are sent; None where they are not."""
        return self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint

    @property
    def traces_have_content(self) -> bool:
        """Whether spans have what people and models said."""
        return self.otel_content in WITH_CONTENT

    def variables(self) -> dict[str, str]:
        """The variables of these settings that are set, with their values."""
        given = {field: _plain(getattr(self, field)) for field in TracingSettings.model_fields}
        aliases = {name: str(field.validation_alias) for name, field in TracingSettings.model_fields.items()}
        return {aliases[name]: str(value) for name, value in given.items() if value is not None}


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
    TracingSettings,
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
