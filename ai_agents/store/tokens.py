"""Tokens: secrets for a browser or a phone, which identify a user for a while, as their key does.

They are rows of the table of keys, so that they end with the key that made them, and all that hangs on a key hangs on
them: runs that wait, tickets, open streams.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, insert, literal_column, select, text

from ai_agents.core.exceptions import TokenNotFound
from ai_agents.core.ids import format_time, utc_now
from ai_agents.core.key_rows import NewToken
from ai_agents.store import revocations
from ai_agents.store.access_tables import ApiKeyTable
from ai_agents.store.database import Store, writing
from ai_agents.store.keys import SCHEME_OF_TOKENS, hold_key
from ai_agents.store.models import RunTable
from ai_agents.store.secrets import make_secret

_SWEPT_AT_ONCE = 5_000
_NAMED_AT_ONCE = 100
# Literals, as in the partial indexes.
_ACTIVE = (
    RunTable.status.in_((literal_column("'running'"), literal_column("'waiting'"))),
    RunTable.status == literal_column("'queued'"),
)


def create_token(
    connection: Connection,
    user_id: str,
    *,
    parent_id: str,
    expires_in_s: int,
    agents: Collection[str] | None = None,
    ends_at: str | None = None,
) -> NewToken:
    """A new token for a user, which is shown only this once. It ends at `ends_at` at the latest.

    `parent_id` is the key that makes it: the token expires no later, and is deleted with it. `agents` are the only ones
    that it is for. Raises `KeyNotFound` where the parent has been deleted.
    """
    now = datetime.now(UTC)
    made = format_time(now)
    wanted = format_time(now + timedelta(seconds=expires_in_s))
    ends = min(filter(None, (wanted, ends_at, hold_key(connection, parent_id))))
    only = None if agents is None else sorted(agents)
    secret = make_secret(SCHEME_OF_TOKENS)
    row = {
        "id": secret.id,
        "user_id": user_id,
        "name": "",
        "prefix": secret.prefix,
        "secret_hash": secret.secret_hash,
        "admin": False,
        "created_at": made,
        "expires_at": ends,
        "parent_id": parent_id,
        "is_token": True,
        "agents": only,
    }
    connection.execute(insert(ApiKeyTable), row)
    return {
        "id": secret.id,
        "token": secret.text,
        "user_id": user_id,
        "agents": only,
        "created_at": made,
        "expires_at": ends,
    }


def delete_token(connection: Connection, token_id: str, *, user_id: str | None = None) -> str:
    """Delete a token, which is refused from now on; with `user_id`, only one of this user.

    Returns whose it was. Raises `TokenNotFound`.
    """
    found = select(ApiKeyTable.user_id).where(ApiKeyTable.id == token_id, ApiKeyTable.is_token)
    if user_id is not None:
        found = found.where(ApiKeyTable.user_id == user_id)
    owner: str | None = connection.scalar(found.with_for_update())
    if owner is None:
        raise TokenNotFound
    connection.execute(delete(ApiKeyTable).where(ApiKeyTable.id == token_id))
    revocations.note(connection, [revocations.key_subject(token_id)])
    return owner


def delete_tokens_of(connection: Connection, user_id: str) -> int:
    """Delete all tokens of a user; how many. Tokens that are made meanwhile stay."""
    of_user = delete(ApiKeyTable).where(ApiKeyTable.user_id == user_id, ApiKeyTable.is_token)
    gone = connection.execute(of_user.returning(ApiKeyTable.id, ApiKeyTable.parent_id)).all()
    if len(gone) <= _NAMED_AT_ONCE:
        subjects = [revocations.key_subject(row.id) for row in gone]
    else:
        # All streams by tokens of these keys ask again.
        subjects = [revocations.made_subject(row.parent_id) for row in gone]
    revocations.note(connection, subjects)
    return len(gone)


def sweep(connection: Connection) -> int:
    """Delete expired tokens, so many at once that others do not wait for it. Returns how many.

    One by which a message was sent that still waits stays until then: its run would take it for a deleted one.
    """
    waiting = [select(RunTable.key_id).where(each, RunTable.key_id.is_not(None)) for each in _ACTIVE]
    # As the condition of the index is written.
    ended = text("is_token"), ApiKeyTable.expires_at <= utc_now()
    found = select(ApiKeyTable.id).where(*ended, *map(ApiKeyTable.id.not_in, waiting)).limit(_SWEPT_AT_ONCE)
    return connection.execute(delete(ApiKeyTable).where(ApiKeyTable.id.in_(found))).rowcount


class TokenStore(Store):
    """Tokens: clients create and delete them. `KeyStore` authenticates requests by them."""

    create = writing(create_token)
    delete = writing(delete_token)
    delete_all = writing(delete_tokens_of, long=True)
