"""The database, Redis, and where files are stored."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from app.settings.values import BucketUrl, DatabaseUrl, RedisUrl


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
