"""The admin key: the one that was set, else one made at the first start and kept where only its owner reads it."""

import os
import secrets
from pathlib import Path

from app.settings import Settings

_PREFIX = "admin_"


def admin_key(settings: Settings) -> str:
    """The key. Makes and keeps one where there is none; of several processes that do so at once, all get the same."""
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    path = settings.admin_key_file
    if not path.exists():
        _make(path)
    return path.read_text().strip()


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and then linked, so that nobody reads a file that is not whole, and no key replaces another.
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{_PREFIX}{secrets.token_urlsafe(32)}\n")
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        pass  # another process was first
    finally:
        aside.unlink()
