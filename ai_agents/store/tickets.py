"""Tickets: they let a browser's EventSource, which cannot send a key, read one thread's streams, or follow them all."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ai_agents.core.ids import TIME_FORMAT, utc_now
from ai_agents.core.key_rows import Ticket, TicketHolder
from ai_agents.store.access_tables import ApiKeyTable, TicketTable
from ai_agents.store.database import Store, reading, writing
from ai_agents.store.keys import hold_key
from ai_agents.store.secrets import id_of, make_secret, matches

_SCHEME = "tkt_"
# A use extends a ticket to this, once less than half of it is left …
_USE = timedelta(minutes=10)
# … until it is this old.
_LONGEST = timedelta(hours=24)
_FIND = (
    select(
        TicketTable.__table__,
        ApiKeyTable.expires_at.label("key_expires_at"),
        ApiKeyTable.agents,
        ApiKeyTable.is_token,
        ApiKeyTable.parent_id,
    )
    .outerjoin(ApiKeyTable, ApiKeyTable.id == TicketTable.key_id)
    .where(TicketTable.id == bindparam("ticket_id"))
)
_EXTEND = update(TicketTable).where(TicketTable.id == bindparam("ticket_id")).values(expires_at=bindparam("until"))


def create_ticket(
    connection: Connection,
    thread_id: str | None,
    user_id: str,
    *,
    admin: bool = False,
    key_id: str | None = None,
    ends_at: str | None = None,
) -> Ticket:
    """A new ticket, which is shown only this once. It is deleted with its key and with its thread.

    Without a thread it is for following all that its user sees, and reads no thread's streams.

    Without a key it is valid until `ends_at` at the longest, however often it is used.

    Raises `KeyNotFound` for a key that has been deleted.
    """
    if key_id is not None:
        hold_key(connection, key_id)
    now = datetime.now(UTC)
    secret = make_secret(_SCHEME)
    expires_at = (now + _USE).strftime(TIME_FORMAT)
    if ends_at is not None:
        expires_at = min(expires_at, ends_at)
    row = {
        "id": secret.id,
        "thread_id": thread_id,
        "user_id": user_id,
        "admin": admin,
        "key_id": key_id,
        "secret_hash": secret.secret_hash,
        "created_at": now.strftime(TIME_FORMAT),
        "expires_at": expires_at,
        "ends_at": ends_at,
    }
    connection.execute(insert(TicketTable), row)
    return {"ticket": secret.text, "expires_at": expires_at}


def find_ticket(connection: Connection, ticket: str) -> TicketHolder | None:
    """The holder of this ticket; None if it is not valid."""
    ticket_id = id_of(ticket, _SCHEME)
    if ticket_id is None:
        return None
    row = connection.execute(_FIND, {"ticket_id": ticket_id}).one_or_none()
    now = utc_now()
    if row is None or row.expires_at <= now or not matches(ticket, row.secret_hash):
        return None
    ends = row.key_expires_at if row.ends_at is None else row.ends_at
    if ends is not None and ends <= now:
        return None
    use_by = _use_by(row.created_at, row.expires_at)
    return {
        "id": row.id,
        "user_id": row.user_id,
        "admin": row.admin,
        "thread_id": row.thread_id,
        "key_id": row.key_id,
        "parent_id": row.parent_id if row.is_token else None,
        "agents": row.agents,
        "use_by": use_by if ends is None else min(use_by, ends),
    }


def extend_ticket(connection: Connection, ticket_id: str) -> None:
    """Extend a ticket that is used, up to its limit."""
    made = connection.scalar(select(TicketTable.created_at).where(TicketTable.id == ticket_id))
    if made is not None:
        until = min(datetime.now(UTC) + _USE, datetime.fromisoformat(made) + _LONGEST).strftime(TIME_FORMAT)
        connection.execute(_EXTEND, {"ticket_id": ticket_id, "until": until})


def _use_by(created_at: str, expires_at: str) -> str:
    """When half of the ticket's time is left, or when it ends where it cannot be extended."""
    ends = datetime.fromisoformat(expires_at)
    if ends >= datetime.fromisoformat(created_at) + _LONGEST:
        return expires_at
    return (ends - _USE / 2).strftime(TIME_FORMAT)


def sweep(connection: Connection) -> int:
    """Delete expired tickets. Returns how many."""
    return connection.execute(delete(TicketTable).where(TicketTable.expires_at <= utc_now())).rowcount


class TicketStore(Store):
    """Tickets: clients create and use them."""

    create = writing(create_ticket)
    find = reading(find_ticket)
    extend = writing(extend_ticket)

    async def use(self, ticket: str) -> TicketHolder | None:
        """The holder of this ticket, which is extended where less than half of its time is left; None if not valid."""
        found = await self.find(ticket)
        if found is None or found["use_by"] > utc_now():
            return found
        await self.extend(found["id"])
        return await self.find(ticket)
