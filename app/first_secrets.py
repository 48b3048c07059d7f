"""The secrets of a deployment's own PostgreSQL and Redis: made once, then read by every container as files.

`ai-agents secrets` writes them into a directory that the containers share. The service reads the files named after
settings there (`app.settings`), PostgreSQL and Redis the others.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

POSTGRES_PASSWORD, REDIS_PASSWORD = "postgres_password", "redis_password"
DATABASE_URL, REDIS_URL = "ai_agents_database_url", "ai_agents_redis_url"
REDIS_CONFIGURATION = "redis.conf"
# What docker-compose.yml gave to a database for which no password was set, before this module made one.
_EARLIER_PASSWORD = "ai-agents"  # noqa: S105  # public, and only of databases that have it already


@dataclass(frozen=True, slots=True)
class Written:
    """A file, and whether this call gave it what it holds."""

    name: str
    is_new: bool


def write_secrets(directory: Path, environment: Mapping[str, str], *, database_files: Path | None) -> list[Written]:
    """Write what is missing or was changed by the environment; what is there stays. Returns every file.

    `POSTGRES_PASSWORD` and `REDIS_PASSWORD` of the environment win. `database_files` is where PostgreSQL keeps its
    database: one that was made without a password of its own has the password of that time. Raises `OSError`.
    """
    postgres = environment.get("POSTGRES_PASSWORD") or _kept(directory, POSTGRES_PASSWORD)
    if postgres is None:
        had_none = database_files is not None and _holds_a_database(database_files)
        postgres = _EARLIER_PASSWORD if had_none else secrets.token_urlsafe(32)
    redis = environment.get("REDIS_PASSWORD") or _kept(directory, REDIS_PASSWORD) or secrets.token_urlsafe(32)
    files = {
        POSTGRES_PASSWORD: postgres,
        REDIS_PASSWORD: redis,
        REDIS_CONFIGURATION: f'requirepass "{_escaped(redis)}"',
        DATABASE_URL: f"postgresql://ai_agents:{quote(postgres, safe='')}@postgres/ai_agents",
        REDIS_URL: f"redis://:{quote(redis, safe='')}@redis:6379/0",
    }
    return [Written(name, _write(directory / name, text)) for name, text in files.items()]


def _kept(directory: Path, name: str) -> str | None:
    path = directory / name
    return (path.read_text().strip() or None) if path.exists() else None


def _holds_a_database(directory: Path) -> bool:
    try:
        return any(directory.iterdir())
    except PermissionError:  # PostgreSQL takes others' right to read its directory when it makes a database
        return True
    except FileNotFoundError:
        return False


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _write(path: Path, text: str) -> bool:
    """Whether the file had another text. Readers never see half a file."""
    if path.exists() and path.read_text() == text + "\n":
        return False
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text + "\n")
    # PostgreSQL's and Redis's containers run as users of their own; only the containers that need it have the volume.
    aside.chmod(0o444)
    aside.replace(path)
    return True
