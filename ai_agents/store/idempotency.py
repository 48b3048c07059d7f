"""Idempotency keys: what a request with a key led to, so that its repetition does not do it again."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.exceptions import IdempotencyKeyReused, InvalidIdempotencyKey
from ai_agents.core.ids import TIME_FORMAT, utc_now
from ai_agents.core.types import JsonObject
from ai_agents.store.models import IdempotencyKeyTable, TimestampType

KEPT = timedelta(hours=24)
MAX_KEY = 255
# Later than all that was ever remembered.
_NEVER = "9999-01-01T00:00:00.000000Z"
_FIND = select(
    IdempotencyKeyTable.fingerprint,
    IdempotencyKeyTable.run_id,
    IdempotencyKeyTable.answer,
    IdempotencyKeyTable.message_id,
).where(
    IdempotencyKeyTable.user_id == bindparam("user_id"),
    IdempotencyKeyTable.key == bindparam("key"),
    IdempotencyKeyTable.created_at > bindparam("oldest"),
)


def _remember(insert: postgresql.Insert | sqlite.Insert) -> postgresql.Insert | sqlite.Insert:
    """Write a key unless it exists. An expired key that is not deleted yet is replaced."""
    new = {name: insert.excluded[name] for name in ("fingerprint", "run_id", "answer", "message_id", "created_at")}
    return insert.on_conflict_do_update(
        index_elements=[IdempotencyKeyTable.user_id, IdempotencyKeyTable.key],
        set_=new,
        where=IdempotencyKeyTable.created_at <= bindparam("oldest", type_=TimestampType),
    )


_REMEMBER = {
    "postgresql": _remember(postgresql.insert(IdempotencyKeyTable)),
    "sqlite": _remember(sqlite.insert(IdempotencyKeyTable)),
}


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the request with a key led to: the run that answers its message, or a whole answer.

    Keys of before messages could join runs have no `message_id`.
    """

    run_id: str | None
    answer: JsonObject | None
    message_id: str | None = None


def checked_key(key: str) -> str:
    """The key itself. Raises `InvalidIdempotencyKey` unless it is 1 to 255 visible ASCII characters."""
    if not 0 < len(key) <= MAX_KEY or not all("!" <= character <= "~" for character in key):
        raise InvalidIdempotencyKey
    return key


def fingerprint(method: str, path: str, body: bytes) -> str:
    """64 hex digits that are the same for the same method, path and body."""
    digest = hashlib.sha256(f"{method.upper()} {path}\n".encode("utf-8", "surrogatepass"))
    digest.update(body)
    return digest.hexdigest()


def find(
    connection: Connection,
    user_id: str,
    key: str,
    fingerprint: str,
    *,
    within_s: float | None = None,
    oldest: str | None = None,
) -> Remembered | None:
    """What this request led to earlier; None if the key is new, or older than so many seconds (by default, 24 hours).

    `oldest` says so as a time. Raises `IdempotencyKeyReused`.
    """
    values = {"user_id": user_id, "key": key, "oldest": oldest or _oldest(within_s)}
    row = connection.execute(_FIND, values).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    return Remembered(row.run_id, row.answer, row.message_id)


def find_run(connection: Connection, user_id: str, key: str) -> str | None:
    """The run that the user's request with this key led to, whatever it asked for; None if there is none."""
    row = connection.execute(_FIND, {"user_id": user_id, "key": key, "oldest": _oldest()}).one_or_none()
    run_id: str | None = None if row is None else row.run_id
    return run_id


def is_used(connection: Connection, user_id: str, key: str) -> bool:
    """Whether the user has sent a request with this key."""
    values = {"user_id": user_id, "key": key, "oldest": _oldest()}
    return connection.execute(_FIND, values).first() is not None


def remember(
    connection: Connection,
    user_id: str,
    key: str,
    fingerprint: str,
    *,
    run_id: str | None = None,
    message_id: str | None = None,
    answer: Mapping[str, Any] | None = None,
    within_s: float | None = None,
) -> Remembered | None:
    """Store what the request led to, in the transaction that does it. Waits for a transaction with the same key.

    What is remembered for longer than `within_s` (by default, 24 hours; 0: in any case) is replaced.
    Returns None, or what the same request led to if that was first. Raises `IdempotencyKeyReused`. In these two cases
    the caller undoes what it did.
    """
    oldest = _oldest(within_s)
    values = {
        "user_id": user_id,
        "key": key,
        "fingerprint": fingerprint,
        "run_id": run_id,
        "answer": answer,
        "message_id": message_id,
        "created_at": utc_now(),
        "oldest": oldest,
    }
    if connection.execute(_REMEMBER[connection.dialect.name], values).rowcount == 1:
        return None
    # With the same limit: the key must not expire between the two statements.
    return find(connection, user_id, key, fingerprint, oldest=oldest)


def sweep(connection: Connection, older_than: str | None = None) -> int:
    """Delete keys that are older than this time (by default, 24 hours ago). Returns how many."""
    statement = delete(IdempotencyKeyTable).where(IdempotencyKeyTable.created_at <= (older_than or _oldest()))
    return connection.execute(statement).rowcount


def _oldest(within_s: float | None = None) -> str:
    if within_s == 0:
        return _NEVER  # clocks of processes differ
    kept = KEPT if within_s is None else timedelta(seconds=within_s)
    return (datetime.now(UTC) - kept).strftime(TIME_FORMAT)
