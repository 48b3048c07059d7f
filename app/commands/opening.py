"""What commands open: the settings and the database, with a sentence for each mistake in them."""

import os
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ai_agents.store.database import Database
    from app.settings import Settings

T = TypeVar("T")


def read_settings() -> "Settings":
    """The settings. A mistake in them ends the program with a message that does not repeat the value."""
    from pydantic import ValidationError

    from app.settings import PREFIX, Settings

    try:
        return Settings()
    except ValidationError as error:
        for found in error.errors(include_input=False, include_url=False):
            name = str(found["loc"][0])
            variable = f"{PREFIX}{name.upper()}" if name in Settings.model_fields else name
            print(f"{variable}: {found['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        sys.exit("The settings cannot be used: see above.")


def make_private_files() -> None:
    """Let other users of the machine read nothing that this process and its children write."""
    os.umask(0o077)


def upgrade(settings: "Settings") -> None:
    """Bring the database to this version's schema. Raises `DatabaseUnavailable`."""
    from ai_agents.store import migrate

    if not migrate.is_current(settings.database):
        migrate.upgrade(settings.database)


def require_schema(settings: "Settings") -> None:
    """End with a sentence where the database is not at this version's schema. Raises `DatabaseUnavailable`."""
    from ai_agents.store.database import normalize_url
    from ai_agents.store.migrate import is_current
    from ai_agents.store.sqlite_files import database_file

    url = normalize_url(settings.database)
    file = database_file(url) if url.get_backend_name() == "sqlite" else None
    if file is not None and not file.exists():
        # Looking at it would make it.
        sys.exit(f"There is no database {file.absolute()}: `ai-agents migrate` makes it, or the settings name another.")
    if not is_current(settings.database):
        sys.exit("The database is not at the schema of this version: run `ai-agents migrate` first.")


def with_database(settings: "Settings", use: "Callable[[Database], Coroutine[Any, Any, T]]") -> "T":
    """The result of `use` with a database that is open for it alone."""
    import asyncio

    from ai_agents.store.database import Database

    async def run() -> "T":
        database = Database(settings.database, pool_size=1)
        try:
            return await use(database)
        finally:
            await database.close()

    return asyncio.run(run())
