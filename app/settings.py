"""What can be set from outside: environment variables with the prefix `AI_AGENTS_`, or a `.env` file. Read only here.

One class per concern; `Settings` is all of them together. Provider settings keep the names that their SDKs read.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ai_agents.context.catalogue import ModelFacts, parse_facts
from ai_agents.store.sealing import SHORTEST_KEY

KIB = 1024
PREFIX = "AI_AGENTS_"
_ORIGIN = re.compile(r"\*|https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


class ServerSettings(BaseSettings):
    """Where the service listens, what it keeps beside its database, and how it stops."""

    host: str = Field("127.0.0.1", validation_alias=AliasChoices(f"{PREFIX}HOST", "HOST"))
    port: int = Field(8000, ge=0, le=65535, validation_alias=AliasChoices(f"{PREFIX}PORT", "PORT"))
    var_dir: Path = Field(Path("var"), description="The admin key that was made here, and the default database.")
    admin_key: SecretStr | None = Field(None, description="Without one, it is made at the first start.")
    encryption_key: SecretStr | None = Field(
        None,
        description="Seals secrets in the database; several, newest first, with commas. Else made like the admin key.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shutdown_grace_s: float = Field(10.0, ge=0, description="How long runs may go on after SIGTERM.")
    cors_origins: str = Field("", description="Origins whose pages may call the service, with commas, or `*`.")

    @field_validator("admin_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 8:
            raise ValueError("an admin key has at least 8 characters")
        return value

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


class DatabaseSettings(BaseSettings):
    """Where things are kept, and what tells other processes of them."""

    database_url: str | None = Field(None, description="SQLite in the var directory, or `postgresql+asyncpg://…`.")
    database_pool_size: int = Field(10, ge=1, le=500)
    redis_url: str | None = None
    files_dir: Path | None = Field(None, description="Uploaded files; else a folder in the var directory.")
    files_url: str | None = Field(None, description="A bucket for them instead: `s3://bucket/prefix`, `gs://…`.")
    worker_concurrency: int | None = Field(None, ge=1, description="Jobs that a worker does at once; else one a core.")


class ProviderSettings(BaseSettings):
    """Which models there are."""

    default_model: str | None = Field(
        None, pattern=r"^[^:\s]+:\S+$", description="`provider:model`; otherwise that of the first provider with a key."
    )
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: str | None = Field(None, validation_alias="ANTHROPIC_BASE_URL")
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    ollama_host: str | None = Field(None, validation_alias="OLLAMA_HOST")
    prices: str | None = Field(
        None, description="Prices and windows of models, as JSON or as the path of a JSON or TOML file."
    )
    echo_delay_s: float = Field(0.02, ge=0, le=10, description="Before each word of the stand-in, so that it streams.")

    @field_validator("prices")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            read_prices(value)
        return value

    @property
    def model_facts(self) -> dict[str, ModelFacts]:
        """What was set of models."""
        return {} if self.prices is None else read_prices(self.prices)


def _split(text: str) -> list[str]:
    """The parts between commas; empty ones do not count."""
    return [part.strip() for part in text.split(",") if part.strip()]


def read_prices(given: str) -> dict[str, ModelFacts]:
    """What is given as JSON, or in the JSON or TOML file of this path. Raises ValueError."""
    try:
        text = given if given.lstrip().startswith("{") else Path(given).read_text()
        found = tomllib.loads(text) if given.endswith(".toml") else json.loads(text)
    except OSError as error:
        raise ValueError("the file cannot be read") from error
    except ValueError as error:
        raise ValueError("neither JSON nor the path of a JSON or TOML file") from error
    return parse_facts(found)


class RequestLimits(BaseSettings):
    """How much a request may bring."""

    max_body_bytes: int = Field(1024 * KIB, ge=KIB)
    max_content_characters: int = Field(100_000, ge=1)
    max_metadata_bytes: int = Field(16 * KIB, ge=2)
    max_file_bytes: int = Field(20 * 1024 * KIB, ge=KIB, description="Of an uploaded file.")
    max_json_depth: int = Field(32, ge=4, le=500)
    max_header_bytes: int = Field(32 * KIB, ge=KIB)
    max_requests_per_minute: int = Field(600, ge=1, description="Of one user, per process; admins are not counted.")
    max_streams_per_user: int = Field(50, ge=1, description="Streams that a user may have open at once, per process.")


class RunSettings(BaseSettings):
    """How far a run may go."""

    run_timeout_s: float = Field(600.0, gt=0)
    tool_timeout_s: float = Field(30.0, gt=0)
    tool_rounds: int = Field(10, ge=1)
    judge_fails_open: bool = Field(
        False, description="Whether a guardrail's judge that is down lets everything through."
    )
    approval_timeout_s: float = Field(86_400.0, gt=0, description="How long a run waits for a person.")
    max_tool_result_bytes: int = Field(64 * KIB, ge=KIB)


class OutboundSettings(BaseSettings):
    """Whom the tools of admins may reach."""

    outbound_allow: str = Field("", description="Hosts that may be private: `host` or `host:port`, with commas.")
    outbound_max_bytes: int = Field(10 * 1024 * KIB, ge=KIB, description="Of an answer.")
    mcp_connect_timeout_s: float = Field(5.0, gt=0)


class JobSettings(BaseSettings):
    """What is done in the background, and how long things are kept."""

    auto_title: bool = Field(True, description="A thread without a title gets one after its first exchange.")
    job_model: str | None = Field(
        None, pattern=r"^[^:\s]+:\S+$", description="`provider:model` for titles and summaries; else the agent's own."
    )
    retain_threads_days: int | None = Field(None, ge=1, description="Threads idle for longer are deleted; else none.")
    retain_files_days: int | None = Field(
        None, ge=1, description="Files that no message refers to are deleted after this; else none."
    )

    @property
    def retention(self) -> dict[str, int | None]:
        """How many days things are kept, by what they are; None: for ever."""
        return {"threads": self.retain_threads_days, "files": self.retain_files_days}


class Settings(
    ServerSettings, DatabaseSettings, ProviderSettings, RequestLimits, RunSettings, OutboundSettings, JobSettings
):
    """Everything that can be set. An empty variable counts as one that is not there."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    @property
    def database(self) -> str:
        """The database's address: the one that was set, else a file of ours."""
        return self.database_url or f"sqlite:///{self.var_dir / 'ai-agents.db'}"

    @property
    def files(self) -> Path:
        """The folder of uploaded files, or of those that arrive where a bucket keeps them."""
        return self.files_dir or self.var_dir / "files"

    @property
    def encryption_key_file(self) -> Path:
        """Where a made encryption key is kept."""
        return self.var_dir / "encryption.key"

    @property
    def admin_key_file(self) -> Path:
        """Where a made admin key is kept."""
        return self.var_dir / "admin.key"
