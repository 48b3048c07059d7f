"""API keys: secrets that authenticate a user."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, true

from ai_agents.core.exceptions import InvalidRequest, KeyNotFound
from ai_agents.core.ids import format_time, utc_now
from ai_agents.core.json import clean_text
from ai_agents.core.rows import Key, KeyHolder, NewKey, Page, only
from ai_agents.store import pages, revocations
from ai_agents.store.database import Store, reading, writing
from ai_agents.store.models import ApiKeyTable
from ai_agents.store.secrets import id_of, make_secret, matches
from ai_agents.store.statements import prepared

# The user that owns what is made with the admin key, which has no row.
ADMIN_ID = "admin"
_SCHEME = "aia_"
_FIND = prepared(select(ApiKeyTable.__table__).where(ApiKeyTable.id == bindparam("key_id")))


def create_key(
    connection: Connection, user_id: str, name: str = "", *, expires_at: str | None = None, admin: bool = False
) -> NewKey:
    """A new key for a user, with the key itself as `key`, which is shown only this once.

    `expires_at` is RFC 3339 with an offset. Raises `InvalidRequest`.
    """
    if not user_id:
        raise InvalidRequest("A user id is not empty.", loc=("user_id",))
    secret = make_secret(_SCHEME)
    row: Key = {
        "id": secret.id,
        "user_id": user_id,
        "name": clean_text(name),
        "prefix": secret.prefix,
        "admin": admin,
        "created_at": utc_now(),
        "expires_at": None if expires_at is None else _to_utc(expires_at),
    }
    connection.execute(insert(ApiKeyTable), {**row, "secret_hash": secret.secret_hash})
    return {**row, "key": secret.text}


def authenticate(connection: Connection, key: str) -> KeyHolder | None:
    """The holder of this key; None if it is not valid."""
    key_id = id_of(key, _SCHEME)
    if key_id is None:
        return None
    row = connection.execute(_FIND, {"key_id": key_id}).one_or_none()
    if row is None or not matches(key, row.secret_hash):
        return None
    if row.expires_at is not None and row.expires_at <= utc_now():
        return None
    return {"user_id": row.user_id, "admin": row.admin, "key_id": row.id, "valid_until": row.expires_at}


def exists(connection: Connection, key_id: str) -> bool:
    """Whether the key has not been deleted; it may have expired."""
    return connection.scalar(select(ApiKeyTable.id).where(ApiKeyTable.id == key_id)) is not None


def any_is_admin(connection: Connection, user_ids: Collection[str]) -> bool:
    """Whether one of these users is an admin: the user of the admin key, or one with an admin's key that is valid."""
    if ADMIN_ID in user_ids:
        return True
    valid = or_(ApiKeyTable.expires_at.is_(None), ApiKeyTable.expires_at > utc_now())
    found = select(ApiKeyTable.id).where(ApiKeyTable.user_id.in_(user_ids), ApiKeyTable.admin.is_(true()), valid)
    return connection.scalar(found.limit(1)) is not None


def list_keys(
    connection: Connection, user_id: str | None = None, *, limit: int = 20, after: str | None = None
) -> Page[Key]:
    """A page of a user's keys (None: of all), newest first: `{"data", "next"}`. Raises `InvalidCursor`."""
    statement = select(ApiKeyTable.__table__)
    if user_id is not None:
        statement = statement.where(ApiKeyTable.user_id == user_id)
    return pages.newest_first(
        connection, statement, ApiKeyTable, limit=limit, after=after, to_dict=lambda row: only(Key, row)
    )


def delete_key(connection: Connection, key_id: str, *, user_id: str | None = None) -> None:
    """Delete a key, which is refused from now on; with `user_id`, only a key of this user. Raises `KeyNotFound`."""
    statement = delete(ApiKeyTable).where(ApiKeyTable.id == key_id)
    if user_id is not None:
        statement = statement.where(ApiKeyTable.user_id == user_id)
    if connection.execute(statement).rowcount == 0:
        raise KeyNotFound
    revocations.note(connection, [revocations.key_subject(key_id)])


def _to_utc(text: str) -> str:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise ValueError("no offset")
        return format_time(time)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            "A time is RFC 3339 with an offset, as 2030-01-31T12:00:00Z.", loc=("expires_at",)
        ) from error


class KeyStore(Store):
    """API keys: clients create, list and delete them, and requests are authenticated by them."""

    create = writing(create_key)
    list = reading(list_keys, long=True)
    delete = writing(delete_key)
    authenticate = reading(authenticate)
