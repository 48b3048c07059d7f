"""Keys from the settings, or made at the first start, and the rights of the service's files: its user's alone."""

import os
import secrets
from pathlib import Path

from ai_agents.attachments.folder import ID_FILE
from ai_agents.core.private_files import make_private, make_private_directory
from ai_agents.store.database import normalize_url
from ai_agents.store.sealing import SHORTEST_KEY
from ai_agents.store.sqlite_files import all_files
from app.errors import CannotStart
from app.settings import Settings
from app.settings.values import SHORTEST_ADMIN_KEY

ENCRYPTION_KEY = "encryption.key"


def admin_key(settings: Settings) -> str:
    """The admin key, which may do everything. Raises `CannotStart`."""
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    return _kept(settings.admin_key_file, "admin_", variable="AI_AGENTS_ADMIN_KEY", shortest=SHORTEST_ADMIN_KEY)


def encryption_keys(settings: Settings) -> list[str]:
    """The keys for secrets in the database: the first one seals, all of them open. Raises `CannotStart`."""
    if settings.encryption_key is not None:
        return [key.strip() for key in settings.encryption_key.get_secret_value().split(",") if key.strip()]
    file = settings.var_dir / ENCRYPTION_KEY
    return [_kept(file, "enc_", variable="AI_AGENTS_ENCRYPTION_KEY", shortest=SHORTEST_KEY)]


def make_own_files_private(settings: Settings) -> list[Path]:
    """Take the rights of other users from what earlier versions made. Returns what it changed.

    Only what belongs to this process's user: a volume may belong to another, and then it is an operator's matter.
    """
    database = normalize_url(settings.database)
    sqlite = all_files(database) if database.get_backend_name() == "sqlite" else []
    keys = [settings.admin_key_file, settings.var_dir / ENCRYPTION_KEY, settings.files / ID_FILE]
    return [path for path in (settings.var_dir, settings.files, *keys, *sqlite) if make_private(path)]


def _kept(path: Path, prefix: str, *, variable: str, shortest: int) -> str:
    """The key in this file, which is made if it does not exist. Raises `CannotStart`."""
    try:
        key = _read_or_make(path, prefix)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotStart(
            f"The key in the file {path.absolute()} cannot be read or made ({reason}): set {variable}, "
            "or AI_AGENTS_VAR_DIR to a folder where this user may write."
        ) from error
    except UnicodeDecodeError as error:
        raise CannotStart(f"The file {path.absolute()} holds no key: it is no text.") from error
    if len(key) < shortest:
        raise CannotStart(f"The key in the file {path.absolute()} is too short: it has at least {shortest} characters.")
    return key


def _read_or_make(path: Path, prefix: str) -> str:
    """The key in this file, which is made if it does not exist. Processes that start at once get the same key."""
    if path.exists() and (kept := path.read_text().strip()):
        return kept
    make_private_directory(path.parent)
    # Written to another file and then linked: readers never see half a file, and no key replaces another.
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{prefix}{secrets.token_urlsafe(32)}\n")
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        if not path.read_text().strip():  # a disk was full when it was made
            aside.replace(path)
        # otherwise another process was first
    finally:
        aside.unlink(missing_ok=True)
    return path.read_text().strip()
