"""Tickets: they let a browser's EventSource, which cannot send a key, read one thread's streams."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ai_agents.core.ids import TIME_FORMAT, utc_now
from ai_agents.core.rows import Ticket, TicketHolder
from ai_agents.store.database import Store, writing
from ai_agents.store.models import ApiKeyTable, TicketTable
from ai_agents.store.secrets import id_of, make_secret, matches

_SCHEME = "tkt_"
# Each use extends a ticket by this …
_USE = timedelta(minutes=10)
# … until it is this old.
_LONGEST = timedelta(hours=24)
_FIND = (
    select(TicketTable.__table__, ApiKeyTable.expires_at.label("key_expires_at"))
    .outerjoin(ApiKeyTable, ApiKeyTable.id == TicketTable.key_id)
    .where(TicketTable.id == bindparam("ticket_id"))
)
_EXTEND = update(TicketTable).where(TicketTable.id == bindparam("ticket_id")).values(expires_at=bindparam("until"))


def create_ticket(
    connection: Connection, thread_id: str, user_id: str, *, admin: bool = False, key_id: str | None = None
) -> Ticket:
    """A new ticket, which is shown only this once. It is deleted with its key and with its thread."""
    now = datetime.now(UTC)
    secret = make_secret(_SCHEME)
    expires_at = (now + _USE).strftime(TIME_FORMAT)
    row = {
        "id": secret.id,
        "thread_id": thread_id,
        "user_id": user_id,
        "admin": admin,
        "key_id": key_id,
        "secret_hash": secret.secret_hash,
        "created_at": now.strftime(TIME_FORMAT),
        "expires_at": expires_at,
    }
    connection.execute(insert(TicketTable), row)
    return {"ticket": secret.text, "expires_at": expires_at}


def use_ticket(connection: Connection, ticket: str) -> TicketHolder | None:
    """The holder of this ticket, which is extended; None if it is not valid."""
    ticket_id = id_of(ticket, _SCHEME)
    if ticket_id is None:
        return None
    row = connection.execute(_FIND, {"ticket_id": ticket_id}).one_or_none()
    now = utc_now()
    if row is None or row.expires_at <= now or not matches(ticket, row.secret_hash):
        return None
    if row.key_expires_at is not None and row.key_expires_at <= now:
        return None
    made = datetime.fromisoformat(row.created_at)
    until = min(datetime.now(UTC) + _USE, made + _LONGEST).strftime(TIME_FORMAT)
    connection.execute(_EXTEND, {"ticket_id": ticket_id, "until": until})
    return {"user_id": row.user_id, "admin": row.admin, "thread_id": row.thread_id}


def sweep(connection: Connection) -> int:
    """Delete expired tickets. Returns how many."""
    return connection.execute(delete(TicketTable).where(TicketTable.expires_at <= utc_now())).rowcount


class TicketStore(Store):
    """Tickets: clients create and use them."""

    create = writing(create_ticket)
    use = writing(use_ticket)
