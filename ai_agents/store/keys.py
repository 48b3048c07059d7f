"""API keys: secrets that authenticate a user. Tokens (`tokens.py`) are rows of the same table."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    insert,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from ai_agents.core.exceptions import InvalidRequest, KeyNotFound, PermissionDenied
from ai_agents.core.ids import format_time, utc_now
from ai_agents.core.json import clean_text
from ai_agents.core.key_rows import Key, KeyHolder, NewKey
from ai_agents.core.rows import Page, only
from ai_agents.store import audit, pages, revocations
from ai_agents.store.access_tables import ApiKeyTable
from ai_agents.store.database import Store, reading, writing
from ai_agents.store.secrets import id_of, make_secret, matches
from ai_agents.store.statements import prepared
from ai_agents.store.text_filter import first_with, sizes

# The user that owns what is made with the admin key, which has no row.
ADMIN_ID = "admin"
# The row of the environment's admin key is no user's.
_NO_USER = ""
# As in the partial index of the list of all keys.
# Without a type, which would make it another condition on SQLite.
_NO_TOKEN: ColumnElement[bool] = literal_column("NOT api_keys.is_token")
_SCHEME = "aia_"
SCHEME_OF_TOKENS = "ait_"
_MOST_OLD_SECRETS = 8
_KEYS_AT_ONCE = 500
_FIND = prepared(select(ApiKeyTable.__table__).where(ApiKeyTable.id == bindparam("key_id")))


def create_key(
    connection: Connection,
    user_id: str,
    name: str = "",
    *,
    expires_at: str | None = None,
    admin: bool = False,
    parent_id: str | None = None,
) -> NewKey:
    """A new key for a user, with the key itself as `key`, which is shown only this once.

    `expires_at` is RFC 3339 with an offset. `parent_id` is the user's key that makes it: the new one expires no later,
    and is deleted with it. Raises `InvalidRequest`, and `KeyNotFound` where the parent has been deleted.
    """
    if not user_id:
        raise InvalidRequest("A user id is not empty.", loc=("user_id",))
    ends = None if expires_at is None else _to_utc(expires_at)
    if parent_id is not None:
        ends = min(filter(None, (ends, hold_key(connection, parent_id))), default=None)
    secret = make_secret(_SCHEME)
    row: Key = {
        "id": secret.id,
        "user_id": user_id,
        "name": clean_text(name),
        "prefix": secret.prefix,
        "admin": admin,
        "created_at": utc_now(),
        "expires_at": ends,
    }
    connection.execute(insert(ApiKeyTable), {**row, "secret_hash": secret.secret_hash, "parent_id": parent_id})
    return {**row, "key": secret.text}


def hold_key(connection: Connection, key_id: str) -> str | None:
    """When the key ends, if it does. It cannot be deleted before the transaction has ended. Raises `KeyNotFound`."""
    held = select(ApiKeyTable.expires_at).where(ApiKeyTable.id == key_id).with_for_update(read=True, key_share=True)
    row = connection.execute(held).one_or_none()
    if row is None:
        raise KeyNotFound
    ends: str | None = row.expires_at
    return ends


def authenticate(connection: Connection, key: str) -> KeyHolder | None:
    """The holder of this key or token; None if it is not valid."""
    is_token = key.startswith(SCHEME_OF_TOKENS)
    key_id = id_of(key, SCHEME_OF_TOKENS if is_token else _SCHEME)
    if key_id is None:
        return None
    row = connection.execute(_FIND, {"key_id": key_id}).one_or_none()
    if row is None or row.is_token is not is_token:
        return None
    ends = [row.expires_at]
    is_former = not matches(key, row.secret_hash)
    if is_former:
        old = next((each for each in row.old_secrets or () if matches(key, each["hash"])), None)
        if old is None:
            return None
        ends.append(old["until"])
    valid_until = min(filter(None, ends), default=None)
    if valid_until is not None and valid_until <= utc_now():
        return None
    return {
        "user_id": row.user_id,
        "admin": row.admin,
        "key_id": row.id,
        "valid_until": valid_until,
        "is_former": is_former,
        "is_token": is_token,
        "parent_id": row.parent_id if is_token else None,
        "agents": row.agents,
    }


def rotate_key(
    connection: Connection, key_id: str, *, grace_s: int, user_id: str | None = None, by_key_id: str | None = None
) -> NewKey:
    """Give a key a new secret, which is shown only this once; the former ones end after `grace_s` seconds.

    With `user_id`, only a key of this user; with `by_key_id`, only this key itself and what it made. Raises
    `KeyNotFound`, `PermissionDenied`.
    """
    row = connection.execute(_of_user(key_id, user_id).with_for_update()).mappings().one_or_none()
    if row is None:
        raise KeyNotFound
    if by_key_id is not None and by_key_id not in _lineage(connection, key_id):
        raise PermissionDenied("A key gives new secrets to itself and to the keys that it made.")
    now, until = utc_now(), format_time(datetime.now(UTC) + timedelta(seconds=grace_s))
    former = [*(row["old_secrets"] or ()), {"hash": row["secret_hash"], "until": until}]
    old = [{**each, "until": min(each["until"], until)} for each in former if each["until"] > now]
    secret = make_secret(_SCHEME, key_id)
    values = {"secret_hash": secret.secret_hash, "old_secrets": old[-_MOST_OLD_SECRETS:] if grace_s else None}
    connection.execute(update(ApiKeyTable).where(ApiKeyTable.id == key_id).values(values))
    revocations.note(connection, [revocations.key_subject(key_id)])
    return {**only(Key, row), "key": secret.text}


def _lineage(connection: Connection, key_id: str) -> list[str]:
    """The key, the one that made it, and so on."""
    found: list[str] = []
    above: str | None = key_id
    while above is not None:
        found.append(above)
        above = connection.scalar(select(ApiKeyTable.parent_id).where(ApiKeyTable.id == above))
    return found


def exists(connection: Connection, key_id: str) -> bool:
    """Whether the key or token has not been deleted; it may have expired."""
    return connection.scalar(select(ApiKeyTable.id).where(ApiKeyTable.id == key_id)) is not None


def find_deleted(connection: Connection, key_ids: Collection[str]) -> set[str]:
    """Those of the keys that there are no longer."""
    found = connection.scalars(select(ApiKeyTable.id).where(ApiKeyTable.id.in_(sorted(key_ids)))) if key_ids else ()
    return set(key_ids) - set(found)


def any_is_admin(connection: Connection, user_ids: Collection[str]) -> bool:
    """Whether one of these users is an admin: the user of the admin key, or one with an admin's key that is valid."""
    if ADMIN_ID in user_ids:
        return True
    valid = or_(ApiKeyTable.expires_at.is_(None), ApiKeyTable.expires_at > utc_now())
    found = select(ApiKeyTable.id).where(ApiKeyTable.user_id.in_(user_ids), ApiKeyTable.admin.is_(true()), valid)
    return connection.scalar(found.limit(1)) is not None


def list_keys(
    connection: Connection,
    user_id: str | None = None,
    *,
    q: str | None = None,
    limit: int = 20,
    after: str | None = None,
) -> Page[Key]:
    """A page of a user's keys (None: of all), newest first: `{"data", "next"}`. Raises `InvalidCursor`.

    With `q`, those that have it in their user, their name or their prefix, in any case.
    """
    conditions: list[ColumnElement[bool]] = [ApiKeyTable.user_id != _NO_USER, _NO_TOKEN]
    if user_id is not None:
        conditions.append(ApiKeyTable.user_id == user_id)
    if q is not None:
        before = None if after is None else pages.decode_time_cursor(after)
        conditions = [ApiKeyTable.id.in_(first_with(q, _named(connection, conditions, before), limit=limit + 1))]
    return pages.newest_first(
        connection,
        select(ApiKeyTable.__table__).where(*conditions),
        ApiKeyTable,
        limit=limit,
        after=after,
        to_dict=lambda row: only(Key, row),
    )


def _named(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], before: tuple[str, str] | None
) -> Iterator[tuple[str, str]]:
    """Ids of keys with the texts in which they are looked for, newest first, read as far as they are asked for."""
    order = ApiKeyTable.created_at, ApiKeyTable.id
    texts = ApiKeyTable.user_id, ApiKeyTable.name, ApiKeyTable.prefix
    statement = select(*order, *texts).where(*conditions).order_by(*(key.desc() for key in order))
    for size in sizes():
        following = statement if before is None else statement.where(tuple_(*order) < before)
        rows = connection.execute(following.limit(size)).all()
        yield from ((row.id, f"{row.user_id}\n{row.name}\n{row.prefix}") for row in rows)
        if len(rows) < size:
            return
        before = rows[-1].created_at, rows[-1].id


def list_unopened(connection: Connection, user_id: str, name: str) -> list[str]:
    """The ids of a user's keys of this name that have ended, or still have their first secret."""
    own = select(ApiKeyTable.id, ApiKeyTable.expires_at, ApiKeyTable.old_secrets).where(
        ApiKeyTable.user_id == user_id, ApiKeyTable.name == name, ~ApiKeyTable.is_token, ApiKeyTable.parent_id.is_(None)
    )
    now = utc_now()
    rows = connection.execute(own)
    return [row.id for row in rows if not row.old_secrets or (row.expires_at is not None and row.expires_at <= now)]


def see_key(connection: Connection, key_id: str, *, user_id: str | None = None) -> None:
    """Raises `KeyNotFound` where there is no such key; with `user_id`, no such key of this user."""
    if connection.execute(_of_user(key_id, user_id)).one_or_none() is None:
        raise KeyNotFound


def delete_key(connection: Connection, key_id: str, *, user_id: str | None = None) -> Key:
    """Delete a key and all that it made, which are refused from now on; with `user_id`, only a key of this user.

    Returns what it was. Raises `KeyNotFound`.
    """
    row = connection.execute(_of_user(key_id, user_id).with_for_update()).mappings().one_or_none()
    if row is None:
        raise KeyNotFound
    delete_with_children(connection, [key_id])
    return only(Key, row)


def _of_user(key_id: str, user_id: str | None) -> Select[*tuple[Any, ...]]:
    one = ApiKeyTable.id == key_id, ApiKeyTable.user_id != _NO_USER, ~ApiKeyTable.is_token
    statement = select(ApiKeyTable.__table__).where(*one)
    return statement if user_id is None else statement.where(ApiKeyTable.user_id == user_id)


def delete_with_children(connection: Connection, key_ids: Sequence[str]) -> None:
    """Delete keys that this transaction has locked, and what they made. A key that is locked makes no more.

    A key may have made a hundred thousand tokens: they are deleted unseen, and their streams hang on the key as well.
    """
    found, unread = list(key_ids), list(key_ids)
    while unread:
        some, unread = unread[:_KEYS_AT_ONCE], unread[_KEYS_AT_ONCE:]
        made = select(ApiKeyTable.id).where(ApiKeyTable.parent_id.in_(some), ~ApiKeyTable.is_token)
        children = list(connection.scalars(made.with_for_update()))
        found += children
        unread += children
    for first in range(0, len(found), _KEYS_AT_ONCE):
        some = found[first : first + _KEYS_AT_ONCE]
        delete_tokens_made_by(connection, some)
        connection.execute(delete(ApiKeyTable).where(ApiKeyTable.id.in_(some)))
    revocations.note(connection, [revocations.key_subject(each) for each in found])


def delete_tokens_made_by(connection: Connection, key_ids: Sequence[str]) -> None:
    """Delete the tokens of all users that these keys made."""
    for first in range(0, len(key_ids), _KEYS_AT_ONCE):
        some = key_ids[first : first + _KEYS_AT_ONCE]
        connection.execute(delete(ApiKeyTable).where(ApiKeyTable.parent_id.in_(some), ApiKeyTable.is_token))
    revocations.note(connection, [revocations.made_subject(each) for each in key_ids])


def id_of_environment_key(key: bytes) -> str:
    """The id of the row of an admin key of the environment. By scrypt: a person may have chosen the key."""
    digest = hashlib.scrypt(key, salt=b"ai-agents admin key", n=2**12, r=8, p=1, dklen=16)
    return str(UUID(bytes=digest))


def keep_environment_key(connection: Connection, key_id: str) -> None:
    """Write the row of the environment's admin key. Those of former ones are deleted, with all that they made."""
    rows = select(ApiKeyTable.id).where(ApiKeyTable.user_id == _NO_USER).with_for_update()
    former = [each for each in connection.scalars(rows) if each != key_id]
    delete_with_children(connection, former)
    audit.record(connection, *(audit.Act("key.delete", None, "key", each, details={"admin": True}) for each in former))
    row = {
        "id": key_id,
        "user_id": _NO_USER,
        "name": "",
        "prefix": "",
        "secret_hash": "",
        "admin": True,
        "created_at": utc_now(),
    }
    if connection.dialect.name == "postgresql":
        connection.execute(postgresql.insert(ApiKeyTable).on_conflict_do_nothing(), row)
    else:
        connection.execute(sqlite.insert(ApiKeyTable).on_conflict_do_nothing(), row)


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
    see = reading(see_key)
    rotate = writing(rotate_key)
    delete = writing(delete_key, long=True)
    authenticate = reading(authenticate)
