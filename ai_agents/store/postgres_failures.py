"""Why PostgreSQL did not let this program in, in a sentence that an operator can act on.

Source of the codes: https://www.postgresql.org/docs/current/errcodes-appendix.html, read 2026-11-30.
"""

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from ai_agents.core.connecting import CLOSED, causes_of, is_passing_failure, why_not_reached
from ai_agents.core.exceptions import DatabaseUnavailable
from ai_agents.store.postgres_urls import hosts_of, place_of

# The oldest version that this program is tried with.
OLDEST_VERSION = 14
_POOLER = (
    "behind a pooler in transaction mode: set the address of the database itself, too, as "
    "AI_AGENTS_DATABASE_DIRECT_URL (direct_url in the library)."
)
# By SQLSTATE. `pg_hba` is 28000 for a server whose pg_hba.conf has no line for this client.
_SENTENCES = {
    # All that PgBouncer itself has to say.
    "08P01": "{server}, or the pooler there, answers: {said}.",
    "26000": f"{{server}} is {_POOLER}",
    "42P05": f"{{server}} is {_POOLER}",
    "28P01": "{server} refuses the password of the user {user}, or does not know the user.",
    "pg_hba": "{server} has no line in its pg_hba.conf that lets the user {user} in from here: {said}.",
    "28000": "{server} does not let the user {user} in: {said}.",
    "3D000": "{server} has no database {database}.",
    "42501": "The user {user} lacks a right in the database {database} of {server}: {said}.",
    "53300": "{server} has no connection left (max_connections): {said}.",
    "53100": "The disk of {server} is full.",
    "57P03": "{server} takes no connections now: {said}.",
    "25006": "The database {database} of {server} is read-only: it may be a replica.",
    "55P03": "Another process holds a lock in the database {database} of {server}.",
    "57014": "{server} did not answer in time.",
}

# As asyncpg says that a server has no TLS, and that none is of the kind that the address asks for.
_NO_TLS, _NO_SERVER = "rejected SSL upgrade", "TargetServerAttributeNotMatched"
# The server begins or ends, has no connection left for now, or is gone. Data that is damaged is of class XX.
_PASSING = ("57P01", "57P02", "57P03", "53300", "08000", "08001", "08003", "08006")
# PgBouncer has one code for all that it says, also in the server's words: it could not log in there, which it goes on
# to tell for `server_login_retry` seconds (15 by default), has no place for one more client, or ends.
# Source: https://www.pgbouncer.org/config.html, read 2026-11-30, and the texts of 1.18.
_OF_POOLER = "08P01"
_POOLER_PASSES = (
    "server_login_retry", "the database system is", "too many", "connection slots", "cannot connect to server",
    "server conn crashed", "max_client_conn", "query_wait_timeout", "shutting down",
)  # fmt: skip


def may_pass(error: BaseException) -> bool:
    """Whether the same address may work in a moment: a server, or the pooler before it, is just coming back.

    A name, a password, a right or a database that is wrong stays so.
    """
    for found in causes_of(error):
        sqlstate = getattr(found, "sqlstate", None)
        if isinstance(sqlstate, str):
            of_pooler = sqlstate == _OF_POOLER and any(words in str(found) for words in _POOLER_PASSES)
            return of_pooler or sqlstate in _PASSING
        if _NO_TLS in str(found):
            return False
        if type(found).__name__ == _NO_SERVER:
            return True  # none takes writes yet: one of them is about to be promoted
    return is_passing_failure(error)


def why_not_opened(error: BaseException, url: URL) -> str | None:
    """The sentence for this error; None for one that is not known. It has no password."""
    where = place_of(url)
    for found in causes_of(error):
        sqlstate = getattr(found, "sqlstate", None)
        if isinstance(sqlstate, str) and (said := _of_sqlstate(sqlstate, str(found), url, where)) is not None:
            return said
        if _NO_TLS in str(found):
            return f"PostgreSQL at {where} does not speak TLS, which the database URL asks for."
        if type(found).__name__ == _NO_SERVER:
            return f"None of the servers at {where} takes writes, which target_session_attrs asks for."
        if type(found).__name__ == "ClientConfigurationError":
            return f"The database URL cannot be used: {str(found).partition(chr(10))[0].rstrip('.')}."
    hosts = hosts_of(url)
    host, port = hosts[0] if len(hosts) == 1 else (where, None)
    said = why_not_reached(error, "PostgreSQL", host, port)
    if said is not None and "sslcert" in url.query and said.endswith(CLOSED):
        # It may close before its reason has arrived.
        return said.replace(CLOSED, f"{CLOSED[:-1]}: it may not trust the certificate of this program (sslcert).")
    return said


def _of_sqlstate(sqlstate: str, said: str, url: URL, where: str) -> str | None:
    if sqlstate == "28000" and "pg_hba.conf" in said:
        sqlstate = "pg_hba"
    if (sentence := _SENTENCES.get(sqlstate)) is None:
        return None
    user, database = url.username or "the system's user", url.database or url.username or "of the user's name"
    return sentence.format(server=f"PostgreSQL at {where}", user=user, database=database, said=said.rstrip("."))


def check_version(connection: Connection, url: URL) -> None:
    """Raises `DatabaseUnavailable` for a version that is older than this program can use."""
    found = connection.dialect.server_version_info
    if found is not None and int(found[0]) < OLDEST_VERSION:
        version = ".".join(map(str, found))
        raise DatabaseUnavailable(
            f"PostgreSQL at {place_of(url)} has version {version}; {OLDEST_VERSION} is the oldest that can be used."
        )
