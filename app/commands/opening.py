"""What commands open: the settings and the database, with a sentence for each mistake in them."""

import os
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ai_agents.store.database import Database
    from app.settings import Settings

T = TypeVar("T")


def read_settings(*, warn: bool = True) -> "Settings":
    """The settings. Raises `CannotStart` with a line for each that cannot be used.

    `warn` names variables that are read by nothing on standard error; processes that have a log write it there.
    """
    from app.settings import reading

    settings = reading.read_settings()
    for sentence in reading.unknown_names() if warn else ():
        print(f"warning: {sentence}", file=sys.stderr)
    return settings


def make_private_files() -> None:
    """Let other users of the machine read nothing that this process and its children write."""
    os.umask(0o077)


def upgrade(settings: "Settings") -> None:
    """Bring the database to this version's schema, unless it is at a newer one. Raises `DatabaseUnavailable`."""
    from ai_agents.store import migrate

    if not migrate.is_usable(settings.direct_database):
        migrate.upgrade(settings.direct_database)


def require_schema(settings: "Settings") -> None:
    """End with a sentence where the database is not yet at this version's schema. Raises `DatabaseUnavailable`."""
    from ai_agents.store.database import normalize_url
    from ai_agents.store.migrate import is_usable
    from ai_agents.store.sqlite_files import database_file

    url = normalize_url(settings.direct_database)
    file = database_file(url) if url.get_backend_name() == "sqlite" else None
    if file is not None and not file.exists():
        # Looking at it would make it.
        sys.exit(f"There is no database {file.absolute()}: `ai-agents migrate` makes it, or the settings name another.")
    if not is_usable(settings.direct_database):
        sys.exit("The database is not at the schema of this version: run `ai-agents migrate` first.")


def with_database(settings: "Settings", use: "Callable[[Database], Coroutine[Any, Any, T]]") -> "T":
    """The result of `use` with a database that is open for it alone."""
    import asyncio

    from ai_agents.store.database import Database

    async def run() -> "T":
        database = Database(settings.direct_database, pool_size=1)
        try:
            await database.check()
            if await database.is_empty():
                sys.exit("The database has no tables yet: run `ai-agents migrate` first.")
            return await use(database)
        finally:
            await database.close()

    return asyncio.run(run())
