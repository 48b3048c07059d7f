"""Where the service listens, where its own files are, and how it stops."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings

from app.settings.sources import DEFAULT_SECRETS_DIR, PREFIX
from app.settings.values import AdminKey, EncryptionKeys, Hosts, Networks, Origins, SecondsOrNone, split


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
