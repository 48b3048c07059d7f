"""The settings: environment variables with the prefix `AI_AGENTS_`, or a `.env` file. Nothing else reads them.

One class per concern, each in a file that is named after it; `Settings` has all of them. Provider settings keep the
names that their SDKs read. The reference, docs/settings.md, is made of the classes' docstrings and the fields'
descriptions (Markdown, links as seen from docs/).
"""

from pathlib import Path

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from app.settings.identity import IdentitySettings
from app.settings.limits import LimitsOfUsers, RequestLimits
from app.settings.providers import ProviderSettings
from app.settings.runs import JobSettings, OutboundSettings, RunSettings
from app.settings.server import ServerSettings
from app.settings.sources import ENV_FILE, PREFIX, secrets_directory
from app.settings.storage import DatabaseSettings
from app.settings.tracing import TracingSettings


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
