"""What was taken away a moment ago, for open streams: they ask again for their right where one of these names it.

A row is written in the transaction that takes something away. Every process reads the newest rows again and again, and
the process that committed, and all others over Redis, are told at once.
"""

import hashlib
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select

from ai_agents.core.ids import new_id, utc_now
from ai_agents.core.types import REVOKED, LogRow
from ai_agents.store.access_tables import RevocationTable
from ai_agents.store.clock import database_now
from ai_agents.store.statements import prepared
from ai_agents.store.thread_log import note_rows

# Processes read rows of the last half minute, and this much more after an outage of the database.
_KEPT_S = 3600.0
# Such a subject begins so, and has the id of a thread, a colon and so many characters.
LOST = "lost:"
_DIGEST = 22
_SINCE = prepared(select(RevocationTable.id, RevocationTable.subject).where(RevocationTable.at > bindparam("since")))


def key_subject(key_id: str) -> str:
    """What streams hang on that were opened by this key, or by a ticket that it made."""
    return f"key:{key_id}"


def made_subject(key_id: str) -> str:
    """What streams hang on that were opened by tokens which this key made, however many there are."""
    return f"made:{key_id}"


def role_subject(resource_type: str, resource_id: str) -> str:
    """What streams hang on that need a role on this resource."""
    return f"{resource_type}:{resource_id}"


def lost_subject(thread_id: str, user_id: str) -> str:
    """What a user's role on a thread was, for those who follow many threads. The user's id is not stored, nor sent."""
    return f"{LOST}{thread_id}:{user_digest(user_id)}"


def user_digest(user_id: str) -> str:
    """What stands for a user in such a subject, short enough for its column."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:_DIGEST]


def note(connection: Connection, subjects: Iterable[str]) -> None:
    """Say that rights which hang on these subjects may be lost with the transaction."""
    rows = [{"id": new_id(), "subject": subject} for subject in dict.fromkeys(subjects)]
    if not rows:
        return
    connection.execute(insert(RevocationTable).values(at=database_now(connection.dialect.name)), rows)
    now = utc_now()
    # These are rows of no log. They are published as log rows are, after the commit.
    note_rows(connection, [LogRow("", 0, REVOKED, None, row["subject"], resets=False, created_at=now) for row in rows])


def list_since(connection: Connection, since: float) -> Sequence[tuple[str, str]]:
    """Id and subject of what was taken away after `since`, in seconds of the database's clock since 1970."""
    return [(row.id, row.subject) for row in connection.execute(_SINCE, {"since": since})]


def clock(connection: Connection) -> float:
    """The database's time, in seconds since 1970."""
    return float(connection.execute(select(database_now(connection.dialect.name))).scalar_one())


def sweep(connection: Connection) -> int:
    """Delete old rows. Returns how many."""
    old = RevocationTable.at < clock(connection) - _KEPT_S
    return connection.execute(delete(RevocationTable).where(old)).rowcount
