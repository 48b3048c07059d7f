"""Keys from the settings, or made at the first start and stored in files that only their owner can read."""

import os
import secrets
from pathlib import Path

from app.settings import Settings


def admin_key(settings: Settings) -> str:
    """The admin key, which may do everything."""
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    return _kept(settings.admin_key_file, "admin_")


def encryption_keys(settings: Settings) -> list[str]:
    """The keys for secrets in the database: the first one seals, all of them open."""
    if settings.encryption_key is not None:
        return [key.strip() for key in settings.encryption_key.get_secret_value().split(",") if key.strip()]
    return [_kept(settings.var_dir / "encryption.key", "enc_")]


def _kept(path: Path, prefix: str) -> str:
    """The key in this file, which is made if it does not exist. Processes that start at once get the same key."""
    if path.exists():
        return path.read_text().strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written to another file and then linked: readers never see half a file, and no key replaces another.
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{prefix}{secrets.token_urlsafe(32)}\n")
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        pass  # another process was first
    finally:
        aside.unlink()
    return path.read_text().strip()
