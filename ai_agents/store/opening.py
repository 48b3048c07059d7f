"""Opening a database: whether it can be used, and if not, why, with its path or host and never with its password.

Clients of the service are told less (`DatabaseUnavailable`): where the database is, is none of their business.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store.models import SCHEMA_REVISION
from ai_agents.store.postgres_urls import place_of

_UNKNOWN = "The database {place} cannot be used: {error}."
_NUMBER = re.compile(r"\d+")


def describe_place(url: URL) -> str:
    """Which database an address means, for people: a path, or name, host and port."""
    if url.get_backend_name() == "sqlite":
        return url.database or ":memory:"
    return f"{url.database or url.username} at {place_of(url)}"


@contextmanager
def explained(url: URL) -> Generator[None]:
    """Turns what a database answers while it is opened into `DatabaseUnavailable` with a sentence that says why."""
    try:
        yield
    except DatabaseUnavailable as error:
        if (said := _why(error, url)) is not None and error.__cause__ is not None:
            raise type(error)(said) from error.__cause__
        raise
    except (SQLAlchemyError, OSError) as error:
        said = _why(error, url)
        if said is None:
            original = getattr(error, "orig", None) or error
            said = _UNKNOWN.format(place=describe_place(url), error=str(original).strip().partition("\n")[0])
        raise DatabaseUnavailable(said) from error


def why_unavailable(error: BaseException, url: URL) -> str:
    """Why a database did not answer, in a sentence: that of its opening, or, for an unknown cause, of the error."""
    return _why(error, url) or str(error)


def may_pass(error: BaseException, url: URL) -> bool:
    """Whether a database that could not be opened may be there in a moment, at the same address."""
    if url.get_backend_name() == "sqlite":
        return False
    from ai_agents.store import postgres_failures

    return postgres_failures.may_pass(error)


def _why(error: BaseException, url: URL) -> str | None:
    if url.get_backend_name() == "sqlite":
        from ai_agents.store.sqlite_failures import why_not_opened
    else:
        from ai_agents.store.postgres_failures import why_not_opened
    return why_not_opened(error, url)


def current_revision(connection: Connection) -> str | None:
    """The revision of the database's schema; None where it has no tables of this program."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def is_newer(revision: str) -> bool:
    """Whether a revision is beyond this version's own. Revisions are numbered."""
    return _number(revision) > _number(SCHEMA_REVISION)


def check_server(connection: Connection, url: URL) -> None:
    """Raises `DatabaseUnavailable` where the server is too old for this version."""
    if connection.dialect.name == "postgresql":
        from ai_agents.store.postgres_failures import check_version

        check_version(connection, url)


def check_database(connection: Connection, url: URL) -> None:
    """Raises `DatabaseUnavailable` where the server or the schema is too old for this version.

    A newer schema is used: what a migration adds does not stand in the way of the version before it.
    """
    check_server(connection, url)
    revision = current_revision(connection)
    if revision is not None and revision != SCHEMA_REVISION and not is_newer(revision):
        raise DatabaseUnavailable(
            f"The database {describe_place(url)} is at the schema {revision}, and this version needs "
            f"{SCHEMA_REVISION}: run `ai-agents migrate`."
        )


def newer_schema(url: URL, revision: str | None) -> str:
    """The sentence for a database that a newer version of this program has migrated."""
    return (
        f"The database {describe_place(url)} is at the schema {revision}, which this version does not know "
        f"(its own is {SCHEMA_REVISION}): a newer version has migrated it."
    )


def _number(revision: str) -> int:
    found = _NUMBER.match(revision)
    return 0 if found is None else int(found[0])
